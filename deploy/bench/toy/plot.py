"""The figure of docs/benchmarks.md, from the stored result."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure

NAMES = {
    "standard": "standard crosscoder",
    "dsf": "designated shared features",
    "strict": "dedicated features (DFC)",
}
COLOURS = {"standard": "#6b7280", "dsf": "#b45309", "strict": "#1d4ed8"}
SHIFT = {"standard": -0.26, "dsf": 0.0, "strict": 0.26}
STYLE = {
    "svg.fonttype": "none",
    "svg.hashsalt": "latentwatch",  # the same result gives the same bytes
    "font.family": "sans-serif",
    "font.size": 10.0,
    "axes.spines.top": False,
    "axes.spines.right": False,
}


def draw(rows: Sequence[dict[str, Any]], path: Path) -> None:
    """Recall and false positives by size of the dictionary, before and after the filter.

    ``rows`` as in toy.json; only the table "sizes" is drawn.
    """
    chosen = [row for row in rows if row["table"] == "sizes"]
    sizes = sorted({row["latents"] for row in chosen})
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(9.2, 3.9), layout="constrained")
        recall, false = figure.subplots(1, 2)
        for form in NAMES:
            members = sorted(
                (row for row in chosen if row["form"] == form), key=lambda row: row["latents"]
            )
            _recall(recall, members, form)
            _false_positives(false, members, form, sizes)
        for axes in (recall, false):
            axes.set_xticks(range(len(sizes)), [str(size) for size in sizes])
            axes.set_xlabel("latents")
            axes.grid(axis="y", color="#e5e7eb", linewidth=0.8)
            axes.set_axisbelow(True)
        recall.set_ylim(0, 1)
        recall.set_ylabel("exclusive concepts recovered")
        recall.legend(frameon=False, loc="upper left")
        false.set_ylabel("false positives per crosscoder")
        false.bar([0], [0], color="#111827", label="recover a shared concept")
        false.bar([0], [0], color="#111827", alpha=0.35, label="recover no concept")
        false.plot([], [], "_", color="#111827", markersize=11, label="left by the filter")
        false.legend(frameon=False)
        path.parent.mkdir(parents=True, exist_ok=True)
        figure.savefig(path, metadata={"Date": None}, facecolor="white")


def _recall(axes: Axes, members: Sequence[dict[str, Any]], form: str) -> None:
    """All features as a line with intervals, those that pass the filter as a dashed line."""
    places = range(len(members))
    means = [row["recall"]["mean"] for row in members]
    intervals = [
        row["recall"]["interval_95"] or (mean, mean)
        for row, mean in zip(members, means, strict=True)
    ]
    axes.errorbar(
        places,
        means,
        [
            [mean - low for mean, (low, _) in zip(means, intervals, strict=True)],
            [high - mean for mean, (_, high) in zip(means, intervals, strict=True)],
        ],
        color=COLOURS[form],
        marker="o",
        markersize=4,
        capsize=2,
        label=NAMES[form],
    )
    passing = [row["filtered_recall"]["mean"] for row in members]
    label = "with the filter" if form == "strict" else None
    axes.plot(places, passing, "--", color=COLOURS[form], linewidth=1, label=label)


def _false_positives(
    axes: Axes, members: Sequence[dict[str, Any]], form: str, sizes: Sequence[int]
) -> None:
    places = [sizes.index(row["latents"]) + SHIFT[form] for row in members]
    shared = [row["shared_concept"]["mean"] for row in members]
    none = [row["no_concept"]["mean"] for row in members]
    axes.bar(places, shared, 0.24, color=COLOURS[form])
    axes.bar(places, none, 0.24, bottom=shared, color=COLOURS[form], alpha=0.35)
    left = [
        row["filtered_shared_concept"]["mean"] + row["filtered_no_concept"]["mean"]
        for row in members
    ]
    axes.plot(places, left, "_", color="#111827", markersize=11)
