"""What the cost model says of the checks that were timed."""

from pathlib import Path

import pytest

from deploy.bench.diff.command import SHORT
from deploy.bench.diff.tables import cost_table, predicted


def test_one_factor_makes_the_cold_check_add_up_and_the_other_is_judged_by_it(
    tiny_checkpoint: Path,
) -> None:
    said = predicted(SHORT.whole, tiny_checkpoint, known_base=False)
    known = predicted(SHORT.whole, tiny_checkpoint, known_base=True)
    assert said["answers"] > known["answers"] and said["train"] == known["train"] > 0
    cold = {stage: 1e6 * seconds for stage, seconds in said.items() if seconds}
    # Another machine altogether, on which training is slower than that.
    slow = {stage: 1e6 * known[stage] * (2 if stage == "train" else 1) for stage in cold}
    checks = {"cold": {"stages": cold}, "base known": {"stages": slow}}
    *lines, times = cost_table({"checks": checks, "recipe": SHORT.whole}, tiny_checkpoint).split(
        "\n"
    )
    rows = {cells[0]: cells for line in lines if len(cells := line.strip("| ").split(" | ")) == 5}
    assert times == "Predictions times 1000000.00."
    assert {row[2] for stage, row in rows.items() if stage != "stage" and row[2] != "---"} == {
        "1.00"
    }
    assert rows["train"][4] == "0.50" and rows["answers"][4] == "1.00"
    assert float(rows["all stages"][4]) == pytest.approx(
        sum(known[stage] for stage in cold) / sum(slow.values()) * 1e6, abs=0.006
    )
