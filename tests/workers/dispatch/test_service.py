"""Real workers on a real Redis: whatever is killed or lost, every diff gets exactly one verdict."""

import json
import os
import signal
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import psutil
import pytest
from sqlalchemy import select

from deploy.bench.made_up import write_checkpoint
from monitor.database.opening import open_database
from monitor.database.schema import DiffState, Outgoing, Question, QuestionState, WorkerRow
from monitor.jobs.outbox import Message, relay
from monitor.jobs.reconcile import LOST_AFTER_SECONDS
from monitor.settings import Settings, load_settings
from tests.services import RedisServer, new_database, postgres_server
from tests.waiting import until
from tests.workers.asking import ask_about
from tests.workers.service import COMMAND, FAKE_WORKER, Process, Pushes, Sessions
from workers.dispatch.celery_app import make_app, queue_depths, send
from workers.dispatch.service import reconcile_once

pytestmark = pytest.mark.long


@pytest.fixture(params=["sqlite", "postgresql"])
def settings(request: pytest.FixtureRequest, tmp_path: Path, redis_server: RedisServer) -> Settings:
    url = f"sqlite:///{tmp_path}/data/latentwatch.db"
    if request.param == "postgresql":
        url = new_database(request.getfixturevalue("postgres"))
    return load_settings(
        data_dir=tmp_path / "data", database_url=url, broker={"url": redis_server.url}
    )


ONE_DATABASE = pytest.mark.parametrize("settings", ["sqlite"], indirect=True)
POSTGRESQL = pytest.mark.parametrize("settings", ["postgresql"], indirect=True)


@pytest.fixture
def start(settings: Settings, tmp_path: Path) -> Iterator[Callable[..., Process]]:
    """Starts a process by its script; all are gone when the test ends."""
    started: list[Process] = []

    def begin(script: str, *args: str) -> Process:
        log = tmp_path / f"process-{len(started)}.log"
        started.append(Process(settings, log, script, *args))
        return started[-1]

    yield begin
    for process in started:
        process.end()


@pytest.fixture
def start_with(tmp_path: Path) -> Iterator[Callable[[Settings], Process]]:
    """Starts a worker with other settings; it is gone when the test ends."""
    started: list[Process] = []

    def begin(settings: Settings) -> Process:
        started.append(Process(settings, tmp_path / "worker.log", FAKE_WORKER, "one"))
        return started[-1]

    yield begin
    for process in started:
        process.end()


@pytest.fixture
def look(sessions: Sessions, settings: Settings) -> Callable[..., None]:
    """One look of the reconciler, `later` seconds from now."""
    app = make_app(settings)

    def once(later: float = 0.0) -> None:
        reconcile_once(
            sessions,
            partial(queue_depths, app),
            partial(send, app),
            print,
            lambda: time.time() + later,
        )

    return once


@POSTGRESQL
def test_whatever_is_killed_there_is_one_verdict(
    pushes: Pushes,
    start: Callable[..., Process],
    sessions: Sessions,
    settings: Settings,
) -> None:
    reconcilers = [start(COMMAND, "reconcile") for _ in range(2)]
    worker = start(FAKE_WORKER, "one")
    diff_id = pushes.queue("slow")
    for victim in ("diff", "pool process", "worker"):
        before = len(pushes.starts("slow"))
        pushes.at_once()
        until(lambda count=before: len(pushes.starts("slow")) > count)  # type: ignore[misc]
        comparing = pushes.starts("slow")[-1]
        if victim == "diff":
            os.kill(comparing, signal.SIGKILL)
        elif victim == "pool process":
            worker.pool_process.kill()
        else:
            worker.signal(signal.SIGKILL)
        until(lambda pid=comparing: not psutil.pid_exists(pid))  # type: ignore[misc]
        until(lambda: pushes.row(diff_id).state == DiffState.QUEUED)
        assert pushes.row(diff_id).error is not None
    reconcilers[0].signal(signal.SIGKILL)  # the other one takes the lead
    start(FAKE_WORKER, "two")
    pushes.go()
    pushes.at_once()
    row = pushes.ended(diff_id)
    assert (row.state, row.attempt, row.fence) == (DiffState.DONE, 4, 4)
    assert len(pushes.starts("slow")) == 4
    assert len(list(settings.data_dir.glob("reports/*/*/verdict.json"))) == 1


