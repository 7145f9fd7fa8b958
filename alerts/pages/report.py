"""One verdict with its evidence as a single HTML page that needs nothing else, not even a script.

Here the verdict and the evidence are arranged for the templates; what the templates do to every
value on its way into the page is in `alerts.pages.templating`.
"""

import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from markupsafe import Markup

from alerts import verdict_in_words, wording
from alerts.evidence import Evidence, ItemScore
from alerts.pages import plots
from alerts.pages.history import Release, all_measured, moving_behaviours, names_of
from alerts.pages.history_plot import history_plot
from alerts.pages.templating import TEMPLATES, difference
from alerts.plain_text import one_line
from alerts.records.feature import Feature
from alerts.verdict import Verdict
from dfc.durable import write_whole

_GLYPHS = {"critical": "▲", "warning": "△", "undecided": "?", "passed": "●"}
_WARMEST = 5  # steps of colour under a token


def render_report(verdict: Verdict, evidence: Evidence, history: Sequence[Release] = ()) -> str:
    """The whole page. The same input gives the same page, byte for byte.

    `history` are the versions of the line, the oldest first; without an earlier one it isn't shown.
    """
    context = _context(verdict, evidence) | _history(history)
    return TEMPLATES.get_template("report.html.j2").render(context)


def write_report(
    path: Path, verdict: Verdict, evidence: Evidence, history: Sequence[Release] = ()
) -> None:
    """Write the page to `path` in one step: a reader sees the old page or all of the new one."""
    write_whole(path, render_report(verdict, evidence, history).encode("utf-8"))


class _Drawn(NamedTuple):
    """A plot and what it is about."""

    behaviour: str
    svg: Markup
    feature: str = ""
    nll_rise: float | None = None


class _Items(NamedTuple):
    behaviour: str
    rows: list[ItemScore]


class _Highlighted(NamedTuple):
    """A text as one model reads it."""

    model: str
    tokens: list[tuple[str, int, float]]


def _context(verdict: Verdict, evidence: Evidence) -> dict[str, Any]:
    behaviours = verdict_in_words.by_weight(verdict.behaviours)
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
            *filter(None, [verdict.calibration_caveat]),
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
        "explanations": {e.feature: e for e in evidence.explanations},
    }


def _history(releases: Sequence[Release]) -> dict[str, Any]:
    if len(names_of(releases)) < 2:
        return {"history": ()}
    return {
        "history": releases,
        "has_anchor": any(release.against == "anchor" for release in releases),
        "history_plots": [
            _Drawn(_name(name), history_plot(releases, name, f"history-{number}"))
            for number, name in enumerate(moving_behaviours(releases))
        ],
        "history_measured": all_measured(releases),
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
    shift = difference(score.candidate, score.base)
    return shift is None, -abs(shift or 0.0)


def _highlights(feature: Feature, evidence: Evidence) -> Iterator[list[_Highlighted]]:
    """Each example as every model reads it, the base first, in colours of one scale."""
    found = [group for group in evidence.examples if group.feature == feature.id]
    examples = [example for group in found for example in group.examples]
    peak = max((a for e in examples for a in (*e.activations, *(e.other or ()))), default=0.0)
    for example in examples:
        read = [(feature.side, example.activations)]
        if example.other is not None:
            read.append(("candidate" if feature.side == "base" else "base", example.other))
        yield [
            _Highlighted(model, _warm(example.tokens, activations, peak))
            for model, activations in sorted(read)
        ]


def _warm(tokens: list[str], activations: list[float], peak: float) -> list[tuple[str, int, float]]:
    """Each token with the warmth of its background and its activation."""
    warmths = [math.ceil(_WARMEST * max(a, 0.0) / peak) if peak > 0 else 0 for a in activations]
    return list(zip(tokens, warmths, activations, strict=True))
