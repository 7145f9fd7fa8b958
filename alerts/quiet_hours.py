"""When warnings wait: hours of the week, in the time zone of those who read them."""

from collections.abc import Sequence
from datetime import UTC, date, datetime, time, timedelta
from typing import Literal, Self, get_args
from zoneinfo import ZoneInfo

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

Day = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
DAYS: tuple[Day, ...] = get_args(Day)
_WEEK = 7


class QuietHours(BaseModel):
    """Quiet from `start` to the next `end`; 24 hours where they are equal."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    zone: str
    """A name of the IANA time zone database, such as `Europe/Berlin`."""
    start: time
    end: time
    days: list[Day] = Field(default=list(DAYS), min_length=1)
    """On which quiet hours begin."""

    @field_validator("zone")
    @classmethod
    def _known(cls, zone: str) -> str:
        try:
            ZoneInfo(zone)
        except (OSError, ValueError, KeyError) as error:
            raise ValueError(f"no time zone is called {zone!r}; write Europe/Berlin") from error
        return zone

    @model_validator(mode="after")
    def _local(self) -> Self:
        if self.start.tzinfo is not None or self.end.tzinfo is not None:
            raise ValueError("start and end are times of `zone`: write them without an offset")
        return self

    def end_if_quiet(self, at: float) -> float | None:
        """When the quiet hours end in which the time `at` lies; None where it lies in none."""
        zone = ZoneInfo(self.zone)
        today = datetime.fromtimestamp(at, zone).date()
        for began in (today - timedelta(days=1), today):
            if DAYS[began.weekday()] in self.days:
                ends = began + timedelta(days=self.end <= self.start)
                if _moment(began, self.start, zone) <= at < _moment(ends, self.end, zone):
                    return _moment(ends, self.end, zone)
        return None


def end_of_quiet(hours: Sequence[QuietHours], at: float) -> float:
    """The first time from `at` on that lies in none of `hours`: `at` itself where it isn't quiet,
    and where they never end: to be told at a bad time is better than never."""
    found = _first_free(hours, at)
    return at if found is None else found


def refuse_endless(hours: Sequence[QuietHours]) -> None:
    """Raises ValueError where `hours` leave no time of a week free in any season: zones go over to
    summer time on different days, or never."""
    for month in range(1, 13):
        for day in (1, 15, 28):
            if _first_free(hours, datetime(2026, month, day, tzinfo=UTC).timestamp()) is None:
                when = f"{date(2026, month, day):%B}"
                raise ValueError(f"the quiet hours leave no time of the week free in {when}")


def _first_free(hours: Sequence[QuietHours], at: float) -> float | None:
    for _ in range(2 * _WEEK * len(hours) + 1):
        ends = [end for one in hours if (end := one.end_if_quiet(at)) is not None]
        if not ends:
            return at
        at = max(ends)
    return None


def _moment(day: date, clock: time, zone: ZoneInfo) -> float:
    return datetime.combine(day, clock, zone).timestamp()
