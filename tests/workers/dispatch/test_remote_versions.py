"""Versions that lie on the Hub, compared by a worker whose disk has none of their files; and what
ends a long download in the middle."""

import json
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest
from pydantic import SecretStr
from sqlalchemy import select

from deploy.bench.made_up import write_checkpoint
from monitor.database.opening import open_database
from monitor.database.schema import Diff, DiffState, Trust, Version
from monitor.jobs import diff_claims, diff_endings, outbox
from monitor.jobs.outbox import relay
from monitor.jobs.progress import Step
from monitor.jobs.readings import Readings
from monitor.pace import FETCHED
from monitor.settings import Settings, load_settings
from tests.fakes.hub import TOKEN, FakeHub, fake_hub
from tests.monitor.watching.standin import StandInWorker
from tests.monitor.watching.watched import WatchedLine
from tests.services import RedisServer
from tests.waiting import until
from tests.workers.service import FAKE_DIFF, FAKE_WORKER, ROOT, Process, Sessions
from workers.dispatch.celery_app import make_app, send
from workers.dispatch.claim import present_recipe
from workers.dispatch.supervised import FETCH, run_due
from workers.dispatch.workplace import Workplace

PATIENCE_SECONDS = 300.0
"""Two workers start in the test, which takes long on a busy machine."""


class Elsewhere(StandInWorker):
    """Leaves what is queued to workers of other hosts."""

    def run_queued(self) -> None:
        pass


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[FakeHub]:
    with fake_hub() as running:
        running.private = True
        for seed in range(2):
            running.push(write_checkpoint(tmp_path / "pushed", seed), 86_400.0 * (1 + seed))
        running.tags["v1"] = next(iter(running.commits))
        yield running


