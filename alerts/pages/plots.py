"""The figures of the report, each from plain data to an SVG element.

Every figure is as wide as a phone; the page sets several side by side where there is room. Series
are labelled where they stand, and colour never carries a meaning alone.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Literal

from markupsafe import Markup
from matplotlib.axes import Axes

from alerts.evidence import DoseResponse, ItemScore, PatchPoint, TrainingRun
from alerts.figures_in_words import random_directions
from alerts.pages.svg import ROLES, WIDTH, blank, styled, to_svg
from alerts.plain_text import one_line
from alerts.records.behaviour import Behaviour
from alerts.wording import NOT_MEASURED, percent, readable, signed

_ROW = 44  # pixels for one row of a figure with rows
_LABEL = 36  # characters that fit beside a value


@styled
def shift_plot(behaviours: Sequence[Behaviour], name: str) -> Markup:
    """Shift per behaviour with its 95 % interval, over the band of the noise floor."""
    figure = blank(_ROW * len(behaviours) + 40)
    draw_shifts(figure.add_subplot(), behaviours, ROLES)
    told = "; ".join(f"{readable(b.name)} {signed(b.shift)}" for b in behaviours)
    return to_svg(figure, name, "Shift of each behaviour", f"{told}.")


def draw_shifts(axes: Axes, behaviours: Sequence[Behaviour], colours: Mapping[str, str]) -> None:
    """The content of `shift_plot`, in any colours."""
    _rows(axes, [readable(b.name) for b in behaviours])
    for row, b in enumerate(behaviours):
        axes.vlines(0, row - 0.3, row + 0.3, color=colours["rule"], linewidth=1)
        if b.noise_floor is not None:
            axes.barh(row, 2 * b.noise_floor, 0.4, -b.noise_floor, color=colours["band"])
        role = "candidate" if b.flagged else "ink"
        if b.ci_low is not None and b.ci_high is not None:
            axes.hlines(row, b.ci_low, b.ci_high, color=colours[role], linewidth=2)
        if b.shift is not None:
            marker = "D" if b.flagged else "o"
            axes.plot(b.shift, row, marker, color=colours[role], markersize=6.5)
        value = NOT_MEASURED if b.shift is None else signed(b.shift)
        _above(axes, row, value, weight="bold" if b.flagged else "normal")
    axes.margins(x=0.04)
    axes.set_xlabel("candidate minus base, nats per token")


@styled
def removal_plot(behaviour: Behaviour, name: str) -> Markup:
    """Part of one shift that goes away under each edit, and under the control."""
    bars = {
        "the base's whole state (ceiling)": (behaviour.ceiling, "muted"),
        "all features": (behaviour.mediated_all, "ablated"),
        "the best features, five at most": (behaviour.mediated_five, "ablated"),
        "the best feature": (behaviour.mediated_best, "ablated"),
        "control": (behaviour.mediated_control_p95, "chance"),
    }
    figure = blank(0.8 * _ROW * len(bars) + 14)
    axes = figure.add_subplot()
    _rows(axes, list(bars))
    for row, (share, role) in enumerate(bars.values()):
        axes.barh(row, share or 0.0, 0.3, color=ROLES[role])
        _above(axes, row, percent(share))
    shares = [share or 0.0 for share, _ in bars.values()]
    axes.set_xlim(min(0.0, *shares), max(1.0, *shares))
    axes.axvline(0, color=ROLES["rule"], linewidth=1)
    axes.spines["bottom"].set_visible(False)
    axes.set_xticks([])
    told = "; ".join(f"{edit}: {percent(share)}" for edit, (share, _) in bars.items())
    title = f"What removes the shift of {readable(behaviour.name)}"
    return to_svg(figure, name, title, f"{told}.")


@styled
def patch_plot(points: Sequence[PatchPoint], layer: int | None, name: str) -> Markup:
    """Part of the divergence that exchanging the state removes or induces, by depth."""
    figure = blank(230)
    axes = figure.add_subplot()
    if layer is not None:
        axes.axvline(layer, color=ROLES["rule"], linewidth=1, linestyle=(0, (4, 3)))
        at = axes.get_xaxis_transform()
        axes.text(layer, 1.02, f"layer {layer}", transform=at, ha="center")
    series = {"removed": ("base", "o", "removed"), "induced": ("candidate", "s", "induced")}
    ordered = sorted(points, key=lambda point: point.layer)
    for field, (role, marker, label) in series.items():
        known = [(p.layer, getattr(p, field)) for p in ordered if getattr(p, field) is not None]
        if known:
            axes.plot(*zip(*known, strict=True), marker, ls="-", color=ROLES[role], markersize=4)
            down = -12 if field == "induced" else 8
            middle = known[len(known) // 2]
            axes.annotate(
                label,
                middle,
                (-8 if down > 0 else 8, down),
                textcoords="offset points",
                ha="right" if down > 0 else "left",
                color=ROLES[role],
            )
    axes.yaxis.set_major_formatter(lambda value, _: percent(value))
    _unit(axes, "part of the divergence")
    axes.set_xlabel("state exchanged after layer")
    told = "; ".join(
        f"layer {p.layer}: {percent(p.removed)} removed, {percent(p.induced)} induced"
        for p in ordered
    )
    return to_svg(figure, name, "Patch profile over the layers", f"{told}.")


@styled
def dose_plot(dose: DoseResponse, maximum_nll_rise: float | None, name: str) -> Markup:
    """Change of the score by edit strength, against random directions; below, the edit's cost.

    Points whose cost is above `maximum_nll_rise` are hollow: they prove nothing.
    """
    figure = blank(330)
    upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=[3, 1])
    draw_dose(upper, lower, dose, maximum_nll_rise, ROLES)
    points = zip(dose.strengths, dose.effects, dose.control_effects, dose.nll_rises, strict=True)
    told = "; ".join(
        f"at {signed(strength, 1)} {signed(effect)}, {random_directions(controls)}, "
        f"loss on neutral text {signed(rise, 3)}"
        for strength, effect, controls, rise in points
    )
    title = f"Dose-response of {one_line(dose.feature)} on {readable(one_line(dose.behaviour))}"
    return to_svg(figure, name, title, f"{told}.")


def draw_dose(
    upper: Axes,
    lower: Axes,
    dose: DoseResponse,
    maximum_nll_rise: float | None,
    colours: Mapping[str, str],
) -> None:
    """The content of `dose_plot`, in any colours."""
    for strength, controls in zip(dose.strengths, dose.control_effects, strict=True):
        upper.plot([strength] * len(controls), controls, "_", color=colours["chance"], markersize=9)
    _curve(upper, dose.strengths, dose.effects, "candidate", colours)
    _curve(lower, dose.strengths, dose.nll_rises, "ink", colours)
    limit = math.inf if maximum_nll_rise is None else maximum_nll_rise
    for strength, effect, rise in zip(dose.strengths, dose.effects, dose.nll_rises, strict=True):
        if effect is not None and rise is not None and rise > limit:
            upper.plot(strength, effect, "o", color=colours["candidate"], mfc=colours["paper"])
    if maximum_nll_rise is not None:
        lower.axhline(limit, color=colours["muted"], linewidth=1, linestyle=(0, (4, 3)))
        at = lower.get_yaxis_transform()
        lower.text(0.01, limit, f"limit {limit:g}", transform=at, va="bottom")
    _unit(upper, "change of the score, nats per token", colours)
    _unit(lower, "loss on neutral text, nats per token", colours)
    lower.set_xlabel("strength (−1 removes the feature, 0 is unedited)")


@styled
def item_plot(items: Sequence[ItemScore], name: str) -> Markup:
    """Every item's score in the candidate against its score in the base; the line is no change."""
    known = [(i.base, i.candidate) for i in items if i.base is not None and i.candidate is not None]
    figure = blank(WIDTH * 0.8)
    axes = figure.add_subplot()
    if known:
        ends = [min(map(min, known)), max(map(max, known))]
        axes.plot(ends, ends, color=ROLES["rule"], linewidth=1)
        base, candidate = zip(*known, strict=True)
        axes.plot(base, candidate, "o", color=ROLES["candidate"], mfc="none", markersize=5.5)
    axes.set_xlabel("score in the base")
    _unit(axes, "score in the candidate")
    behaviour = readable(one_line(items[0].behaviour))
    higher = sum(after > before for before, after in known)
    told = f"{higher} of {len(known)} scored items are higher in the candidate."
    return to_svg(figure, name, f"Items of {behaviour}", told)


