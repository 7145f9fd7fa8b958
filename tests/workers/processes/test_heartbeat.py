"""What a heartbeat tells of how long the work stands still, and when it says that it is over."""

import threading
from pathlib import Path

import pytest
from sqlalchemy.orm import Session

from monitor.database.opening import open_database
from monitor.errors import LeaseLostError
from monitor.jobs.readings import Readings
from tests.workers.conftest import Silent
from workers.processes.heartbeat import LEASE_SECONDS, Heartbeat, Told


def test_to_be_told_the_same_again_is_no_movement(tmp_path: Path) -> None:
    told: list[Readings] = []
    now = 100.0

    def renew(session: Session, at: float, what: Told) -> None:
        if what.readings is not None:
            told.append(what.readings)

    sessions = open_database(f"sqlite:///{tmp_path}/latentwatch.db")
    beating = Heartbeat(sessions, renew, Silent(), lambda: now)
    beating.note(Readings("gpu-0", 1 << 30))
    steps = [(0, "begin"), (1, 5), (2, 5), (3, 6), (4, 6)]
    moved = []
    for seconds, done in steps:
        now = 100.0 + seconds
        if isinstance(done, str):
            beating.begin("train")
        else:
            beating.step("steps", done, 10)
        beating.confirm()
        moved.append(told[-1].moved_at)
    assert moved == [100.0, 101.0, 101.0, 103.0, 103.0]
    assert {one.began_at for one in told} == {100.0}


def test_a_lease_that_was_not_kept_in_time_is_lost_though_the_renewal_only_hangs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 100.0
    monkeypatch.setattr("workers.processes.heartbeat.time.monotonic", lambda: now)
    monkeypatch.setattr("workers.processes.heartbeat.BEAT_SECONDS", 0.0)
    hangs, over = threading.Event(), threading.Event()

    def renew(*_: object) -> None:
        hangs.set()
        over.wait()

    sessions = open_database(f"sqlite:///{tmp_path}/latentwatch.db")
    with Heartbeat(sessions, renew, Silent(), lambda: 0.0) as beating:
        try:
            hangs.wait()
            now += LEASE_SECONDS
            beating.step("steps", 1, 10)
            now += 1.0
            with pytest.raises(LeaseLostError, match="the database was away"):
                beating.step("steps", 2, 10)
        finally:
            over.set()
