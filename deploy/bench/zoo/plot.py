"""The figure on the zoo in docs/benchmarks.md, from what `zoo.json` holds."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.transforms import offset_copy

from alerts.pages.svg import ROLES, styled
from alerts.wording import NOT_MEASURED, number, percent, readable
from deploy.bench.picture import save
from deploy.bench.results import Figures
from deploy.bench.zoo.figures import Row


class Part(NamedTuple):
    """A bar of every plant."""

    field: str
    """Of `Causes`."""
    label: str
    role: str


class Line(NamedTuple):
    """How the curve of a half is drawn: both may lie on the same points."""

    role: str
    width: float
    dashes: str


PARTS = (
    Part("best", "best new feature", "base"),
    Part("five", "best five", "candidate"),
    Part("every", "all exclusive features", "ablated"),
    Part("control", "control: random directions", "chance"),
)
LINES = {"report": Line("candidate", 3.0, "-"), "tuning": Line("base", 1.5, "--")}
WIDTH, LEAST_HEIGHT, MARGINS, PER_PLANT = 900, 400, 150, 58  # pixels
THICKNESS = 0.2


@styled
def draw(kept: Figures, path: Path) -> None:
    """ROC of both halves over the severity score; and what removes the shift of every plant of
    full strength that was flagged, as parts of its ceiling."""
    rows = [Row.model_validate(one) for one in kept["versions"]]
    plants = [
        row
        for half in LINES
        for row in rows
        if row.half == half and row.kind == "planted" and row.flagged
    ]
    height = max(LEAST_HEIGHT, MARGINS + PER_PLANT * len(plants))
    padded = ConstrainedLayoutEngine(w_pad=0.15, h_pad=0.1)
    figure = Figure(figsize=(WIDTH / 72, height / 72), layout=padded)
    curves, bars = figure.subplots(1, 2, width_ratios=[1, 1.15])
    told = [_curve(curves, half, kept["halves"][half], rows) for half in LINES]
    _square(curves)
    told += _bars(bars, plants)
    save(figure, path, "What is found on the zoo, and what causes it", f"{'; '.join(told)}.")


def _curve(axes: Axes, half: str, figures: Figures, rows: Sequence[Row]) -> str:
    """Draw one half's curve and return what it says."""
    line = LINES[half]
    compared = [row for row in rows if row.half == half and not row.only_rounded]
    scored = [row.kind == "benign" for row in compared if row.score is not None]
    told = f"{half} half: AUC {number(figures['auc'])}"
    counts = f"{scored.count(False)} planted or diluted, {scored.count(True)} benign"
    points = [(0.0, 0.0), *((one["false_rate"], one["true_rate"]) for one in figures["roc"])]
    axes.plot(
        *zip(*(points if figures["roc"] else [(None, None)]), strict=True),
        color=ROLES[line.role],
        linewidth=line.width,
        linestyle=line.dashes,
        clip_on=False,
        label=f"{told} ({counts})",
    )
    return told


def _square(axes: Axes) -> None:
    axes.plot([0, 1], [0, 1], color=ROLES["rule"], linewidth=1, linestyle=":", label="chance")
    axes.set(xlim=(0, 1), ylim=(0, 1))
    axes.set_box_aspect(1)
    axes.set_anchor("N")
    axes.set_xlabel("benign updates that reach a score, share")
    _heading(axes, "planted and diluted updates that reach it, share")
    _legend(axes, axes.get_legend_handles_labels()[0])


def _bars(axes: Axes, plants: Sequence[Row]) -> list[str]:
    """Draw every plant's bars from top to bottom and return what they say."""
    axes.set_ylim(max(len(plants), 1) - 0.5, -0.5)
    axes.set_yticks(range(len(plants)), [f"{readable(row.version)} ({row.half})" for row in plants])
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)
    axes.axvline(0, color=ROLES["rule"], linewidth=1)
    axes.axvline(1, color=ROLES["ink"], linewidth=1, linestyle="--")
    told = []
    for row, plant in enumerate(plants):
        shown = []
        for place, part in enumerate(PARTS):
            value = plant.causes.of_ceiling(getattr(plant.causes, part.field))
            _bar(axes, row + (place - (len(PARTS) - 1) / 2) * THICKNESS, value, part.role)
            shown.append(f"{part.label} {percent(value)}")
        told.append(f"{readable(plant.version)}: {', '.join(shown)}")
    if not plants:
        axes.text(0.5, 0.5, NOT_MEASURED, transform=axes.transAxes, ha="center")
    low, high = axes.get_xlim()
    axes.set_xlim(min(low, 0.0), max(high, 1.05))
    axes.set_xlabel("part of the plant's ceiling")
    _heading(axes, "what removes the shift of a flagged plant")
    ceiling = Line2D([], [], color=ROLES["ink"], linewidth=1, linestyle="--", label="ceiling")
    patches = [Patch(color=ROLES[part.role], label=part.label) for part in PARTS]
    _legend(axes, [*patches, ceiling])
    return told


def _bar(axes: Axes, at: float, value: float | None, role: str) -> None:
    if value is None:
        axes.text(0.01, at, NOT_MEASURED, color=ROLES["muted"], size=9, va="center_baseline")
    else:
        axes.barh(at, value, THICKNESS * 0.9, color=ROLES[role])


def _heading(axes: Axes, text: str) -> None:
    axes.set_title(text, loc="left", color=ROLES["muted"], size=11, pad=10)


def _legend(axes: Axes, handles: Sequence[Artist]) -> None:
    """Below the panel, where nothing lies under it."""
    below = offset_copy(axes.transAxes, axes.get_figure(root=True), y=-44, units="points")
    axes.legend(
        handles=handles,
        loc="upper left",
        bbox_to_anchor=(0, 0),
        bbox_transform=below,
        borderaxespad=0,
        frameon=False,
    )
