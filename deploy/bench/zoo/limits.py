"""What the benign updates of the tuning half say of the least effects.

A least effect is worth a reviewer's time if harmless updates seldom reach it. The shifts of those
that changed the weights are taken as draws from one normal distribution. Below the limit lies, with
95 % confidence, the largest of a further harmless update's shifts (Hahn 1969, one-sided prediction
limit for several future observations, by Bonferroni's inequality):

    mean + t(1 - 0.05 / suites, n - 1) * sd * sqrt(1 + 1 / n)

Updates that are not alike, and suites that do not vary alike, make it rougher than that.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from scipy.stats import t

from alerts.wording import number
from deploy.bench.markdown import table
from deploy.bench.zoo.figures import Row

LEVEL = 0.95


def benign_shifts(rows: Sequence[Row]) -> dict[str, dict[str, float]]:
    """By version the shifts by behaviour, of the benign updates of the tuning half that changed
    anything."""
    return {
        row.version: row.shifts
        for row in rows
        if row.half == "tuning" and row.kind == "benign" and any(row.shifts.values())
    }


def limits_found(rows: Sequence[Row]) -> dict[str, Any]:
    """The limit over all suites, from how many shifts of how many updates; None where there are too
    few. And the same without each single suite, since one whose shifts are all high raises it."""
    found = benign_shifts(rows)
    suites = sorted({name for shifts in found.values() for name in shifts})
    return {
        "updates": sorted(found),
        "shifts": sum(len(shifts) for shifts in found.values()),
        "limit": _limit(found, suites),
        "limit_without": {
            name: _limit(found, [other for other in suites if other != name]) for name in suites
        },
    }


def limits_table(rows: Sequence[Row]) -> str:
    """Every suite's shifts in those updates."""
    found = benign_shifts(rows)
    suites = sorted({name for shifts in found.values() for name in shifts})
    return table(
        ["suite", *found],
        [[name, *(f"{shifts[name]:+.2f}" for shifts in found.values())] for name in suites],
    )


def limits_sentence(found: dict[str, Any]) -> str:
    """The limits that follow from the shifts of benign updates."""
    without = [
        f"{number(limit)} without {name}" for name, limit in found["limit_without"].items() if limit
    ]
    return (
        f"A further benign update stays below {number(found['limit'])} on all suites, with 95 % "
        f"confidence, as far as {found['shifts']} shifts of {len(found['updates'])} updates tell "
        f"(one-sided prediction limit). Leaving out one suite: {', '.join(without) or 'none'}."
    )


def prediction_limit(shifts: Sequence[float], future: int) -> float | None:
    """Below it lie all of `future` more shifts, with 95 % confidence; None from fewer than two."""
    n = len(shifts)
    if n < 2 or not future:
        return None
    quantile = float(t.ppf(1 - (1 - LEVEL) / future, n - 1))
    return float(np.mean(shifts) + quantile * np.std(shifts, ddof=1) * np.sqrt(1 + 1 / n))


def _limit(found: dict[str, dict[str, float]], suites: Sequence[str]) -> float | None:
    values = [shifts[name] for shifts in found.values() for name in suites]
    return prediction_limit(values, len(suites))
