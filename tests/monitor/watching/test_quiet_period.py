"""A push is waited for until its marker, or a quiet period, says that it is complete."""

import os

import pytest

from monitor.errors import RefusedPushError, UnknownVersionError
from monitor.lineage.lookup import find_current, find_line
from monitor.watching.rounds import watch_once
from tests.monitor.watching.watched import WatchedDirectory


def test_one_round_waits_for_the_quiet_period(watched: WatchedDirectory) -> None:
    watched.configure(quiet_seconds=50.0, quiet_polls=5)
    watched.push("v1", 0)
    for file in watched.push("good-2", 1).iterdir():
        os.utime(file, (9e9, 9e9))  # times that say nothing
    assert watched.watch() == 0
    assert watched.clock.slept == [10.0] * 5


def test_files_older_than_the_quiet_period_are_not_waited_for(watched: WatchedDirectory) -> None:
    watched.configure(quiet_seconds=900.0)
    watched.push("v1", 0)
    assert watched.watch() == 0
    assert watched.clock.slept == []


def test_a_push_that_does_not_come_to_rest_is_undecided(watched: WatchedDirectory) -> None:
    watched.configure(quiet_seconds=900.0, quiet_polls=3)
    watched.push("v1", 0)
    growing = watched.push("good-2", 1) / "log.txt"

    def sleep_while_it_grows(seconds: float) -> None:
        watched.clock.sleep(seconds)
        with growing.open("a") as stream:
            stream.write("still training\n")
        os.utime(growing, (watched.clock.now, watched.clock.now))

    os.utime(growing.parent / "config.json", (watched.clock.now, watched.clock.now))
    around = watched.around._replace(sleep=sleep_while_it_grows)
    assert watch_once(watched.settings, around) == 3
    assert "still being written" in str(watched.rows()["good-2"].reason)
    watched.clock.now += 10_000
    assert watched.watch() == 0


def test_a_marker_decides_without_waiting(watched: WatchedDirectory) -> None:
    watched.configure(ready_marker="READY", quiet_seconds=1e7)
    (watched.push("v1", 0) / "READY").touch()
    watched.push("good-2", 1)
    assert watched.watch() == 3
    assert "marker 'READY' is not there" in str(watched.rows()["good-2"].reason)
    with watched.sessions() as session, pytest.raises(UnknownVersionError) as told:
        find_current(session, find_line(session, "chat"), "good-2")
    assert "still to be taken in" in str(told.value)
    assert not isinstance(told.value, RefusedPushError)  # for which a gate would not wait
    (watched.directory / "good-2" / "READY").touch()
    assert watched.watch() == 0
    assert watched.clock.slept == []
