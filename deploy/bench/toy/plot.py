"""The figure of docs/benchmarks.md, from the stored result."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from alerts.pages.svg import ROLES, styled
from alerts.wording import number
from deploy.bench.picture import save

NAMES = {
    "standard": "standard crosscoder",
    "dsf": "designated shared features",
    "strict": "dedicated features (DFC)",
}


class Series(NamedTuple):
    """One crosscoder, before or after a filter."""

    form: str
    prefix: str
    """Of its figures in the rows."""
    label: str
    colour: str
    line: str
    """Style in the plot of recall; empty where it is not drawn there."""


SERIES = (
    Series("standard", "", NAMES["standard"], ROLES["chance"], "-"),
    Series("dsf", "", NAMES["dsf"], ROLES["candidate"], "-"),
    Series("strict", "", NAMES["strict"], ROLES["base"], "-"),
    Series("strict", "residual_only_", "DFC, filtered by the residual alone", ROLES["induced"], ""),
    Series("strict", "filtered_", "DFC, filtered by both targets", ROLES["ablated"], "--"),
)
WIDTH = 0.16


@styled
def draw(rows: Sequence[dict[str, Any]], path: Path) -> None:
    """Recall and false positives by size of the dictionary, before and after the filter.

    ``rows`` as in toy.json; only the table "sizes" is drawn.
    """
    chosen = sorted(
        (row for row in rows if row["table"] == "sizes"), key=lambda row: row["latents"]
    )
    sizes = sorted({row["latents"] for row in chosen})
    figure = Figure(figsize=(9.2, 4.4), layout="constrained")
    recall, false = figure.subplots(1, 2)
    for place, series in enumerate(SERIES):
        members = [row for row in chosen if row["form"] == series.form]
        if series.line:
            _recall(recall, members, series)
        offset = (place - (len(SERIES) - 1) / 2) * WIDTH
        _false_positives(false, members, series, offset)
    for axes in (recall, false):
        axes.set_xticks(range(len(sizes)), [str(size) for size in sizes])
        axes.set_xlabel("latents")
        axes.grid(axis="y", color=ROLES["band"], linewidth=0.8)
        axes.set_axisbelow(True)
    recall.set_ylim(0, 1)
    recall.set_title("exclusive concepts recovered, share", loc="left", fontsize=11)
    false.set_title("false positives per crosscoder", loc="left", fontsize=11)
    figure.legend(
        *false.get_legend_handles_labels(), loc="outside lower center", ncols=3, frameon=False
    )
    save(figure, path, "What crosscoders find on the toy", _told(chosen))


def _told(rows: Sequence[dict[str, Any]]) -> str:
    return "; ".join(
        f"{NAMES[row['form']]}, {row['latents']} latents: recall {number(row['recall']['mean'])}"
        for row in rows
        if row["form"] in NAMES
    )


def _recall(axes: Axes, members: Sequence[dict[str, Any]], series: Series) -> None:
    means, reach = _figures(members, f"{series.prefix}recall")
    axes.errorbar(
        range(len(means)),
        means,
        reach,
        color=series.colour,
        linestyle=series.line,
        marker="o",
        markersize=4,
        capsize=3,
    )


def _false_positives(
    axes: Axes, members: Sequence[dict[str, Any]], series: Series, offset: float
) -> None:
    means, reach = _figures(members, f"{series.prefix}false_positives")
    bars = axes.bar(
        [place + offset for place in range(len(means))],
        means,
        WIDTH,
        yerr=reach,
        color=series.colour,
        ecolor=ROLES["ink"],
        error_kw={"linewidth": 0.8, "capsize": 2},
        label=series.label,
    )
    axes.bar_label(bars, fmt="{:.2g}", padding=2, fontsize=7.5)


def _figures(members: Sequence[dict[str, Any]], key: str) -> tuple[list[float], list[list[float]]]:
    """Means with the reach of their intervals below (not beyond zero) and above."""
    means = [row[key]["mean"] for row in members]
    intervals = [row[key]["interval_95"] or [row[key]["mean"]] * 2 for row in members]
    pairs = list(zip(means, intervals, strict=True))
    below = [mean - max(0.0, low) for mean, (low, _) in pairs]
    return means, [below, [high - mean for mean, (_, high) in pairs]]