@POSTGRESQL
def test_a_question_wakes_a_worker_and_its_end_is_written(
    pushes: Pushes, start: Callable[..., Process], sessions: Sessions
) -> None:
    start(COMMAND, "reconcile")
    start(FAKE_WORKER, "one")
    diff_id = pushes.queue("good")
    assert pushes.ended(diff_id).state == DiffState.DONE
    question_id = ask_about(sessions, diff_id, "Is it good?")

    def question() -> Question:
        with sessions() as session:
            return session.get_one(Question, question_id)

    until(lambda: question().finished_at is not None)
    # By the real process, which finds nothing that a real comparison would have kept.
    assert (question().state, question().attempt) == (QuestionState.FAILED, 1)
    assert "is no longer kept, or it never came so far; check the version again" in str(
        question().error
    )


@ONE_DATABASE
def test_messages_that_come_twice_or_are_lost_change_nothing(
    pushes: Pushes,
    start: Callable[..., Process],
    look: Callable[..., None],
    sessions: Sessions,
    settings: Settings,
    redis_server: RedisServer,
) -> None:
    app = make_app(settings)
    first, second = pushes.queue("first"), pushes.queue("second")
    look()
    assert queue_depths(app) == {"gpu": 2, "cpu": 0}
    body = json.loads(redis_server.client.lindex("latentwatch:gpu", 0))
    assert body["content-type"] == "application/json"
    for _ in range(2):
        send(app, Message(first, "gpu"))
    start(FAKE_WORKER, "one")
    for diff_id in (first, second):
        assert pushes.ended(diff_id).state == DiffState.DONE
    until(lambda: queue_depths(app)["gpu"] == 0)
    assert len(pushes.starts("first")) == len(pushes.starts("second")) == 1

    third = pushes.queue("third")
    redis_server.kill()
    with pytest.raises(Exception, match="Redis can't be reached"):
        look()
    redis_server.start()
    look()  # what was not sent is sent
    assert pushes.ended(third).state == DiffState.DONE

    fourth = pushes.queue("fourth")
    relay(sessions, lambda message: None, time.time())  # "sent", and lost
    look(LOST_AFTER_SECONDS - 5.0)
    assert pushes.row(fourth).state == DiffState.QUEUED
    look(LOST_AFTER_SECONDS + 5.0)
    assert pushes.ended(fourth).state == DiffState.DONE
    with sessions() as session:
        assert session.scalars(select(Outgoing)).all() == []


@ONE_DATABASE
def test_redis_flushed_in_the_middle_loses_nothing(
    pushes: Pushes,
    start: Callable[..., Process],
    look: Callable[..., None],
    redis_server: RedisServer,
) -> None:
    waiting, running = pushes.queue("waiting"), pushes.queue("slow")  # the newest comes first
    start(FAKE_WORKER, "one")
    look()
    until(lambda: pushes.starts("slow"))
    redis_server.client.flushall()
    pushes.go()
    assert pushes.ended(running).state == DiffState.DONE
    look(LOST_AFTER_SECONDS + 5.0)
    assert pushes.ended(waiting).state == DiffState.DONE
    assert len(pushes.starts("slow")) == len(pushes.starts("waiting")) == 1


@ONE_DATABASE
def test_redis_restarted_during_a_diff_costs_no_try_and_the_worker_goes_on_taking(
    pushes: Pushes,
    start: Callable[..., Process],
    look: Callable[..., None],
    redis_server: RedisServer,
) -> None:
    running = pushes.queue("slow")
    start(FAKE_WORKER, "one")
    look()
    until(lambda: pushes.starts("slow"))
    redis_server.kill()
    time.sleep(1.0)
    redis_server.start()
    pushes.go()
    row = pushes.ended(running)
    assert (row.state, row.attempt) == (DiffState.DONE, 1)
    after = pushes.queue("after")
    look()
    assert pushes.ended(after).state == DiffState.DONE
    assert len(pushes.starts("slow")) == len(pushes.starts("after")) == 1


