"""When who hears of an alert, from its routes, its severity and its state alone."""

from typing import Any

import pytest
from pydantic import ValidationError

from alerts.alert import Alert, Finding
from alerts.alert_events import Acknowledge, Measured, Propose
from alerts.alert_steps import begin, step
from alerts.escalation import first_told_at, notice_times, remind
from alerts.routing import Route
from alerts.verdict import Severity

MONDAY_22 = 1_795_471_200.0  # 2026-11-23 22:00 UTC
MORNING = MONDAY_22 + 9 * 3600.0
NIGHTS = {"zone": "UTC", "start": "22:00", "end": "07:00"}
LADDER = [
    {"after_seconds": 900, "mention": "S0SAFETY"},
    {"after_seconds": 2700, "destinations": ["oncall"]},
]


def route(**changes: Any) -> Route:
    plain = {"channel": "C0A", "destinations": ["hook"], "ladder": LADDER}
    return Route.model_validate({**plain, **changes})


def opened(severity: Severity, at: float) -> Alert:
    return begin(Measured(Finding.FLAGGED, severity, "it flatters"), at)


def test_a_destination_hears_at_once_and_the_next_one_when_the_ladder_is_climbed() -> None:
    alert = opened("critical", 1000.0)
    assert notice_times([route()], alert) == {"hook": 1000.0, "oncall": 3700.0}


def test_of_several_routes_the_earliest_time_counts() -> None:
    times = notice_times([route(), route(destinations=["oncall"])], opened("warning", 1000.0))
    assert times == {"hook": 1000.0, "oncall": 1000.0}


def test_the_ladder_ends_with_an_answer() -> None:
    answered = step(opened("critical", 1000.0), Acknowledge("ann", 1), 1200.0)
    assert isinstance(answered, Alert)
    assert notice_times([route()], answered) == {"hook": 1000.0}


def test_in_quiet_hours_warnings_wait_and_the_ladder_begins_at_their_end() -> None:
    quiet = route(quiet=[NIGHTS])
    alert = opened("warning", MONDAY_22)
    assert notice_times([quiet], alert) == {"hook": MORNING, "oncall": MORNING + 2700.0}
    assert remind([quiet], alert, MORNING - 1.0) == []
    assert remind([quiet], alert, MORNING + 899.0) == []
    assert len(remind([quiet], alert, MORNING + 900.0)) == 1


def test_what_is_critical_never_waits() -> None:
    quiet = route(quiet=[NIGHTS])
    alert = opened("critical", MONDAY_22)
    assert notice_times([quiet], alert) == {"hook": MONDAY_22, "oncall": MONDAY_22 + 2700.0}
    assert len(remind([quiet], alert, MONDAY_22 + 900.0)) == 1


def test_a_rung_that_falls_into_quiet_hours_waits_for_their_end() -> None:
    alert = opened("warning", MONDAY_22 - 600.0)
    assert notice_times([route(quiet=[NIGHTS])], alert)["oncall"] == MORNING


@pytest.mark.parametrize(
    "wrong, message",
    [
        ({"channel": None, "destinations": [], "ladder": []}, "a route leads nowhere"),
        ({"channel": None}, "a mention is made in a channel of Slack"),
        ({"ladder": [{"after_seconds": 900}]}, "a rung tells nobody"),
        ({"destinations": ["On-Call"]}, "must be a name of small letters"),
        ({"quiet": [{**NIGHTS, "end": "22:00"}]}, "leave no time of the week free"),
    ],
)
def test_routes_that_can_not_be_followed_are_refused(wrong: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        route(**wrong)


def test_two_rungs_at_one_time_and_two_routes_to_one_channel_lose_no_mention() -> None:
    alert = opened("warning", MONDAY_22)
    both = [{"after_seconds": 900, "mention": name} for name in ("S0SAFETY", "S0LEADS")]
    one = route(ladder=both)
    other = route(ladder=[{"after_seconds": 900, "mention": "S0LEGAL"}], quiet=[NIGHTS])
    said = remind([one, other], alert, MONDAY_22 + 900.0)
    assert [reminder.text.split()[0] for reminder in said] == [
        "<!subteam^S0SAFETY>",
        "<!subteam^S0LEADS>",
    ]
    said = remind([one, other], alert, MORNING + 900.0)
    assert len({reminder.key for reminder in said}) == len(said) == 4  # and a repetition
    assert first_told_at([one, other], "warning", MONDAY_22) == MONDAY_22
    assert first_told_at([other], "warning", MONDAY_22) == MORNING


def test_a_reminder_says_for_how_long_nobody_has_answered() -> None:
    alert = opened("warning", MONDAY_22 + 600.0)
    [reminder] = remind([route(quiet=[NIGHTS])], alert, MORNING + 900.0)
    assert "nobody has acknowledged this for 9 h 5 min" in reminder.text
    later = remind([route()], alert, MONDAY_22 + 600.0 + 3600.0)
    assert "nobody has acknowledged this for 1 h 0 min" in later[0].text


def test_a_proposal_is_repeated_whoever_is_at_work_and_climbs_no_ladder() -> None:
    alert: Alert = opened("critical", 1000.0)
    for event in (Acknowledge("ann", 1), Propose("ann", 2, "wanted")):
        changed = step(alert, event, 2000.0)
        assert isinstance(changed, Alert)
        alert = changed
    often = route(repeat_seconds=600.0)
    assert remind([often], alert, 2599.0) == []
    [reminder] = remind([often], alert, 2600.0)
    assert reminder.text.startswith("Nobody has answered for 10 min")
    assert "ann wants to *trust* this version (wanted)" in reminder.text
