"""The chaos suite in short, and that it would notice what it looks for."""

import json
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import update
from sqlalchemy.orm import Session

from deploy.bench.chaos import actors, command
from deploy.bench.chaos.schedule import Fault, Schedule, Timed, draw
from deploy.bench.chaos.simulation import simulate
from monitor.database.schema import Diff, DiffState, Version
from monitor.errors import CheckpointChangedError, SourceError
from monitor.jobs import diff_endings, leases
from monitor.jobs.outbox import forget
from workers.dispatch.claim import Claim, job_of
from workers.dispatch.conclusion import Conclusion, conclude
from workers.job import Job
from workers.processes.supervisor import Ending
from workers.verdicts.outcome import Outcome

pytestmark = pytest.mark.long

HANGS = tuple(Timed((number + 0.5) / 10, Fault.WORKER_HANGS) for number in range(8))


def test_every_fault_comes_up_and_a_seed_gives_one_schedule() -> None:
    schedules = [draw(seed) for seed in range(len(Fault))]
    assert schedules == [draw(seed) for seed in range(len(Fault))]
    assert {timed.fault for one in schedules for timed in one.faults} == set(Fault)


def test_whatever_goes_wrong_nothing_is_lost_or_doubled(capsys: pytest.CaptureFixture[str]) -> None:
    assert command.run(command.SHORT, None)
    (line,) = capsys.readouterr().out.splitlines()
    figures = json.loads(line)
    assert figures["schedules"] == sum(command.SHORT)
    assert (figures["lost"], figures["doubled"], figures["resumed_equal"]) == (0, 0, True)
    assert figures["struck"] + figures["missed"] == figures["faults"]
    assert figures["struck"] > 0


def test_a_lost_message_that_nobody_sends_again_is_noticed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(actors, "reconcile_once", lambda *_: None)
    killed = tuple(Timed(number / 50, Fault.WORKER_KILLED) for number in range(4, 20))
    assert simulate(Schedule(1, 1, killed), tmp_path).lost


def test_a_state_that_the_audit_log_knows_nothing_of_is_noticed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def by_hand(
        session: Session, diff_id: int, fence: int, text: str, now: float, error: str | None
    ) -> None:
        forget(session, diff_id)
        session.execute(update(Version).where(Version.name == "v1").values(state="passed"))

    monkeypatch.setattr(diff_endings, "finish", by_hand)
    found = simulate(Schedule(2, 1, ()), tmp_path)
    assert any("but the log says checking" in problem for problem in found.broken)


def test_who_comes_back_after_its_lease_is_refused(tmp_path: Path) -> None:
    found = simulate(Schedule(1, 1, HANGS), tmp_path)
    assert found.is_clean
    assert found.stale_refused > 0


@pytest.mark.parametrize("also_ended", [True, False])
def test_results_without_a_fence_are_noticed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, also_ended: bool
) -> None:
    def unfenced(
        session: Session, _: type[Diff], diff_id: int, fence: int, **values: object
    ) -> None:
        states = list(DiffState) if also_ended else [DiffState.RUNNING]
        rows = update(Diff).where(Diff.id == diff_id, Diff.state.in_(states))
        session.execute(rows.values(**values))

    monkeypatch.setattr(leases, "write", unfenced)
    found = simulate(Schedule(1, 1, HANGS), tmp_path)
    assert any("was taken when the row was" in problem for problem in found.broken)
    assert any("with verdicts by claim" in problem for problem in found.broken)


def test_files_that_nobody_moved_and_nobody_found_are_a_loss(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def nowhere(*_: Any) -> Job:
        raise CheckpointChangedError("v1: its files are nowhere to be found any more")

    monkeypatch.setattr(actors, "job_of", nowhere)
    found = simulate(Schedule(1, 1, ()), tmp_path)
    assert len(found.lost) == 1 and not found.is_clean


def test_a_fault_without_a_victim_does_not_count(tmp_path: Path) -> None:
    faults = (Timed(0.0, Fault.DIFF_KILLED), Timed(0.0, Fault.REDELIVERED))
    assert simulate(Schedule(1, 0, faults), tmp_path).struck == ()


def test_a_simulated_worker_ends_by_an_error_as_the_real_one_does(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    endings: list[Outcome | Ending] = []

    def away_once(*arguments: Any) -> Job:
        if not endings:
            raise SourceError("away")
        return job_of(*arguments)

    def noted(claim: Claim, ended: Outcome | Ending) -> Conclusion:
        endings.append(ended)
        return conclude(claim, ended)

    monkeypatch.setattr(actors, "job_of", away_once)
    monkeypatch.setattr(actors, "conclude", noted)
    assert simulate(Schedule(1, 1, ()), tmp_path).is_clean
    assert endings[0] == Ending(crashed="away")
    assert isinstance(endings[-1], Outcome)