@pytest.fixture
def settings(hub: FakeHub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    monkeypatch.setenv("LATENTWATCH_HUB__TOKEN", TOKEN)
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    line = {"name": "chat", "hub": {"repo": hub.repo, "refs": ["main", "v*"]}, "trusted": "v1"}
    return load_settings(
        data_dir=tmp_path / "worker",
        database_url=f"sqlite:///{tmp_path}/shared.db",
        hub={"endpoint": hub.url},
        lines=[line],
    )


@pytest.fixture
def diff_id(settings: Settings, sessions: Sessions, tmp_path: Path) -> int:
    """The queued diff of the second commit, seen by a watch with a disk of its own."""
    watch = WatchedLine(tmp_path / "watch", sessions, {"directory": tmp_path})
    watch.settings = settings.model_copy(update={"data_dir": tmp_path / "watch"})
    watch.worker = Elsewhere(sessions, settings)
    watch.worker.recipe = present_recipe(settings)
    assert watch.watch() == 3
    with sessions() as session:
        return session.scalars(select(Diff.id)).one()


def row(sessions: Sessions, diff_id: int) -> Diff:
    with sessions() as session:
        return session.get_one(Diff, diff_id)


def at_once(sessions: Sessions, diff_id: int) -> None:
    """Have what waits for another try be due now."""
    with sessions.begin() as session:
        session.get_one(Diff, diff_id).not_before = 0.0
        outbox.wake(session, session.get_one(Diff, diff_id))


def test_a_worker_fetches_both_versions_itself(
    settings: Settings, sessions: Sessions, diff_id: int
) -> None:
    run_due(Workplace(sessions, settings, FAKE_DIFF, lambda: False, "w"), diff_id)
    assert row(sessions, diff_id).state == DiffState.DONE
    with sessions() as session:
        states = session.scalars(select(Version.state).order_by(Version.id)).all()
    assert states == [Trust.TRUSTED, Trust.PASSED]
    blobs = settings.data_dir / "downloads" / "blobs"
    assert len([blob for blob in blobs.iterdir() if blob.stat().st_size > 1000]) >= 2


def test_while_the_hub_is_away_the_diff_waits(
    settings: Settings, sessions: Sessions, diff_id: int, hub: FakeHub
) -> None:
    hub.gone = True
    place = Workplace(sessions, settings, FAKE_DIFF, lambda: False, "w")
    run_due(place, diff_id)
    waiting = row(sessions, diff_id)
    assert waiting.state == DiffState.QUEUED and "can't be fetched now" in str(waiting.error)
    hub.gone = False
    at_once(sessions, diff_id)
    run_due(place, diff_id)
    assert row(sessions, diff_id).state == DiffState.DONE


def test_the_comparing_process_gets_no_token(
    settings: Settings, sessions: Sessions, diff_id: int, tmp_path: Path
) -> None:
    told = tmp_path / "told"
    script = f"import os, sys; open({str(told)!r}, 'w').write(sys.stdin.read() + str(os.environ))"
    run_due(
        Workplace(sessions, settings, (sys.executable, "-c", script), lambda: False, "w"), diff_id
    )
    assert "hf:acme/chat@" in told.read_text() and TOKEN not in told.read_text()


@pytest.fixture
def slow(hub: FakeHub, monkeypatch: pytest.MonkeyPatch) -> FakeHub:
    """The weights take it some ten seconds."""
    monkeypatch.setattr("workers.processes.heartbeat.BEAT_SECONDS", 0.2)
    hub.requests.clear()
    hub.pause = 0.5
    return hub


def is_half_fetched(settings: Settings, hub: FakeHub) -> bool:
    """Whether some of the weights has arrived."""
    return offsets(hub) != [] and any(parts(settings.data_dir))


def parts(data_dir: Path) -> list[int]:
    """Sizes of what has arrived of files."""
    return [part.stat().st_size for part in (data_dir / "downloads" / "blobs").glob("*.part")]


def offsets(hub: FakeHub) -> list[int]:
    """From where on the weights were asked for."""
    return [
        int(headers["range"].removeprefix("bytes=").rstrip("-"))
        for _, path, headers in hub.requests
        if path.startswith("/blobs/")
    ]


@pytest.mark.parametrize("how", ["cancelled", "taken over", "told to stop"])
def test_who_has_to_end_in_the_middle_of_a_download_does(
    settings: Settings, sessions: Sessions, diff_id: int, slow: FakeHub, how: str
) -> None:
    stop = threading.Event()
    place = Workplace(sessions, settings, FAKE_DIFF, stop.is_set, "w")
    running = threading.Thread(target=lambda: run_due(place, diff_id))
    running.start()
    until(lambda: is_half_fetched(settings, slow))
    until(lambda: row(sessions, diff_id).progress is not None)
    running_row = row(sessions, diff_id)
    step = Step.of_json(str(running_row.progress))
    assert (running_row.stage, step.what) == (FETCH, FETCHED) and step.done < step.total
    # A worker that fetches is known to live while the broker is away.
    readings = Readings.of_json(str(running_row.readings))
    assert readings.worker == "w" and readings.memory > 1 << 20
    if how == "told to stop":
        stop.set()
    else:
        with sessions.begin() as session:
            if how == "cancelled":
                diff_endings.request_cancel(session, diff_id, "ann: not needed", time.time())
            else:
                assert diff_claims.claim_next(session, 1e12, "elsewhere:1:1", 60.0) is not None
    running.join(timeout=60.0)
    [arrived] = parts(settings.data_dir)
    assert arrived > 0 and offsets(slow) == [0]
    ended = row(sessions, diff_id)
    if how == "cancelled":
        assert (ended.state, ended.owner) == (DiffState.CANCELLED, None)
        assert str(ended.error).endswith("not needed")
    elif how == "taken over":
        assert (ended.state, ended.owner) == (DiffState.RUNNING, "elsewhere:1:1")
    else:
        assert (ended.state, ended.attempt, ended.error) == (DiffState.QUEUED, 0, None)


def test_the_deadline_counts_from_the_claim_and_the_next_try_goes_on(
    settings: Settings, sessions: Sessions, diff_id: int, slow: FakeHub
) -> None:
    broker = settings.broker.model_copy(update={"deadline_seconds": 6.0})
    hurried = settings.model_copy(update={"broker": broker})
    run_due(Workplace(sessions, hurried, FAKE_DIFF, lambda: False, "w"), diff_id)
    waiting = row(sessions, diff_id)
    assert waiting.state == DiffState.QUEUED
    assert "fetching took longer than 6 seconds" in str(waiting.error)
    [arrived] = parts(settings.data_dir)
    slow.pause = 0.0
    at_once(sessions, diff_id)
    run_due(Workplace(sessions, settings, FAKE_DIFF, lambda: False, "w"), diff_id)
    assert row(sessions, diff_id).state == DiffState.DONE
    assert offsets(slow) == [0, arrived, 0] and arrived > 0  # the last one is the other version's


@pytest.fixture
def start(
    settings: Settings, redis_server: RedisServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[[str], Process]]:
    """Starts a real worker that knows the line; all are gone when the test ends."""
    broker = settings.broker.model_copy(update={"url": SecretStr(redis_server.url)})
    monkeypatch.setenv("LATENTWATCH_HUB__ENDPOINT", str(settings.hub.endpoint))
    lines = [line.model_dump(mode="json", exclude_none=True) for line in settings.lines]
    monkeypatch.setenv("LATENTWATCH_LINES", json.dumps(lines))
    started: list[Process] = []

    def begin(name: str) -> Process:
        known = settings.model_copy(update={"broker": broker})
        relay(open_database(known.database_url), partial(send, make_app(known)), time.time())
        started.append(Process(known, tmp_path / f"{name}.log", FAKE_WORKER, name))
        return started[-1]

    yield begin
    for process in started:
        process.end()


def test_sigterm_ends_a_download_and_the_next_worker_goes_on(
    start: Callable[[str], Process],
    settings: Settings,
    sessions: Sessions,
    diff_id: int,
    slow: FakeHub,
) -> None:
    slow.pause = 1.0
    first = start("one")
    until(lambda: is_half_fetched(settings, slow), PATIENCE_SECONDS)
    first.signal(signal.SIGTERM)
    assert first.popen.wait(PATIENCE_SECONDS) == 0, first.log.read_text()
    stopped = row(sessions, diff_id)
    assert (stopped.state, stopped.attempt, stopped.error) == (DiffState.QUEUED, 0, None)
    slow.pause = 0.0
    second = start("two")
    until(lambda: row(sessions, diff_id).state == DiffState.DONE, PATIENCE_SECONDS)
    assert len(offsets(slow)) == 3 and offsets(slow)[1] > 0, second.log.read_text()
