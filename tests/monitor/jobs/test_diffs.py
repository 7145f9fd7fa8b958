"""The queue: one row per key, claims with fences, abandoned work, and what results lead to."""

import json
import subprocess
import sys

import pytest
from sqlalchemy import select

from monitor.database.schema import AlertRow, Diff, DiffState, Line, Trust, Version
from monitor.errors import LeaseLostError
from monitor.jobs import diff_claims, diff_endings, diff_queue
from monitor.lineage.trust import move
from monitor.owner import this_process
from tests.monitor.conftest import BOTH_DATABASES, AddVersion, Sessions

pytestmark = BOTH_DATABASES

ELSEWHERE = "another-host:1:0.00"


def verdict(outcome: str, *reasons: str) -> str:
    return json.dumps({"verdict": outcome, "reasons": list(reasons)})


@pytest.fixture
def diff(sessions: Sessions, line: Line, add_version: AddVersion) -> Diff:
    base, candidate = add_version("v1", trusted=True), add_version("v2")
    return queue(sessions, line, base, candidate)


def queue(
    sessions: Sessions, line: Line, base: Version, candidate: Version, recipe: str = "recipe"
) -> Diff:
    with sessions.begin() as session:
        base, candidate = session.merge(base), session.merge(candidate)
        return diff_queue.queue_diff(session, line, base, candidate, recipe, 10.0)


def claim(sessions: Sessions, now: float, owner: str = ELSEWHERE) -> Diff | None:
    with sessions.begin() as session:
        return diff_claims.claim_next(session, now, owner, 60.0)


def state_of(sessions: Sessions, name: str) -> tuple[str, str | None]:
    with sessions() as session:
        version = session.scalars(select(Version).filter_by(name=name)).one()
        return version.state, version.reason


def test_queueing_twice_is_one_diff(
    sessions: Sessions, line: Line, add_version: AddVersion, diff: Diff
) -> None:
    with sessions() as session:
        base, candidate = session.scalars(select(Version).order_by(Version.name)).all()
    assert queue(sessions, line, base, candidate).id == diff.id
    assert queue(sessions, line, base, candidate, recipe="another").id != diff.id
    assert state_of(sessions, "v2")[0] == Trust.CHECKING


def test_equal_content_is_never_queued(
    sessions: Sessions, line: Line, add_version: AddVersion
) -> None:
    version = add_version("v1", trusted=True)
    with pytest.raises(ValueError, match="same content"):
        queue(sessions, line, version, version)


def test_equal_weights_are_only_probed(
    sessions: Sessions, line: Line, add_version: AddVersion
) -> None:
    base = add_version("v1", trusted=True, weights="w")
    assert queue(sessions, line, base, add_version("v2", weights="w")).probe_only
    assert not queue(sessions, line, base, add_version("v3", weights="other")).probe_only


@pytest.mark.parametrize("outcome", ["passed", "flagged", "undecided"])
def test_a_verdict_moves_the_version(sessions: Sessions, diff: Diff, outcome: str) -> None:
    claimed = claim(sessions, 20.0)
    assert claimed is not None and claimed.id == diff.id
    assert (claimed.state, claimed.attempt, claimed.fence) == (DiffState.RUNNING, 1, 1)
    assert claim(sessions, 21.0) is None
    with sessions.begin() as session:
        diff_claims.heartbeat(session, diff.id, claimed.fence, 70.0, 60.0, stage="train")
    assert claim(sessions, 100.0) is None
    with sessions.begin() as session:
        diff_endings.finish(session, diff.id, claimed.fence, verdict(outcome, "because"), 110.0)
    assert state_of(sessions, "v2") == (outcome, "because")
    assert claim(sessions, 1e9) is None


def test_a_failed_diff_leaves_the_version_undecided_and_can_be_queued_again(
    sessions: Sessions, line: Line, diff: Diff
) -> None:
    claimed = claim(sessions, 20.0)
    assert claimed is not None
    with sessions.begin() as session:
        diff_endings.fail(session, diff.id, claimed.fence, "out of memory", 30.0)
    assert state_of(sessions, "v2") == (Trust.UNDECIDED, "out of memory")
    assert claim(sessions, 1e9) is None
    with sessions() as session:
        base, candidate = session.scalars(select(Version).order_by(Version.name)).all()
    assert queue(sessions, line, base, candidate).id == diff.id
    again = claim(sessions, 40.0)
    assert again is not None and again.fence == 2
    assert state_of(sessions, "v2")[0] == Trust.CHECKING


def test_an_expired_lease_is_taken_over_and_its_old_owner_writes_nothing(
    sessions: Sessions, diff: Diff
) -> None:
    first, second = claim(sessions, 20.0), claim(sessions, 80.0)
    assert first is not None and second is not None
    assert (second.fence, second.attempt) == (2, 2)
    for write in (
        lambda session: diff_claims.heartbeat(session, diff.id, first.fence, 81.0, 60.0),
        lambda session: diff_endings.finish(session, diff.id, first.fence, verdict("passed"), 81.0),
        lambda session: diff_endings.fail(session, diff.id, first.fence, "late", 81.0),
    ):
        with pytest.raises(LeaseLostError), sessions.begin() as session:
            write(session)
    assert state_of(sessions, "v2")[0] == Trust.CHECKING


