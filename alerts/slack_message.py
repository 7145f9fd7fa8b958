"""The alert that lets a reviewer decide in thirty seconds, as Slack blocks.

From top to bottom: what happened, to which version, by how much, what causes it, what a user would
see, what was not measured, and what to do. Only builds the message; sending is elsewhere.
"""

import json
from collections.abc import Sequence
from typing import Any, NamedTuple

from slack_sdk.models.blocks import (
    Block,
    ContextBlock,
    HeaderBlock,
    MarkdownTextObject,
    PlainTextObject,
    SectionBlock,
)

from alerts import wording
from alerts.evidence import Answer, DoseResponse, Evidence
from alerts.slack_actions import action_blocks
from alerts.slack_text import code, literal, render_text
from alerts.verdict import Behaviour, Feature, FeatureEffect, Verdict

__all__ = ["MESSAGE_LIMIT", "SlackMessage", "build_message", "render_text"]

MESSAGE_LIMIT = 8_000  # Slack refuses a message somewhere above 13,000 characters
_TOP = 3
_ANSWER = 200


class SlackMessage(NamedTuple):
    """What `chat.postMessage` needs: blocks, and a text for notifications and screen readers."""

    text: str
    blocks: list[dict[str, Any]]


class _Part(NamedTuple):
    name: str
    blocks: Sequence[Block]
    expendable: int = 0
    """The highest is left out first when the message is too long; 0 always stays."""


def build_message(
    verdict: Verdict,
    evidence: Evidence | None = None,
    *,
    alert_id: str | None = None,
    report_url: str | None = None,
    show_answers: bool = True,
) -> SlackMessage:
    """The message for `verdict`, at most MESSAGE_LIMIT characters as JSON.

    `alert_id` is the opaque value that the buttons send back; without one there are no buttons to
    decide with. `show_answers` is False where model text must not leave for Slack. Raises
    SlackObjectFormationError when an argument breaks one of Slack's own limits.
    """
    evidence = evidence or Evidence()
    action = _words(f"*{wording.recommended_action(verdict)}*")
    parts = [
        _Part("header", [HeaderBlock(text=literal(_title(verdict), 150))]),
        _Part("versions", [_versions(verdict)]),
        _Part("reasons", _listing("Reasons", verdict.reasons), 1),
        _Part("behaviours", _behaviours(verdict), 2),
        _Part("features", _features(verdict, evidence), 3),
        _Part("answers", _answers(verdict, evidence) if show_answers else [], 4),
        _Part("caveats", _listing("Caveats", evidence.caveats), 1),
        _Part("action", [action, *action_blocks(verdict, alert_id, report_url)]),
    ]
    why = verdict.reasons[:1] if verdict.verdict == "undecided" else []
    summary = [f"{literal(sentence, 300)}." for sentence in (_title(verdict), *why)]
    text = " ".join([*summary, wording.recommended_action(verdict), report_url or ""]).strip()
    return SlackMessage(text, _fit(parts, MESSAGE_LIMIT - len(text)))


def _title(verdict: Verdict) -> str:
    word = wording.verdict_word(verdict)
    return f"{word.replace(verdict.verdict.capitalize(), verdict.verdict.upper())}: " + (
        wording.headline(verdict)
    )


def _versions(verdict: Verdict) -> Block:
    total = wording.duration(sum(verdict.timings.values())) if verdict.timings else None
    layer = wording.NOT_MEASURED if verdict.recipe.layer is None else verdict.recipe.layer
    rows = {
        "Line": literal(verdict.line or "none", 100),
        "Recipe": f"{wording.short_digest(verdict.recipe.digest)}, layer {layer}",
        "Candidate": _version(verdict.candidate.digest, verdict.candidate.locator),
        "Base (trusted)": _version(verdict.base.digest, verdict.base.locator),
        "Check took": total or wording.NOT_MEASURED,
    }
    return SectionBlock(fields=[_mrkdwn(f"*{name}*\n{value}") for name, value in rows.items()])


def _version(digest: str, locator: str) -> str:
    return f"{code(wording.short_digest(digest), 20)} {code(locator, 200)}"


def _behaviours(verdict: Verdict) -> list[Block]:
    ordered = wording.by_weight(verdict.behaviours)
    lines = [_behaviour(b) for b in ordered[:_TOP]]
    if len(ordered) > _TOP:
        lines.append(f"And {len(ordered) - _TOP} more in the report.")
    return [_words("\n".join(lines))] if lines else []


