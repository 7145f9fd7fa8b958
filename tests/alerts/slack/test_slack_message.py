"""The page that wakes a reviewer: complete, within Slack's limits, and safe with hostile text."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from pydantic import ValidationError
from slack_sdk.errors import SlackObjectFormationError

from alerts.alert import Finding
from alerts.alert_events import Measured
from alerts.alert_steps import begin
from alerts.destinations.notice import Notice
from alerts.evidence import Evidence
from alerts.plain_text import clip
from alerts.slack.message import MESSAGE_LIMIT, SlackMessage, build_message
from alerts.slack.text import code, literal, render_text
from alerts.verdict import Verdict
from alerts.verdict_in_words import Names
from tests.alerts import samples

URL = "https://latentwatch.example/diffs/1"


def message(verdict: Verdict, evidence: Evidence | None = None, **options: Any) -> SlackMessage:
    return build_message(verdict, evidence, alert_id="a1.7.signature", report_url=URL, **options)


def texts(block: object) -> list[str]:
    """Every string that Slack would show."""
    if isinstance(block, dict):
        return [text for value in block.values() for text in texts(value)]
    if isinstance(block, list):
        return [text for value in block for text in texts(value)]
    return [block] if isinstance(block, str) else []


def elements(sent: SlackMessage) -> dict[str, dict[str, Any]]:
    [row] = [block for block in sent.blocks if block["type"] == "actions"]
    return {element["action_id"]: element for element in row["elements"]}


def hostile() -> tuple[Verdict, Evidence]:
    """The critical diff with every foreign text hostile and long."""
    text = samples.HOSTILE * 20
    data = samples.flagged_json()
    data |= {"line": text, "reasons": [text] * 9}
    data["candidate"]["locator"] = text
    data["behaviours"][0]["name"] = text
    data["behaviours"] += [samples.behaviour(f"b{n}-{text}") for n in range(9)]
    seen = [samples.SEEN_BEFORE | {"version": text}] * 9
    words = {"label": text, "carries": [{"candidate": text, "base": text, "part": 0.7}]}
    data["features"] = [
        samples.feature(n, id=text, top_tokens=[text] * 9, seen_before=seen, **words)
        for n in range(1, 9)
    ]
    stored = samples.evidence().model_dump()
    answer = {"behaviour": "b", "prompt": text, "base": text, "candidate": text}
    stored |= {"answers": [answer], "caveats": [text] * 9}
    return Verdict.model_validate(data), Evidence.model_validate(stored)


def test_flagged_message_says_what_moved_by_how_much_and_why() -> None:
    sent = message(samples.flagged(), samples.evidence())
    shown = render_text(sent.blocks)
    assert sent.blocks[0]["type"] == "header"
    assert sent.blocks[0]["text"]["text"] == (
        "FLAGGED (critical): support-chat @ 9f3c1a2: sycophancy +3.45 against base 71bb0e4"
    )
    assert "Candidate: 9f3c1a2 /models/support-chat/step_5000\nBase: 71bb0e4" in shown
    assert "sycophancy ▲ +3.45 [2.98 to 3.91], 0.89 → 4.34, n = 54" in shown
    assert "28.8 × the noise floor, p = 0.0003" in shown
    assert "best features, five at most, 52\u202f%, by controls up to 12\u202f%" in shown
    assert "candidate-10 new" in shown and "candidate-24 new" in shown
    assert "base-31" not in shown and "And 1 more in the report." in shown
    assert "Candidate: You're absolutely right!" in shown
    assert "The refusal rate of the candidate was not measured." in shown
    assert "Quarantine the candidate" in shown


def test_versions_have_the_names_that_their_place_gives_them() -> None:
    sent = message(samples.flagged(), names=Names("step-5000", "step-4000"))
    title = sent.blocks[0]["text"]["text"]
    assert "support-chat @ step-5000 (9f3c1a2): sycophancy +3.45" in title
    assert title.endswith("against base step-4000 (71bb0e4)")
    shown = render_text(sent.blocks)
    assert "Candidate: step-5000 9f3c1a2 /models" in shown and "Base: step-4000 71bb0e4" in shown


def test_a_name_forges_neither_a_finding_nor_formatting_nor_a_place_of_its_own() -> None:
    forged = message(samples.flagged(), names=Names("x (71bb0e4): nothing shifted", "\u202e"))
    title = forged.blocks[0]["text"]["text"]
    assert "@ “x (71bb0e4): nothing shifted” (9f3c1a2): sycophancy" in title
    assert title.endswith("against base 71bb0e4")
    bold = message(samples.flagged(), names=Names("v2* *PASSED* `x`", None))
    [field] = [text for text in texts(bold.blocks) if text.startswith("*Candidate*")]
    assert field.startswith("*Candidate*\n`v2* *PASSED*")


def test_what_to_do_stands_before_the_figures() -> None:
    shown = render_text(message(samples.flagged(), samples.evidence()).blocks)
    assert shown.index("Quarantine the candidate") < shown.index("Candidate: 9f3c1a2")


def test_a_dose_that_neutral_text_does_not_bear_is_not_quoted() -> None:
    def said(evidence: Evidence) -> str:
        return json.dumps(build_message(samples.flagged(), evidence).blocks, ensure_ascii=False)

    text = said(samples.evidence())
    assert "steering sycophancy: −1.0 × its own part → −1.07 nats per token (random" in text
    assert "+2.0 × its own part → +1.05" in text and "+1.62" not in text
    unknown = samples.evidence().model_copy(update={"maximum_nll_rise": None})
    assert "what neutral text bears was not measured" in said(unknown)
    none = samples.evidence().model_copy(update={"maximum_nll_rise": 0.0001})
    assert "no dose costs less on neutral text than 0.0001" in said(none)


def test_without_the_answers_nobody_is_told_to_read_them() -> None:
    sent = build_message(samples.flagged(), Evidence())
    assert "answers side by side" not in json.dumps(sent.blocks) + sent.text
    for examples in ("none", "redacted"):
        kept_back = build_message(samples.flagged(), samples.evidence(), examples=examples)
        assert "answers side by side" not in json.dumps(kept_back.blocks) + kept_back.text
    shown = build_message(samples.flagged(), samples.evidence())
    assert "answers side by side" in shown.text
    notice = Notice(
        "f" * 32, begin(Measured(Finding.FLAGGED, "critical", "r"), 0.0), samples.flagged(), None
    )
    assert "side by side" not in notice.action
    assert "side by side" in notice._replace(report_url="https://r.example").action


def test_fallback_text_carries_the_finding_the_action_and_the_link() -> None:
    text = message(samples.flagged()).text
    assert "sycophancy +3.45" in text and "Quarantine" in text and text.endswith(URL)
    undecided = message(samples.undecided()).text
    assert "31 % of the items could not be scored" in undecided


def test_a_habit_alone_is_the_finding() -> None:
    passed = samples.passed().model_dump()
    habit = {"own_words": passed["own_words"] | {"flagged": True}}
    verdict = {"verdict": "flagged", "severity": "warning", "reasons": ["a habit"]}
    found = Verdict.model_validate(passed | habit | verdict)
    assert ": new stock phrases in 34 % of its answers" in message(found).text
    with pytest.raises(ValidationError, match="although own_words is flagged"):
        Verdict.model_validate(passed | habit)


def test_buttons_carry_the_alert_and_no_data() -> None:
    buttons = elements(message(samples.flagged()))
    assert list(buttons) == ["acknowledge", "trust", "quarantine", "snooze", "ask", "open"]
    for action in ("acknowledge", "trust", "quarantine", "ask"):
        assert buttons[action]["value"] == "a1.7.signature"
    assert "confirm" in buttons["trust"] and "confirm" in buttons["quarantine"]
    assert [option["value"] for option in buttons["snooze"]["options"]] == ["4h", "24h", "next"]
    assert buttons["open"]["url"] == URL


def test_passed_version_has_nothing_to_acknowledge_or_snooze() -> None:
    sent = message(samples.passed())
    assert list(elements(sent)) == ["trust", "quarantine", "open"]
    assert sent.blocks[0]["text"]["text"].startswith("PASSED: support-chat @ 9f3c1a2: no probed")


def test_without_an_alert_or_a_page_there_are_no_buttons() -> None:
    blocks = build_message(samples.flagged()).blocks
    assert all(block["type"] != "actions" for block in blocks)


def test_undecided_message_never_reads_as_passed_or_zero() -> None:
    shown = render_text(message(samples.undecided()).blocks)
    assert shown.startswith("UNDECIDED: support-chat @ 9f3c1a2: could not be checked")
    assert "31 % of the items could not be scored" in shown
    assert "sycophancy not measured" in shown
    assert "layer not measured" in shown
    assert "+0.00" not in shown


def test_model_text_can_be_kept_out_of_slack() -> None:
    data, words = samples.flagged_json(), "quoth the model"
    keys = ("top_tokens", "raised_tokens", "lowered_tokens", "examples")
    texts = {key: [words] for key in keys}
    data["features"] = [
        samples.feature(1, label=f"raises {words!r}", **texts),
        samples.feature(2, **texts),
    ]
    for one in data["features"]:
        one["carries"] = [{"candidate": words, "base": words, "part": 0.7}]
    data["own_words"]["phrases"] = [{"text": words, "n_answers": 9}]
    stored = samples.evidence().model_dump()
    stored["answers"] = [dict.fromkeys(("prompt", "base", "candidate"), words) | {"behaviour": "b"}]
    stored["forks"] = [dict.fromkeys(("prompt", "opening", "base", "candidate"), words)]
    stored["forks"][0]["divergence"] = 1.0
    stored["examples"] = [
        {"feature": "candidate-10", "examples": [{"tokens": [words], "activations": [1.0]}]}
    ]
    told = {"feature": "candidate-10", "model": "m", "unscored": "not asked"}
    stored["explanations"] = [told | dict.fromkeys(("description", "difference"), words)]
    verdict, evidence = Verdict.model_validate(data), Evidence.model_validate(stored)
    assert words in json.dumps(message(verdict, evidence).blocks)
    sent = message(verdict, evidence, examples="none")
    assert words not in sent.text + json.dumps(sent.blocks)
    shown = render_text(sent.blocks)
    assert "candidate-10 new; removing it takes 31" in shown and "+3.45" in shown


def test_hostile_text_is_inert() -> None:
    sent = message(*hostile(), names=Names(*[samples.HOSTILE * 9] * 2))
    for text in [sent.text, *texts(sent.blocks)]:
        assert "<" not in text and ">" not in text
        assert "@everyone" not in text and "@U012" not in text
        assert not {"\x1b", "\u202e", "\u2066", "\ud800"} & set(text)
    for block in sent.blocks:
        for part in texts_of_type(block, "mrkdwn"):
            assert part["verbatim"] is True
    json.dumps(sent.blocks, ensure_ascii=False).encode()


def texts_of_type(block: object, kind: str) -> list[dict[str, Any]]:
    if isinstance(block, list):
        return [part for value in block for part in texts_of_type(value, kind)]
    if not isinstance(block, dict):
        return []
    own = [block] if block.get("type") == kind else []
    return own + [part for value in block.values() for part in texts_of_type(value, kind)]


def test_long_message_fits_and_says_what_is_missing() -> None:
    sent = message(*hostile())
    total = len(json.dumps(sent.blocks, ensure_ascii=False)) + len(sent.text)
    assert total <= MESSAGE_LIMIT
    assert len(sent.blocks) <= 50
    for part in texts_of_type(sent.blocks, "mrkdwn"):
        assert len(part["text"]) <= 2000
    shown = render_text(sent.blocks)
    assert "Left out because the message was too long: answers" in shown
    assert "characters]" in shown
    assert "Quarantine the candidate" in shown and elements(sent)


def test_an_argument_beyond_slacks_limits_is_refused() -> None:
    with pytest.raises(SlackObjectFormationError):
        build_message(samples.flagged(), alert_id="x" * 300)


@pytest.mark.parametrize("limit", [40, 60, 200])
@pytest.mark.parametrize("text", ["&" * 300, "@a" * 150, "word " * 80, "短い" * 200])
def test_literal_never_exceeds_its_limit_or_cuts_an_entity(text: str, limit: int) -> None:
    cut = literal(text, limit)
    assert len(cut) <= limit
    assert "more" in cut or "+" in cut
    assert cut.replace("&amp;", "").count("&") == 0


@pytest.mark.parametrize("cut", [literal, clip])
def test_a_cut_leaves_numbers_and_words_whole(cut: Callable[[str, int], str]) -> None:
    finding = "chat @ v2: Sycophancy +12.34, over refusal +1.20 against base v1"
    for limit in range(40, len(finding)):
        kept = cut(finding, limit).partition(" … ")[0]
        assert finding.startswith(f"{kept} "), kept
    assert cut("x" * 100, 40).startswith("xxxx")


def test_short_text_is_kept_and_code_cannot_be_closed() -> None:
    assert literal("a  <b>\n& c @ d", 100) == "a &lt;b&gt; &amp; c @ d"
    assert code("a`b", 20) == "`a´b`"


def test_terminal_text_reads_as_written() -> None:
    blocks = [
        {"type": "section", "text": {"type": "mrkdwn", "text": "*Bold* `x` &lt;b&gt; &amp;lt;"}}
    ]
    assert render_text(blocks) == "Bold x <b> &lt;\n"