def test_postgresql_restarted_during_a_diff_costs_no_try(
    tmp_path: Path, redis_server: RedisServer, start_with: Callable[[Settings], Process]
) -> None:
    with postgres_server() as server:
        settings = load_settings(
            data_dir=tmp_path / "data",
            database_url=new_database(server.url),
            broker={"url": redis_server.url},
        )
        sessions, app = open_database(settings.database_url), make_app(settings)
        pushes = Pushes(tmp_path, sessions, settings)
        running = pushes.queue("slow")
        start_with(settings)
        relay(sessions, partial(send, app), time.time())
        until(lambda: pushes.starts("slow"))
        server.stop()
        pushes.go()
        time.sleep(2.0)  # it has ended, and its result waits for the database
        server.start()
        row = pushes.ended(running)
        assert (row.state, row.attempt) == (DiffState.DONE, 1)
        after = pushes.queue("after")
        relay(sessions, partial(send, app), time.time())
        assert pushes.ended(after).state == DiffState.DONE
        sessions.kw["bind"].dispose()


@POSTGRESQL
def test_a_worker_told_to_stop_gives_back_and_another_goes_on(
    pushes: Pushes,
    start: Callable[..., Process],
    look: Callable[..., None],
    sessions: Sessions,
) -> None:
    diff_id = pushes.queue("slow")
    first = start(FAKE_WORKER, "one")
    look()
    until(lambda: pushes.row(diff_id).progress is not None)
    with sessions() as session:
        assert session.scalars(select(WorkerRow.name)).all() == ["one"]
    first.signal(signal.SIGTERM)
    assert first.popen.wait(timeout=30) == 0
    row = pushes.row(diff_id)
    assert (row.state, row.attempt, row.error) == (DiffState.QUEUED, 0, None)
    with sessions() as session:
        assert session.scalars(select(WorkerRow.name)).all() == []
    start(FAKE_WORKER, "two")
    look()
    until(lambda: len(pushes.starts("slow")) == 2)
    pushes.go()
    assert pushes.ended(diff_id).state == DiffState.DONE


@ONE_DATABASE
def test_a_running_diff_is_shown_and_cancelled_by_command(
    pushes: Pushes, start: Callable[..., Process], look: Callable[..., None]
) -> None:
    behind, diff_id = pushes.queue("behind"), pushes.queue("slow")
    start(FAKE_WORKER, "one")
    look()
    until(lambda: pushes.row(diff_id).progress is not None)
    status = start(COMMAND, "status")
    assert status.popen.wait(timeout=60) == 0
    shown = status.log.read_text()
    for part in ("comparisons: slow", "train", "steps", "10000 (", "one", "alive"):
        assert part in shown, shown
    assert "oldest unchecked: comparisons: base (new)" in shown
    cancel = start(COMMAND, "cancel", "comparisons", "slow", "--reason", "not needed")
    assert cancel.popen.wait(timeout=60) == 0, cancel.log.read_text()
    row = pushes.ended(diff_id)
    assert row.state == DiffState.CANCELLED and str(row.error).endswith("not needed")
    assert pushes.ended(behind).state == DiffState.DONE


@ONE_DATABASE
def test_a_watch_with_a_broker_has_its_workers_compare(
    pushes: Pushes, start: Callable[..., Process], tmp_path: Path
) -> None:
    config = tmp_path / "latentwatch.toml"
    pushes.root = tmp_path / "chat"
    write_checkpoint(tmp_path / "chat" / "v1")
    write_checkpoint(tmp_path / "chat" / "v2", 7)
    config.write_text(
        '[[lines]]\nname = "chat"\ndirectory = "chat"\nquiet_seconds = 0.0\ntrusted = "v1"\n'
    )
    start(FAKE_WORKER, "one")
    watch = start(COMMAND, "watch", "--once")
    assert watch.popen.wait(timeout=60) == 0, watch.log.read_text()
    assert "passed" in watch.log.read_text() and len(pushes.starts("v2")) == 1
