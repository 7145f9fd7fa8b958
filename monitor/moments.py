"""How long to wait, and whether a moment that was written down has come, also when the clock was
set back since.

A moment that lies further ahead than anybody ever waits was written by a clock that was wrong, so
nobody waits for it.
"""

from sqlalchemy import ColumnElement, or_
from sqlalchemy.orm import InstrumentedAttribute

SKEW_SECONDS = 60.0
"""By how much the clocks of two hosts may differ."""


def doubled(first: float, times: int, longest: float) -> float:
    """Seconds to wait after the failure number `times`: `first` after the first one, twice as long
    after every further one, `longest` at most."""
    return min(first * 2.0 ** min(max(times - 1, 0), 64), longest)


def has_come(moment: float, now: float, longest: float) -> bool:
    """Whether `moment`, at most `longest` seconds ahead when it was written, has come at `now`."""
    return moment <= now or moment > now + longest + SKEW_SECONDS


def has_come_sql(
    moment: InstrumentedAttribute[float] | InstrumentedAttribute[float | None],
    now: float,
    longest: float,
) -> ColumnElement[bool]:
    """`has_come` of a column."""
    return or_(moment <= now, moment > now + longest + SKEW_SECONDS)
