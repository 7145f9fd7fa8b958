"""Whole rounds: real directories, a real database; only the comparison is stood in."""

import subprocess
import sys
from itertools import pairwise

import pytest
from sqlalchemy import select

from monitor.database.schema import Audit, Diff, Observation, Version
from monitor.errors import LeaseLostError
from monitor.jobs import diff_claims, diff_endings
from monitor.watching.rounds import RETRY_SECONDS, watch_forever
from tests.monitor.watching.standin import BrokenWorker, StandInWorker
from tests.monitor.watching.watched import WatchedDirectory


def test_every_new_version_is_compared_with_the_trusted_one(watched: WatchedDirectory) -> None:
    for seed, name in enumerate(["v1", "good-2", "bad-3"]):
        watched.push(name, seed)
    assert watched.watch() == 1
    assert watched.states() == {"v1": "trusted", "good-2": "passed", "bad-3": "flagged"}
    with watched.sessions() as session:
        base = session.scalars(select(Version).filter_by(name="v1")).one()
        assert set(session.scalars(select(Diff.base_digest))) == {base.content_digest}


def test_a_second_round_finds_nothing_new(watched: WatchedDirectory) -> None:
    for seed, name in enumerate(["v1", "good-2", "bad-3"]):
        watched.push(name, seed)
    watched.watch()
    counts = [watched.count(table) for table in (Version, Diff, Observation, Audit)]
    assert watched.watch() == 0
    assert [watched.count(table) for table in (Version, Diff, Observation, Audit)] == counts


def test_an_undecided_version_is_never_quiet(watched: WatchedDirectory) -> None:
    watched.push("v1", 0)
    watched.push("odd-2", 1)
    assert watched.watch() == 3
    assert watched.states()["odd-2"] == "undecided"
    assert watched.watch() == 3
    assert watched.worker.ran == ["odd-2"]  # a verdict of undecided is no reason to try again


def test_a_failed_comparison_is_tried_again_in_the_next_round(watched: WatchedDirectory) -> None:
    watched.push("v1", 0)
    watched.push("broken-2", 1)
    assert watched.watch() == 3
    assert "no space left" in str(watched.rows()["broken-2"].reason)
    watched.worker.repaired = True
    watched.clock.now += 10.0
    assert watched.watch() == 0
    assert watched.worker.ran == ["broken-2", "broken-2"]


@pytest.mark.parametrize(
    ("name", "codes", "state"),
    [("odd-cut-2", [3, 3, 3], "undecided"), ("bad-cut-2", [1, 0, 0], "flagged")],
)
def test_a_verdict_after_a_failed_stage_is_tried_again(
    watched: WatchedDirectory, name: str, codes: list[int], state: str
) -> None:
    watched.push("v1", 0)
    watched.push(name, 1)
    for code, repaired in zip(codes, [False, True, True], strict=True):
        watched.worker.repaired = repaired
        assert watched.watch() == code
        assert watched.states()[name] == state
        watched.clock.now += 10.0
    assert watched.worker.ran == [name, name]  # the repaired one needs no third try


def test_what_was_queued_under_another_recipe_is_compared_by_the_present_one(
    watched: WatchedDirectory,
) -> None:
    watched.push("v1", 0)
    watched.push("good-2", 1)
    watched.worker = BrokenWorker(watched.sessions, watched.settings)
    watched.watch()
    watched.worker = StandInWorker(watched.sessions, watched.settings)
    watched.worker.clock = lambda: watched.clock.now + 1.0
    watched.worker.recipe = "changed"
    assert watched.watch() == 0
    with watched.sessions() as session:
        found = session.execute(select(Diff.recipe_digest, Diff.state).order_by(Diff.id))
        assert [tuple(row) for row in found] == [("changed", "done")]


