"""How the seconds of a stage grow with the size of what it works on: a line through the points."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from alerts.pages.svg import ROLES, styled
from alerts.wording import number
from deploy.bench.picture import save

COLOURS = ("candidate", "base", "ablated", "induced")


class Growth(NamedTuple):
    """A stage at several sizes."""

    stage: str
    sizes: list[int]
    seconds: list[float]

    @property
    def line(self) -> tuple[float, float]:
        """Seconds at no size, and seconds per unit of size: least squares."""
        slope, constant = np.polyfit(self.sizes, self.seconds, 1)
        return float(constant), float(slope)

    @property
    def r2(self) -> float | None:
        """Part of the seconds' variance that the line explains; None where they do not vary."""
        constant, slope = self.line
        seconds = np.array(self.seconds)
        variance = ((seconds - seconds.mean()) ** 2).sum()
        if variance == 0:
            return None
        left = ((seconds - constant - slope * np.array(self.sizes)) ** 2).sum()
        return float(1 - left / variance)


@styled
def draw(tokens: Sequence[Growth], latents: Sequence[Growth], path: Path) -> None:
    """Seconds of stages over positions, and over latents, with their lines."""
    figure = Figure(figsize=(9.2, 4.0), layout="constrained")
    left, right = figure.subplots(1, 2)
    _panel(left, tokens, "positions")
    _panel(right, latents, "latents")
    told = "; ".join(
        f"{one.stage} over {what}: {number(1000 * one.line[1])} s per thousand"
        for what, found in (("positions", tokens), ("latents", latents))
        for one in found
    )
    save(figure, path, "How the stages of a check grow", told)


def _panel(axes: Axes, found: Sequence[Growth], what: str) -> None:
    for one, role in zip(found, COLOURS, strict=False):
        constant, slope = one.line
        ends = np.array([0, max(one.sizes)])
        axes.plot(ends, constant + slope * ends, color=ROLES[role], linewidth=1)
        axes.plot(one.sizes, one.seconds, "o", color=ROLES[role], label=one.stage)
    axes.set_xlabel(what)
    axes.set_title("seconds", loc="left", fontsize=11)
    axes.set_xlim(left=0)
    axes.set_ylim(bottom=0)
    axes.grid(axis="y", color=ROLES["band"], linewidth=0.8)
    axes.set_axisbelow(True)
    axes.legend(frameon=False)
