"""A verdict as Markdown (GitHub flavour), for pull requests and summaries of CI runs.

Text from models and file names stands in code spans, where no markup, link or mention works.
"""

import re

from alerts.behaviour_in_words import calibrated_threshold, conformal
from alerts.plain_text import clip, one_line
from alerts.records.behaviour import Behaviour
from alerts.records.feature import Feature
from alerts.seen_before_in_words import compared_with, seen_before
from alerts.verdict import Verdict
from alerts.verdict_in_words import calibration_sentence, recommended_action, verdict_word
from alerts.wording import (
    NOT_MEASURED,
    interval,
    number,
    p_value,
    percent,
    short_digest,
    signed,
    small,
)

_MARKUP = re.compile(r"([\\`*_{}\[\]<>#|~&])")
_LIVE = re.compile(r"@|:(?=//)|www(?=\.)", re.IGNORECASE)
_LONGEST = 120
_BEHAVIOUR_COLUMNS = (
    "behaviour | items | base | candidate | shift | 95 % interval | corrected p | noise floor "
    "| least effect | conformal p, uncorrected | calibrated threshold | flagged"
)
_CAUSE_COLUMNS = "behaviour | ceiling | best | best five | all | control | loss on neutral text"
_FEATURE_COLUMNS = (
    "feature | what it does | words it carries | top tokens | density | energy of the change "
    "| exclusivity | seed agreement | seen before in | steering"
)


def to_markdown(verdict: Verdict) -> str:
    """The whole verdict: outcome, reasons, behaviours, causes and features. Ends with a newline."""
    parts = [
        f"## latentwatch: {verdict_word(verdict)}",
        _versions(verdict),
        "\n".join(f"- {_prose(reason)}" for reason in verdict.reasons),
        recommended_action(verdict),
        _behaviours(verdict),
        _prose(calibration_sentence(verdict)),
        _causes(verdict.behaviours),
        _features(verdict.features),
        _prose(compared_with(verdict)),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def _versions(verdict: Verdict) -> str:
    line = f"Line {_code(verdict.line)}: candidate" if verdict.line else "Candidate"
    return (
        f"{line} {_code(short_digest(verdict.candidate.digest))} "
        f"({_code(verdict.candidate.locator)}) against base "
        f"{_code(short_digest(verdict.base.digest))} ({_code(verdict.base.locator)})"
    )


def _behaviours(verdict: Verdict) -> str:
    unflagged = "undecided" if verdict.verdict == "undecided" else "no"
    return _table(
        "### Behaviours",
        _BEHAVIOUR_COLUMNS,
        [
            [
                _code(b.name),
                str(b.n_scored),
                number(b.base_score),
                number(b.candidate_score),
                signed(b.shift),
                interval(b.ci_low, b.ci_high),
                p_value(b.p_corrected),
                number(b.noise_floor),
                number(b.least_effect),
                conformal(b),
                calibrated_threshold(b),
                "**yes**" if b.flagged else unflagged if b.shift is not None else NOT_MEASURED,
            ]
            for b in verdict.behaviours
        ],
        "Scores, shift, interval, noise floor and least effect in nats per token.",
    )


def _causes(behaviours: list[Behaviour]) -> str:
    return _table(
        "### What removes the shift",
        _CAUSE_COLUMNS,
        [
            [
                _code(b.name),
                percent(b.ceiling),
                percent(b.mediated_best),
                percent(b.mediated_five),
                percent(b.mediated_all),
                percent(b.mediated_control_p95),
                signed(b.nll_rise, 3),
            ]
            for b in behaviours
            if b.flagged
        ],
        "Parts of the shift, of the distance between the items' scores; the control is the most "
        "that random directions of the same size, chosen alike, remove, or how much the same edit "
        "changes the base, if that is more; loss in nats per token.",
    )


def _features(features: list[Feature]) -> str:
    rows = []
    for feature in features:
        effects = [
            f"{_code(e.behaviour)}: removes {percent(e.ablation_removes)} (random "
            f"{percent(e.control_p95)}), induces {percent(e.addition_induces)} (random "
            f"{percent(e.addition_control_p95)})"
            for e in feature.effects
        ]
        rows.append(
            [
                _code(feature.id),
                _code(clip(feature.label, 240)) if feature.label else NOT_MEASURED,
                _carried(feature),
                " ".join(map(_code, feature.top_tokens)),
                small(feature.density),
                percent(feature.delta_energy),
                number(feature.exclusivity),
                number(feature.seed_agreement),
                NOT_MEASURED
                if feature.seen_before is None
                else seen_before(feature, _code) or "no version",
                "<br>".join(effects) or NOT_MEASURED,
            ]
        )
    return _table("### Features", _FEATURE_COLUMNS, rows, "Effects as parts of the shift.")


def _carried(feature: Feature) -> str:
    if feature.carries is None:
        return NOT_MEASURED
    return " ".join(_code(clip(words.candidate, 80)) for words in feature.carries) or "none"


def _table(title: str, columns: str, rows: list[list[str]], note: str) -> str:
    if not rows:
        return ""
    rule = " | ".join("---" for _ in columns.split(" | "))
    lines = [columns, rule, *(" | ".join(cells) for cells in rows)]
    table = "\n".join(f"| {line} |" for line in lines)
    return "\n\n".join(filter(None, [title, table, note]))


def _code(text: str) -> str:
    """`text` as a code span that also stands in a table: clipped, on one line."""
    shown = clip(one_line(text), _LONGEST) or " "
    fence = "`" * (max(map(len, re.findall("`+", shown)), default=0) + 1)
    pad = " " if shown.startswith("`") or shown.endswith("`") else ""
    shown = shown.replace("|", "\\|")
    return f"{fence}{pad}{shown}{pad}{fence}"


def _prose(text: str) -> str:
    """`text` as plain words: markup escaped, no mention of anybody, and no address that becomes a
    link by itself."""
    escaped = _MARKUP.sub(r"\\\1", one_line(text))
    return _LIVE.sub("\\g<0>\u200b", escaped)