def test_what_a_killed_process_had_begun_under_another_recipe_is_compared_by_the_present_one(
    watched: WatchedDirectory,
) -> None:
    watched.push("v1", 0)
    watched.push("good-2", 1)
    watched.worker = BrokenWorker(watched.sessions, watched.settings)
    watched.watch()
    owner = subprocess.run(
        [sys.executable, "-c", "from monitor.owner import this_process; print(this_process())"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout.strip()
    now = watched.clock.now
    with watched.sessions.begin() as session:
        killed = diff_claims.claim_next(session, now, owner, 600.0)
        assert killed is not None
        diff_id, fence = killed.id, killed.fence
    watched.worker = BrokenWorker(watched.sessions, watched.settings)
    watched.worker.recipe = "changed"
    assert watched.watch() == 3
    with pytest.raises(LeaseLostError), watched.sessions.begin() as session:
        diff_endings.release(session, diff_id, fence, now)
    watched.worker = StandInWorker(watched.sessions, watched.settings)
    watched.worker.clock = lambda: watched.clock.now + 1.0
    watched.worker.recipe = "changed"
    assert watched.watch() == 0
    with watched.sessions() as session:
        found = session.execute(select(Diff.recipe_digest, Diff.state, Diff.attempt))
        assert [tuple(row) for row in found] == [("changed", "done", 2)]


def test_what_had_failed_under_the_present_recipe_is_asked_for_under_it_again(
    watched: WatchedDirectory,
) -> None:
    watched.push("v1", 0)
    watched.push("broken-2", 1)
    assert watched.watch() == 3
    watched.worker = BrokenWorker(watched.sessions, watched.settings)
    watched.worker.recipe = "changed"
    watched.clock.now += 10.0
    assert watched.watch() == 3
    watched.worker = StandInWorker(watched.sessions, watched.settings)
    watched.worker.clock = lambda: watched.clock.now + 1.0
    watched.worker.repaired = True
    assert watched.watch() == 0 and watched.states()["broken-2"] == "passed"
    with watched.sessions() as session:
        found = session.execute(select(Diff.recipe_digest, Diff.state).order_by(Diff.id))
        assert [tuple(row) for row in found] == [("recipe", "done"), ("changed", "cancelled")]


def test_a_worker_that_cannot_run_leaves_versions_unchecked(watched: WatchedDirectory) -> None:
    watched.push("v1", 0)
    watched.push("good-2", 1)
    watched.worker = BrokenWorker(watched.sessions, watched.settings)
    assert watched.watch() == 3
    assert watched.states()["good-2"] == "checking" and watched.said[-1] == "the store is full"
    watched.worker = StandInWorker(watched.sessions, watched.settings)
    assert watched.watch() == 0


def test_watching_goes_on_until_it_is_stopped(watched: WatchedDirectory) -> None:
    watched.push("v1", 0)
    watched.push("broken-2", 1)
    pauses = 0

    class StoppedError(Exception):
        pass

    def sleep(seconds: float) -> None:
        nonlocal pauses
        assert seconds == watched.settings.poll_seconds
        pauses += 1
        watched.clock.sleep(seconds)
        if pauses == 2:
            watched.push("good-3", 2)
            watched.clock.now += 100.0
        elif pauses == 5:
            watched.worker.repaired = True
            watched.clock.now += RETRY_SECONDS
        elif pauses == 7:
            raise StoppedError

    with pytest.raises(StoppedError):
        watch_forever(watched.settings, watched.around._replace(sleep=sleep))
    assert watched.worker.ran == ["broken-2", "good-3", "broken-2"]
    assert watched.states() == {"v1": "trusted", "broken-2": "passed", "good-3": "passed"}


def start_watching(watched: WatchedDirectory) -> None:
    """One round of a watch that begins anew."""

    class StoppedError(Exception):
        pass

    def stop(_: float) -> None:
        raise StoppedError

    with pytest.raises(StoppedError):
        watch_forever(watched.settings, watched.around._replace(sleep=stop))


def test_a_restart_of_the_watch_costs_no_further_try(watched: WatchedDirectory) -> None:
    watched.push("v1", 0)
    watched.push("broken-2", 1)
    watched.watch()
    assert watched.worker.ran == ["broken-2"]
    for _ in range(5):
        watched.clock.now += RETRY_SECONDS / 6
        start_watching(watched)
    assert watched.worker.ran == ["broken-2"]
    watched.clock.now += RETRY_SECONDS / 6 + 60.0
    start_watching(watched)
    assert watched.worker.ran == ["broken-2", "broken-2"]


@pytest.mark.parametrize("name", ["broken-2", "odd-cut-2"])
def test_what_always_fails_is_tried_ever_less_often_and_at_least_once_a_day(
    watched: WatchedDirectory, name: str
) -> None:
    watched.push("v1", 0)
    watched.push(name, 1)
    tried: list[int] = []
    for half_hours in range(2 * 24 * 4):  # the eighth try comes after 79 hours
        start_watching(watched)
        if len(watched.worker.ran) > len(tried):
            tried.append(half_hours)
        watched.clock.now += 1800.0
    hours = [(later - sooner) // 2 for sooner, later in pairwise(tried)]
    assert hours == [1, 2, 4, 8, 16, 24, 24]


def test_what_waits_for_a_further_try_begins_without_failures_under_another_recipe(
    watched: WatchedDirectory,
) -> None:
    watched.push("v1", 0)
    watched.push("broken-2", 1)
    watched.watch()
    watched.clock.now += 10.0
    watched.worker = BrokenWorker(watched.sessions, watched.settings)
    watched.watch()  # queued again, and not run
    watched.worker.recipe = "changed"
    watched.watch()
    with watched.sessions() as session:
        found = session.execute(select(Diff.recipe_digest, Diff.state, Diff.failures))
        assert [tuple(row) for row in found] == [("changed", "queued", 0)]


def test_a_result_ends_the_row_of_failures(watched: WatchedDirectory) -> None:
    watched.push("v1", 0)
    watched.push("broken-2", 1)
    for failures in (1, 2, 0):
        watched.worker.repaired = failures == 0
        watched.watch()
        watched.clock.now += 10.0
        with watched.sessions() as session:
            assert session.scalars(select(Diff.failures)).all() == [failures]


def test_all_lines_are_looked_at_between_two_comparisons(watched: WatchedDirectory) -> None:
    class Pushing(StandInWorker):
        def run(self, diff: Diff) -> None:
            super().run(diff)
            if len(self.ran) == 1:
                watched.push("good-4", 4)

    for seed, name in enumerate(("v1", "good-2", "good-3")):
        watched.push(name, seed)
    watched.worker = Pushing(watched.sessions, watched.settings)
    watched.worker.clock = lambda: watched.clock.now + 1.0
    start_watching(watched)  # until there is nothing to compare
    assert len(watched.worker.ran) == 3 and watched.worker.ran[1] == "good-4"