@styled
def training_plot(runs: Sequence[TrainingRun], name: str) -> Markup:
    """Loss by training step, one line per seed."""
    figure = blank(200)
    axes = figure.add_subplot()
    dashes = ["-", (0, (5, 2)), (0, (1.5, 1.5))]
    for index, run in enumerate(runs):
        line = axes.plot(run.steps, run.losses, color=ROLES["ink"], linewidth=1.25)
        line[0].set(linestyle=dashes[index % 3], label=f"seed {run.seed}")
    axes.legend(frameon=False)
    axes.set_xlabel("step")
    _unit(axes, "loss")
    last = [f"seed {run.seed} {run.losses[-1]:.3f}" for run in runs if run.losses]
    return to_svg(figure, name, "Training loss", f"At the end: {', '.join(last)}.")


def _rows(axes: Axes, labels: Sequence[str]) -> None:
    """Rows from top to bottom, each with its label above it, so that none takes width away."""
    axes.set_ylim(len(labels) - 0.4, -0.75)
    axes.set_yticks([])
    axes.spines["left"].set_visible(False)
    for row, label in enumerate(labels):
        label = one_line(label)
        shown = label if len(label) <= _LABEL else f"{label[: _LABEL - 1]}…"
        _text(axes, 0.0, row, shown, "left", "normal")


def _curve(
    axes: Axes,
    strengths: Sequence[float],
    values: Sequence[float | None],
    role: str,
    colours: Mapping[str, str],
) -> None:
    axes.axhline(0, color=colours["rule"], linewidth=1)
    known = sorted((s, v) for s, v in zip(strengths, values, strict=True) if v is not None)
    if known:
        axes.plot(*zip(*known, strict=True), "o-", color=colours[role], markersize=5)


def _unit(axes: Axes, text: str, colours: Mapping[str, str] = ROLES) -> None:
    """What the vertical axis shows, upright and above it."""
    axes.set_title(text, loc="left", color=colours["muted"], size=11, pad=10)


def _above(axes: Axes, row: int, value: str, weight: str = "normal") -> None:
    _text(axes, 1.0, row, value, "right", weight)


def _text(
    axes: Axes, x: float, row: int, text: str, side: Literal["left", "right"], weight: str
) -> None:
    at = axes.get_yaxis_transform()
    axes.text(
        x, row - 0.3, text, transform=at, va="bottom", ha=side, weight=weight, in_layout=False
    )