def test_a_killed_process_of_this_host_loses_its_lease_at_once(
    sessions: Sessions, diff: Diff, database_url: str
) -> None:
    script = (
        "import sys, time; from monitor.jobs import diff_claims\n"
        "from monitor.owner import this_process\n"
        "from monitor.database.opening import open_database\n"
        "with open_database(sys.argv[1]).begin() as session:\n"
        "    assert diff_claims.claim_next(session, 20.0, this_process(), 600.0)\n"
        "print('claimed', flush=True); time.sleep(600)"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", script, database_url], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None and process.stdout.readline() == "claimed\n"
    assert claim(sessions, 21.0) is None
    process.kill()
    process.wait()
    taken = claim(sessions, 21.0, owner=this_process())
    assert taken is not None and taken.fence == 2
    assert claim(sessions, 22.0) is None  # the new owner is alive


def test_a_diff_that_kills_its_processes_is_given_up(sessions: Sessions, diff: Diff) -> None:
    for attempt in range(diff_endings.MAX_ATTEMPTS):
        assert claim(sessions, 100.0 * attempt) is not None
    assert claim(sessions, 1e6) is None
    state, reason = state_of(sessions, "v2")
    assert state == Trust.UNDECIDED and reason is not None and "given up" in reason


def test_a_diff_that_is_asked_for_is_not_given_up(sessions: Sessions, diff: Diff) -> None:
    for attempt in range(diff_endings.MAX_ATTEMPTS + 1):
        with sessions.begin() as session:
            assert diff_claims.claim_next(
                session, 100.0 * attempt, ELSEWHERE, 60.0, diff_id=diff.id
            )


def test_only_processes_that_died_count_as_attempts(sessions: Sessions, diff: Diff) -> None:
    for _ in range(diff_endings.MAX_ATTEMPTS + 1):
        claimed = claim(sessions, 20.0)
        assert claimed is not None and claimed.attempt == 1
        with sessions.begin() as session:
            diff_endings.release(session, diff.id, claimed.fence, 30.0)
    assert state_of(sessions, "v2")[0] == Trust.CHECKING
    with pytest.raises(LeaseLostError), sessions.begin() as session:
        diff_endings.release(session, diff.id, claimed.fence, 30.0)


@pytest.mark.parametrize("outcome", ["flagged", "undecided"])
def test_a_verdict_after_a_failure_can_be_queued_again(
    sessions: Sessions, line: Line, diff: Diff, outcome: str
) -> None:
    claimed = claim(sessions, 20.0)
    assert claimed is not None
    with sessions.begin() as session:
        text = verdict(outcome, "the stage failed")
        diff_endings.finish(session, diff.id, claimed.fence, text, 30.0, "the stage failed")
    assert state_of(sessions, "v2") == (outcome, "the stage failed")
    with sessions() as session:
        base, candidate = session.scalars(select(Version).order_by(Version.name)).all()
    again = queue(sessions, line, base, candidate)
    assert (again.id, again.state, again.attempt, again.error) == (diff.id, "queued", 0, None)
    claimed = claim(sessions, 40.0)
    assert claimed is not None
    with sessions.begin() as session:
        diff_endings.fail(session, diff.id, claimed.fence, "no memory", 50.0)
    reason = "the stage failed" if outcome == "flagged" else "no memory"
    assert state_of(sessions, "v2") == (outcome, reason)


def test_what_ended_by_a_failure_never_passes(sessions: Sessions, diff: Diff) -> None:
    claimed = claim(sessions, 20.0)
    assert claimed is not None
    with pytest.raises(ValueError, match="can't have passed"), sessions.begin() as session:
        diff_endings.finish(
            session, diff.id, claimed.fence, verdict("passed"), 30.0, "a stage failed"
        )


def test_a_claim_can_ask_for_one_diff(
    sessions: Sessions, line: Line, add_version: AddVersion
) -> None:
    base = add_version("v1", trusted=True)
    queue(sessions, line, base, add_version("v2"))
    second = queue(sessions, line, base, add_version("v3"))
    with sessions.begin() as session:
        claimed = diff_claims.claim_next(session, 20.0, ELSEWHERE, 60.0, diff_id=second.id)
    assert claimed is not None and claimed.id == second.id


def finish_next(sessions: Sessions, outcome: str, now: float) -> None:
    claimed = claim(sessions, now)
    assert claimed is not None
    with sessions.begin() as session:
        diff_endings.finish(session, claimed.id, claimed.fence, verdict(outcome, outcome), now)


def test_the_worst_of_several_bases_counts_once_all_are_done(
    sessions: Sessions, line: Line, add_version: AddVersion
) -> None:
    candidate = add_version("v3")
    queue(sessions, line, add_version("v1", trusted=True), candidate)
    queue(sessions, line, add_version("v2", trusted=True), candidate)
    finish_next(sessions, "undecided", 20.0)
    assert state_of(sessions, "v3")[0] == Trust.CHECKING
    finish_next(sessions, "passed", 21.0)
    assert state_of(sessions, "v3") == (Trust.UNDECIDED, "undecided")


def test_a_comparison_with_an_untrusted_base_decides_nothing(
    sessions: Sessions, line: Line, add_version: AddVersion
) -> None:
    queue(sessions, line, add_version("v1"), add_version("v2"))
    finish_next(sessions, "passed", 20.0)
    assert state_of(sessions, "v2")[0] == Trust.NEW


def test_a_pass_against_a_base_that_lost_its_trust_is_no_pass(
    sessions: Sessions, diff: Diff
) -> None:
    with sessions.begin() as session:
        base = session.scalars(select(Version).filter_by(name="v1")).one()
        move(session, base, Trust.QUARANTINED, actor="ann", reason="leaks", now=15.0)
    finish_next(sessions, "passed", 20.0)
    state, reason = state_of(sessions, "v2")
    assert state == Trust.UNDECIDED and reason is not None and "no longer trusted" in reason


def test_a_later_pass_does_not_take_back_a_flag(sessions: Sessions, line: Line, diff: Diff) -> None:
    finish_next(sessions, "flagged", 20.0)
    with sessions() as session:
        base, candidate = session.scalars(select(Version).order_by(Version.name)).all()
    queue(sessions, line, base, candidate, recipe="milder")
    finish_next(sessions, "passed", 30.0)
    assert state_of(sessions, "v2") == (Trust.FLAGGED, "flagged")


def test_a_decision_made_meanwhile_stands(sessions: Sessions, diff: Diff) -> None:
    with sessions.begin() as session:
        candidate = session.scalars(select(Version).filter_by(name="v2")).one()
        move(session, candidate, Trust.QUARANTINED, actor="ann", reason="stop", now=15.0)
    finish_next(sessions, "passed", 20.0)
    assert state_of(sessions, "v2") == (Trust.QUARANTINED, "stop")


@pytest.mark.parametrize("verdict_json", ["{}", '{"verdict": "fine"}'])
def test_what_is_no_verdict_is_not_stored(
    sessions: Sessions, diff: Diff, verdict_json: str
) -> None:
    claimed = claim(sessions, 20.0)
    assert claimed is not None
    with pytest.raises(ValueError, match="verdict"), sessions.begin() as session:
        diff_endings.finish(session, diff.id, claimed.fence, verdict_json, 30.0)


def test_what_waits_under_another_recipe_comes_last(
    sessions: Sessions, line: Line, add_version: AddVersion
) -> None:
    base = add_version("v1", trusted=True)
    stale = queue(sessions, line, base, add_version("v2"), recipe="older")
    own = queue(sessions, line, base, add_version("v3"), recipe="recipe")
    with sessions.begin() as session:
        session.get_one(Diff, stale.id).queued_at = 1.0  # has waited for longer
    for now, expected in ((20.0, own.id), (30.0, stale.id)):
        with sessions.begin() as session:
            found = diff_claims.claim_due(session, stale.id, now, ELSEWHERE, 900.0, "recipe")
            assert found is not None and found.id == expected


def test_what_nobody_can_take_for_a_day_fails_with_the_reason(
    sessions: Sessions, diff: Diff
) -> None:
    day = diff_endings.NOBODY_SECONDS
    begun = 10.0 + 3 * day  # however long it had waited for its turn
    for now, state in (
        (begun, DiffState.QUEUED),
        (begun + day, DiffState.QUEUED),
        (begun + day + 1.0, DiffState.FAILED),
    ):
        with sessions.begin() as session:
            session.get_one(Diff, diff.id).not_before = 0.0
        claimed = claim(sessions, now)
        assert claimed is not None
        with sessions.begin() as session:
            diff_endings.pass_on(session, diff.id, claimed.fence, "another recipe", now)
        with sessions() as session:
            assert session.get_one(Diff, diff.id).state == state
    assert state_of(sessions, "v2") == (
        Trust.UNDECIDED,
        "no worker could take it for 24 h 0 min: another recipe",
    )


def test_a_cancelled_diff_takes_nothing_from_a_verdict(
    sessions: Sessions, line: Line, diff: Diff
) -> None:
    finish_next(sessions, "passed", 20.0)
    with sessions() as session:
        base, candidate = session.scalars(select(Version).order_by(Version.name)).all()
    other = queue(sessions, line, base, candidate, recipe="other")
    assert state_of(sessions, "v2")[0] == Trust.CHECKING
    with sessions.begin() as session:
        diff_endings.request_cancel(session, other.id, "asked for under another recipe", 30.0)
    assert state_of(sessions, "v2")[0] == Trust.PASSED
    with sessions() as session:
        assert session.scalars(select(AlertRow)).all() == []
