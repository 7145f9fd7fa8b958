"""When a push is complete: by marker, by quiet period, and never by its name alone."""

import pytest

from monitor.checkpoints.listing import FileStat, Listing
from monitor.sources.readiness import NotReady, Ready, Rule, Sight, look, readiness

QUIET = Rule(ready_marker=None, quiet_seconds=60.0, quiet_polls=2)
MARKED = Rule(ready_marker="READY", quiet_seconds=60.0, quiet_polls=2)


def listing(**modified: float) -> Listing:
    """Files by name, with the second in which they were modified."""
    files = (
        FileStat(name.replace("_DOT_", "."), 1, int(second * 1e9), int(second * 1e9), 1)
        for name, second in modified.items()
    )
    return Listing(tuple(sorted(files)))


def reason(sight: Sight, rule: Rule, now: float) -> str:
    found = readiness(sight, rule, now)
    assert isinstance(found, NotReady)
    return found.reason


def test_a_push_whose_files_are_old_is_ready_at_first_sight() -> None:
    sight = look(None, listing(a=100.0), now=160.0)
    assert readiness(sight, QUIET, 160.0) == Ready()
    assert "within the last 60 s" in reason(sight, QUIET, 159.0)


def test_a_copy_that_keeps_old_times_is_as_new_as_the_copying() -> None:
    copied = Listing((FileStat("a", 1, int(5e9), int(100e9), 1),))
    sight = look(None, copied, now=110.0)
    assert "within the last 60 s" in reason(sight, QUIET, 110.0)
    assert readiness(sight, QUIET, 160.0) == Ready()


def test_a_push_with_times_in_the_future_is_ready_after_enough_quiet_polls() -> None:
    future = listing(a=9e9)
    sight = look(None, future, 0.0)
    sight = look(sight, future, 30.0)
    assert reason(sight, QUIET, 30.0)
    sight = look(sight, future, 59.0)
    assert reason(sight, QUIET, 59.0)  # two polls, but not yet 60 s
    sight = look(sight, future, 60.0)
    assert readiness(sight, QUIET, 60.0) == Ready()


def test_one_long_pause_between_two_polls_is_not_enough_polls() -> None:
    future = listing(a=9e9)
    sight = look(look(None, future, 0.0), future, 1000.0)
    assert reason(sight, QUIET, 1000.0)


@pytest.mark.parametrize(
    "changed",
    [
        listing(a=9e9, b=9e9),
        listing(a=8e9),
        Listing((FileStat("a", 2, int(9e18), int(9e18), 1),)),
        Listing((FileStat("a", 1, int(9e18), int(9e18), 2),)),
    ],
    ids=["another file", "another time", "another size", "another inode"],
)
def test_every_change_starts_the_quiet_period_again(changed: Listing) -> None:
    first = listing(a=9e9)
    sight = look(look(look(None, first, 0.0), first, 30.0), first, 60.0)
    assert readiness(sight, QUIET, 60.0) == Ready()
    sight = look(sight, changed, 90.0)
    assert (sight.since, sight.polls) == (90.0, 0)
    assert reason(sight, QUIET, 120.0)


def test_a_marker_that_is_newest_makes_a_push_ready_at_once() -> None:
    assert readiness(look(None, listing(a=5.0, READY=5.0), 5.0), MARKED, 5.0) == Ready()


def test_a_marker_that_a_copy_brings_before_the_rest_makes_no_push_ready() -> None:
    """As rsync does, which keeps the times of what it copies."""
    marker = FileStat("READY", 1, int(5e9), int(100e9), 1)
    late = FileStat("a.safetensors", 1, int(4e9), int(103e9), 1)
    sight = look(None, Listing((marker, late)), 110.0)
    assert "within the last 60 s" in reason(sight, MARKED, 110.0)
    assert readiness(sight, MARKED, 163.0) == Ready()
    first = look(None, Listing((marker, late._replace(ctime_ns=int(99e9)))), 110.0)
    assert readiness(first, MARKED, 110.0) == Ready()


def test_a_missing_marker_is_waited_for_however_quiet_it_is() -> None:
    assert "'READY' is not there" in reason(look(None, listing(a=5.0), 5.0), MARKED, 1e6)


def test_a_marker_left_over_from_an_earlier_push_does_not_count() -> None:
    sight = look(None, listing(READY=5.0, config_DOT_json=4.0, b_DOT_safetensors=6.0), 5.0)
    assert "'b.safetensors' is newer than the marker" in reason(sight, MARKED, 1e6)


@pytest.mark.parametrize("name", ["rng_state_7.pth", "eval_results.json", "optimizer.pt"])
def test_what_counts_for_nothing_may_come_after_the_marker(name: str) -> None:
    """As a rank that saves its state a moment after rank 0 has set the marker."""
    files = listing(READY=5.0, a_DOT_safetensors=4.0).files
    late = FileStat(name, 1, int(6e9), int(6e9), 1)
    assert readiness(look(None, Listing((*files, late)), 6.0), MARKED, 6.0) == Ready()


def test_a_marker_in_a_subdirectory_is_no_marker() -> None:
    sight = look(None, Listing((FileStat("global_step1/READY", 0, 0, 0, 1),)), 5.0)
    assert reason(sight, MARKED, 1e6)


@pytest.mark.parametrize("rule", [QUIET, MARKED])
@pytest.mark.parametrize("name", ["a.tmp", "tmp-a", "shard-unfinished", ".incomplete", "d/a.tmp"])
def test_unfinished_files_are_waited_for(name: str, rule: Rule) -> None:
    files = (FileStat("READY", 0, 9, 9, 1), FileStat(name, 1, 0, 0, 2))
    assert repr(name) in reason(look(None, Listing(files), 0.0), rule, 1e6)


def test_empty_and_unreadable_pushes_are_not_ready() -> None:
    assert "is empty" in reason(look(None, Listing(()), 0.0), QUIET, 1e6)
    assert reason(look(None, Listing((), "a pipe"), 0.0), QUIET, 1e6) == "a pipe"


def test_only_the_quiet_period_is_called_settling() -> None:
    settling = readiness(look(None, listing(a=100.0), 100.0), QUIET, 100.0)
    waiting = readiness(look(None, listing(a=100.0), 100.0), MARKED, 100.0)
    assert isinstance(settling, NotReady) and settling.settling
    assert isinstance(waiting, NotReady) and not waiting.settling
