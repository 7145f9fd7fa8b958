"""The chaos suite in short, and that it would notice what it looks for."""

import json
from pathlib import Path

import pytest
from sqlalchemy import update
from sqlalchemy.orm import Session

from deploy.bench.chaos import actors, command
from deploy.bench.chaos.schedule import Fault, Schedule, Timed, draw
from deploy.bench.chaos.simulation import simulate
from monitor import jobs
from monitor.outbox import forget
from monitor.schema import Version


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


def test_a_lost_message_that_nobody_sends_again_is_noticed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(actors, "reconcile_once", lambda *_: None)
    killed = tuple(Timed(number / 50, Fault.WORKER_KILLED) for number in range(4, 20))
    assert simulate(Schedule(1, 1, killed), tmp_path).lost


def test_a_verdict_without_a_fence_and_a_changed_row_are_noticed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def by_hand(
        session: Session, diff_id: int, fence: int, text: str, now: float, error: str | None
    ) -> None:
        forget(session, diff_id)
        session.execute(update(Version).where(Version.name == "v1").values(state="passed"))

    monkeypatch.setattr(jobs, "finish", by_hand)
    found = simulate(Schedule(2, 1, ()), tmp_path)
    assert any("but the log says checking" in problem for problem in found.broken)