def _behaviour(b: Behaviour) -> str:
    name = f"*{literal(wording.readable(b.name), 60)}*"
    if b.shift is None:
        return f"{name} {wording.NOT_MEASURED}"
    arrow = "▲" if b.shift > 0 else "▼"
    removed = (
        f"\n    removed by its best five features {wording.percent(b.mediated_five)}, by random "
        f"directions up to {wording.percent(b.mediated_control_p95)}, by the base's whole state "
        f"{wording.percent(b.ceiling)}"
    )
    return (
        f"{name} {arrow if b.flagged else '·'} {wording.signed(b.shift)} "
        f"[{wording.interval(b.ci_low, b.ci_high)}], {wording.number(b.base_score)} → "
        f"{wording.number(b.candidate_score)}, n = {b.n_items}, {wording.times_noise(b)}, "
        f"{wording.p_value(b.p_corrected)}{removed if b.flagged else ''}"
    )


def _features(verdict: Verdict, evidence: Evidence) -> list[Block]:
    if not verdict.features:
        return []
    doses = {dose.feature: dose for dose in reversed(evidence.dose_responses)}
    lines = [_feature(f, doses.get(f.id)) for f in verdict.features[:_TOP]]
    if len(verdict.features) > _TOP:
        lines.append(f"And {len(verdict.features) - _TOP} more in the report.")
    return [_words("*Features*\n" + "\n".join(lines))]


def _feature(feature: Feature, dose: DoseResponse | None) -> str:
    tokens = " ".join(code(token, 24) for token in feature.top_tokens[:4])
    facts = [
        f"{code(feature.id, 40)} {'new' if feature.side == 'candidate' else 'lost'}",
        *map(_effect, feature.effects[:1]),
        f"active on {wording.percent(feature.density, 1)} of tokens",
        f"exclusivity {wording.number(feature.exclusivity)}",
        f"top tokens {tokens}" if tokens else "",
        _dose(dose) if dose else "",
    ]
    return "• " + "; ".join(filter(None, facts))


def _effect(effect: FeatureEffect) -> str:
    return (
        f"removing it takes {wording.percent(effect.ablation_removes)} off "
        f"{literal(wording.readable(effect.behaviour), 40)}, adding it to the base brings "
        f"{wording.percent(effect.addition_induces)} "
        f"(random directions up to {wording.percent(effect.control_p95)})"
    )


def _dose(dose: DoseResponse) -> str:
    ends = {0, len(dose.strengths) - 1} if dose.strengths else set()
    points = [
        f"{wording.signed(dose.strengths[i], 1)} → {wording.signed(dose.effects[i])}"
        for i in sorted(ends)
    ]
    return f"dose-response {', '.join(points)}" if points else ""


def _answers(verdict: Verdict, evidence: Evidence) -> list[Block]:
    flagged = {b.name for b in verdict.behaviours if b.flagged}
    ordered = sorted(evidence.answers, key=lambda answer: answer.behaviour not in flagged)
    return [_words("*The same prompt, answered by each*"), _answer(ordered[0])] if ordered else []


def _answer(answer: Answer) -> Block:
    rows = {
        "Prompt": answer.prompt,
        "Base": answer.base,
        "Candidate": answer.candidate,
        "Candidate without the features": answer.candidate_ablated,
    }
    lines = [f"{k}: {literal(v, _ANSWER)}" for k, v in rows.items() if v is not None]
    return SectionBlock(text=PlainTextObject(text="\n".join(lines), emoji=False))


def _listing(title: str, lines: Sequence[str]) -> list[Block]:
    if not lines:
        return []
    shown = [f"• {literal(line, 320)}" for line in lines[:4]]
    if len(lines) > 4:
        shown.append(f"And {len(lines) - 4} more in the report.")
    text = "\n".join([f"{title}:", *shown])
    return [SectionBlock(text=PlainTextObject(text=text, emoji=False))]


def _fit(parts: list[_Part], limit: int) -> list[dict[str, Any]]:
    """The parts as JSON blocks; too long a message loses expendable parts and says which."""
    left_out: list[str] = []
    while True:
        blocks = [block.to_dict() for part in parts for block in part.blocks]
        if left_out:
            note = f"Left out because the message was too long: {', '.join(left_out)}."
            blocks.append(ContextBlock(elements=[_mrkdwn(note)]).to_dict())
        worst = max(parts, key=lambda part: part.expendable)
        if len(json.dumps(blocks, ensure_ascii=False)) <= limit or not worst.expendable:
            return blocks
        parts = [part for part in parts if part is not worst]
        left_out.append(worst.name)


def _words(text: str) -> Block:
    return SectionBlock(text=_mrkdwn(text))


def _mrkdwn(text: str) -> MarkdownTextObject:
    # verbatim: Slack must not turn words of a model into links, channels or mentions.
    return MarkdownTextObject(text=text, verbatim=True)
