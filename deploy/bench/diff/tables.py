"""The table of docs/scale.md: `python -m deploy.bench.diff.tables`."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from deploy.bench.checkpoint import measured_checkpoint
from deploy.bench.markdown import table as markdown
from deploy.bench.results import DIRECTORY, kept
from monitor.settings import load_settings
from workers.cost.estimate import estimate, planned
from workers.cost.machine import MACHINES
from workers.cost.plan import Assumed
from workers.cost.shape import read_shape
from workers.inputs import load_inputs

COLD, KNOWN = "cold", "base known"
Stages = Mapping[str, float]


def predicted(recipe: dict[str, Any], base: Path, known_base: bool) -> Stages:
    """Seconds that the cost model predicts on `cpu-2` where nothing is flagged, by stage."""
    shape, inputs = read_shape(base), load_inputs(load_settings(recipe=recipe).recipe)
    diff = planned(shape, shape, inputs, Assumed(shifted=0, known_base=known_base))
    stages = estimate(diff, MACHINES["cpu-2"]).stages
    return {name: 60 * stage.minutes for name, stage in stages.items()}


def level(predicted: Stages, measured: Stages) -> float:
    """How many times as long all measured stages took as was predicted for them."""
    both = predicted.keys() & measured.keys()
    return sum(measured[name] for name in both) / sum(predicted[name] for name in both)


def cost_table(result: dict[str, Any], base: Path) -> str:
    """Predicted over measured seconds by stage, after all predictions were multiplied by the one
    number that makes those of the cold check add up."""
    measured = {check: result["checks"][check]["stages"] for check in (COLD, KNOWN)}
    said = {check: predicted(result["recipe"], base, check == KNOWN) for check in measured}
    times = level(said[COLD], measured[COLD])
    head = ["stage"] + [f"{check}: {what}" for check in measured for what in ("seconds", "ratio")]
    lines = [
        [stage]
        + [
            cell
            for check, stages in measured.items()
            for cell in (
                f"{stages[stage]:.0f}",
                f"{times * said[check][stage] / stages[stage]:.2f}",
            )
        ]
        for stage in measured[COLD]
        if min(stages[stage] for stages in measured.values()) >= 1.0
    ]
    sums = ["all stages"]
    for check, stages in measured.items():
        sums += [f"{sum(stages.values()):.0f}", f"{times / level(said[check], stages):.2f}"]
    return markdown(head, [*lines, sums]) + f"\n\nPredictions times {times:.2f}."


def main() -> None:
    """Print the table of the kept result."""
    with measured_checkpoint(False, None) as base:
        sys.stdout.write(cost_table(kept(DIRECTORY, "diff"), base) + "\n")


if __name__ == "__main__":
    main()
