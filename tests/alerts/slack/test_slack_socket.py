"""The waits between two tries to open Slack's socket."""

from collections.abc import Iterator
from threading import Event

from alerts.channel import ChannelError, NotNowError, UnclearError
from alerts.slack.socket import _connect_later

AWAY = "Slack did not answer"


class Waits(Event):
    """Never ends, and takes no time; notes how long it was waited for."""

    def __init__(self) -> None:
        super().__init__()
        self.seconds: list[float | None] = []

    def wait(self, timeout: float | None = None) -> bool:
        self.seconds.append(timeout)
        return False


def connect_after(failures: list[ChannelError]) -> tuple[list[float | None], list[str]]:
    """The waits until it is connected, of which all but the first follow another failure, and what
    was reported."""
    waits, reports = Waits(), list[str]()
    left: Iterator[ChannelError] = iter(failures[1:])

    def connect() -> None:
        for error in left:
            raise error

    _connect_later(connect, failures[0], waits, reports.append)
    return waits.seconds, reports


def test_each_wait_is_twice_as_long_up_to_two_minutes_and_one_reason_is_told_once() -> None:
    waits, reports = connect_after([UnclearError(AWAY) for _ in range(7)])
    assert waits == [5.0, 10.0, 20.0, 40.0, 80.0, 120.0, 120.0]
    assert reports == [
        f"Socket Mode: no answers can be taken yet: {AWAY}; it is tried again",
        "Socket Mode: answers are taken now",
    ]


def test_slack_is_not_asked_sooner_than_it_says() -> None:
    asked_to_wait = NotNowError("Slack asks to wait", 300.0)
    waits, reports = connect_after([asked_to_wait, UnclearError(AWAY), NotNowError("brief", 1.0)])
    assert waits == [300.0, 10.0, 20.0]
    assert len(reports) == 4
