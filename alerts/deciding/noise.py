"""How large a shift is that means nothing. Free of scipy: processes that only hand work on and
never compute read calibrations, and its import alone takes seconds."""

import math
from collections.abc import Sequence
from typing import NamedTuple


class NotMeasurableError(ValueError):
    """Too few items were scored for any statement about a shift."""


class NoiseFloor(NamedTuple):
    """The largest null shift in size, and of how many it is the largest."""

    floor: float
    n: int


def noise_floor(null_shifts: Sequence[float]) -> NoiseFloor:
    """The size that a shift reaches without any change of behaviour: max |null shift|.

    `null_shifts` are shifts of numerically perturbed copies of the base against the base. There are
    few of them, and from n values no quantile finer than n/(n + 1) can be read: one more null shift
    exceeds the largest of n with a chance of 1/(n + 1). The largest is therefore the estimate that
    claims least; a standard deviation of three to five values would be unstable, and would assume a
    shape. Raises NotMeasurableError without any null shift, or with one that is not finite.
    """
    if not null_shifts or not all(map(math.isfinite, null_shifts)):
        raise NotMeasurableError(
            f"null shifts {list(null_shifts)}: at least one is needed and all must be finite"
        )
    return NoiseFloor(float(max(map(abs, null_shifts))), len(null_shifts))
