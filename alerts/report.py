"""One verdict with its evidence as a single HTML page that needs nothing else, not even a script.

All text is escaped by the templates and freed of control characters on the way out, since it may
come from a hostile model; what is None is shown as "not measured" wherever it stands.
"""

import math
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from alerts import plots, wording
from alerts.evidence import Evidence, ItemScore
from alerts.plain_text import clip, one_line, strip_controls
from alerts.verdict import Feature, FeatureEffect, Verdict

_GLYPHS = {"critical": "▲", "warning": "△", "undecided": "?", "passed": "●"}
_WARMEST = 5  # steps of colour under a token


def render_report(verdict: Verdict, evidence: Evidence) -> str:
    """The whole page. The same input gives the same page, byte for byte."""
    return _TEMPLATES.get_template("report.html.j2").render(_context(verdict, evidence))


def write_report(path: Path, verdict: Verdict, evidence: Evidence) -> None:
    """Write the page to `path` in one step: a reader sees the old page or all of the new one."""
    page = render_report(verdict, evidence)
    path.parent.mkdir(parents=True, exist_ok=True)
    scratch = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with scratch.open("w", encoding="utf-8") as stream:
            stream.write(page)
            stream.flush()
            os.fsync(stream.fileno())
        scratch.replace(path)
    finally:
        scratch.unlink(missing_ok=True)


class _Drawn(NamedTuple):
    """A plot and what it is about."""

    behaviour: str
    svg: Markup
    feature: str = ""
    nll_rise: float | None = None


class _Items(NamedTuple):
    behaviour: str
    rows: list[ItemScore]


def _context(verdict: Verdict, evidence: Evidence) -> dict[str, Any]:
    behaviours = wording.by_weight(verdict.behaviours)
    unmeasured = [wording.readable(b.name) for b in behaviours if b.shift is None]
    losses = [run for run in evidence.training if run.losses]
    items = _items(evidence.item_scores)
    points = evidence.patch_profile
    return {
        "verdict": verdict,
        "evidence": evidence,
        "behaviours": behaviours,
        "flagged": [b for b in behaviours if b.flagged],
        "glyph": _GLYPHS[verdict.severity or verdict.verdict],
        "caveats": [
            *evidence.caveats,
            *(f"{name.capitalize()} was not measured." for name in unmeasured),
        ],
        "items": items,
        "shift_plot": plots.shift_plot(behaviours, "shift") if behaviours else None,
        "item_plots": [
            _Drawn(group.behaviour, plots.item_plot(group.rows, f"items-{number}"))
            for number, group in enumerate(items)
        ],
        "removal_plots": [
            _Drawn(_name(b.name), plots.removal_plot(b, f"removal-{number}"), nll_rise=b.nll_rise)
            for number, b in enumerate(behaviours)
            if b.mediated_five is not None or b.ceiling is not None
        ],
        "patch_plot": plots.patch_plot(points, verdict.recipe.layer, "patch") if points else None,
        "dose_plots": [
            _Drawn(
                _name(dose.behaviour),
                plots.dose_plot(dose, evidence.maximum_nll_rise, f"dose-{number}"),
                one_line(dose.feature),
            )
            for number, dose in enumerate(evidence.dose_responses)
        ],
        "training_plot": plots.training_plot(losses, "training") if losses else None,
        "highlights": lambda feature: _highlights(feature, evidence),
    }


def _name(behaviour: str) -> str:
    return wording.readable(one_line(behaviour))


def _items(scores: list[ItemScore]) -> list[_Items]:
    """The item scores by behaviour, the largest shift first, items without one last."""
    groups: dict[str, list[ItemScore]] = {}
    for score in scores:
        groups.setdefault(score.behaviour, []).append(score)
    return [_Items(_name(name), sorted(rows, key=_smallness)) for name, rows in groups.items()]


def _smallness(score: ItemScore) -> tuple[bool, float]:
    shift = _difference(score.candidate, score.base)
    return shift is None, -abs(shift or 0.0)


def _highlights(feature: Feature, evidence: Evidence) -> Iterator[list[tuple[str, int, float]]]:
    """Each example as (token, warmth of its background, activation)."""
    found = [group for group in evidence.examples if group.feature == feature.id]
    examples = [example for group in found for example in group.examples]
    peak = max((max(example.activations, default=0.0) for example in examples), default=0.0)
    for example in examples:
        warmths = [
            math.ceil(_WARMEST * max(a, 0.0) / peak) if peak > 0 else 0 for a in example.activations
        ]
        yield list(zip(example.tokens, warmths, example.activations, strict=True))


def _chief_effect(feature: Feature) -> FeatureEffect:
    """The effect that ablation shows most clearly; blank where nothing was steered."""
    blank = dict.fromkeys(FeatureEffect.model_fields) | {"behaviour": ""}
    ranked = sorted(feature.effects, key=lambda effect: effect.ablation_removes or 0.0)
    return ranked[-1] if ranked else FeatureEffect.model_validate(blank)


def _difference(after: float | None, before: float | None) -> float | None:
    return None if after is None or before is None else after - before


def _token_text(token: str) -> str:
    """A token without its leading space, white space made visible; empty for a lone space."""
    visible = strip_controls(token).replace("\n", "↵").replace("\t", "⇥") or "\ufffd"
    return visible.removeprefix(" ")


def _finalize(value: Any) -> Any:
    """Every value on its way into the page, before it is escaped."""
    if value is None or (isinstance(value, str) and value == wording.NOT_MEASURED):
        return Markup(f'<span class="unmeasured">{wording.NOT_MEASURED}</span>')
    return strip_controls(value) if type(value) is str else value


def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("alerts"),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=_finalize,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    words = (
        wording.duration,
        wording.finding,
        wording.headline,
        wording.number,
        wording.percent,
        wording.points,
        wording.probability,
        wording.readable,
        wording.recommended_action,
        wording.short_digest,
        wording.signed,
        wording.small,
        wording.verdict_word,
    )
    environment.filters |= {word.__name__: word for word in words}
    environment.filters |= {"clip": clip, "one_line": one_line, "token_text": _token_text}
    environment.globals |= {
        "cause_sentences": wording.cause_sentences,
        "chief_effect": _chief_effect,
        "difference": _difference,
        "interval": wording.interval,
        "shift_sentence": wording.shift_sentence,
        # A variable, because the template compiler writes a constant without _finalize.
        "unmeasured": None,
    }
    return environment


_TEMPLATES = _environment()
