"""Quiet hours in the reader's time zone, over midnight, weekends and changes of the clock."""

from datetime import datetime
from zoneinfo import ZoneInfo

import pytest
from pydantic import ValidationError

from alerts.quiet_hours import QuietHours, end_of_quiet, refuse_endless

BERLIN = ZoneInfo("Europe/Berlin")
WORKDAYS = ["mon", "tue", "wed", "thu"]
NIGHTS = QuietHours.model_validate(
    {"zone": "Europe/Berlin", "start": "22:00", "end": "07:00", "days": WORKDAYS}
)
WEEKEND = [
    QuietHours.model_validate({"zone": "Europe/Berlin", "start": start, "end": end, "days": [day]})
    for day, start, end in (("fri", "22:00", "00:00"), ("sat", "00:00", "00:00"))
]
SUNDAY = QuietHours.model_validate(
    {"zone": "Europe/Berlin", "start": "00:00", "end": "07:00", "days": ["sun"]}
)

KEYS = ("zone", "start", "end")


def at(text: str) -> float:
    return datetime.fromisoformat(text).replace(tzinfo=BERLIN).timestamp()


@pytest.mark.parametrize(
    "now, ends",
    [
        ("2026-11-23 21:59:59", "2026-11-23 21:59:59"),  # Monday
        ("2026-11-23 22:00:00", "2026-11-24 07:00:00"),
        ("2026-11-24 06:59:59", "2026-11-24 07:00:00"),
        ("2026-11-24 07:00:00", "2026-11-24 07:00:00"),
        ("2026-11-27 23:00:00", "2026-11-27 23:00:00"),  # no night begins on a Friday
        ("2026-11-26 23:00:00", "2026-11-27 07:00:00"),  # Thursday's ends on Friday
    ],
)
def test_a_night_belongs_to_the_day_on_which_it_begins(now: str, ends: str) -> None:
    assert end_of_quiet([NIGHTS], at(now)) == at(ends)


def test_hours_that_follow_each_other_are_one() -> None:
    assert end_of_quiet([*WEEKEND, SUNDAY], at("2026-11-27 22:30:00")) == at("2026-11-29 07:00:00")


@pytest.mark.parametrize("night, hours", [("2026-03-28 22:00:00", 8), ("2026-10-24 22:00:00", 10)])
def test_a_night_in_which_the_clock_changes_ends_by_the_clock(night: str, hours: int) -> None:
    every_day = QuietHours.model_validate(
        {"zone": "Europe/Berlin", "start": "22:00", "end": "07:00"}
    )
    assert end_of_quiet([every_day], at(night)) - at(night) == hours * 3600


@pytest.mark.parametrize(
    "wrong, message",
    [
        ({"zone": "Berlin"}, "no time zone is called 'Berlin'"),
        ({"zone": "../etc/passwd"}, "no time zone"),
        ({"start": "22:00+02:00"}, "without an offset"),
        ({"days": ["monday"]}, "days"),
    ],
)
def test_what_can_not_be_meant_is_refused(wrong: dict[str, object], message: str) -> None:
    plain = {"zone": "Europe/Berlin", "start": "22:00", "end": "07:00"}
    with pytest.raises(ValidationError, match=message):
        QuietHours.model_validate({**plain, **wrong})


def test_a_week_that_is_quiet_throughout_is_refused() -> None:
    always = QuietHours.model_validate({"zone": "UTC", "start": "00:00", "end": "00:00"})
    with pytest.raises(ValueError, match="leave no time of the week free in January"):
        refuse_endless([always])
    assert end_of_quiet([always], 5.0) == 5.0  # whoever is told then is at least told


@pytest.mark.parametrize(
    "first, second",
    [
        (("America/New_York", "00:00", "12:00"), ("UTC", "16:00", "04:00")),
        (("Europe/London", "18:00", "09:00"), ("America/Los_Angeles", "01:00", "10:00")),
    ],
)
def test_hours_that_leave_no_time_free_in_one_season_are_refused(
    first: tuple[str, str, str], second: tuple[str, str, str]
) -> None:
    hours = [
        QuietHours.model_validate(dict(zip(KEYS, one, strict=True))) for one in (first, second)
    ]
    refuse_endless(hours[:1])
    with pytest.raises(ValueError, match="leave no time of the week free in"):
        refuse_endless(hours)
