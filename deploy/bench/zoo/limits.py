"""What harmless updates do to every suite, and from where on a shift is judged beside them."""

from typing import Any

from alerts.deciding.calibration import Calibration
from alerts.wording import number, percent
from deploy.bench.markdown import table


def limits_of(calibration: Calibration) -> dict[str, Any]:
    """The shifts of the updates by which the zoo is calibrated, and what they ask for, by suite."""
    shifts = {
        behaviour: {null.of: null.score for null in nulls.nulls if null.kind == "release"}
        for behaviour, nulls in calibration.scores.items()
    }
    suites = {
        behaviour: {
            "shifts": shifts[behaviour],
            "noise_floor": nulls.noise_floor,
            "threshold": nulls.threshold,
            "limit": nulls.release_limit,
        }
        for behaviour, nulls in calibration.scores.items()
    }
    updates = sorted({name for of_suite in shifts.values() for name in of_suite})
    return {"alpha": calibration.alpha, "updates": updates, "suites": suites}


def limits_table(found: dict[str, Any]) -> str:
    """Every suite's shifts in those updates, its noise floor, its threshold and its limit."""
    updates = found["updates"]
    return table(
        ["suite", *updates, "noise floor", "threshold", "limit"],
        [
            [
                name,
                *(f"{one['shifts'][update]:+.2f}" for update in updates),
                number(one["noise_floor"]),
                number(one["threshold"]),
                number(one["limit"]),
            ]
            for name, one in found["suites"].items()
        ],
    )


def limits_sentence(found: dict[str, Any]) -> str:
    """What the limits and thresholds of `limits_table` ask of a shift."""
    return (
        f"In nats per token. One more harmless update like these {len(found['updates'])} stays "
        f"below all limits but for a chance of {percent(found['alpha'])}, as far as they tell: a "
        "shift may be flagged from its limit on where that is less than its suite's least effect, "
        "but not below the policy's least. It has to exceed the threshold in any case."
    )
