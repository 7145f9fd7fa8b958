"""What the exporter answers when something can't be read, or not in time: all the rest."""

import socket
import threading
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from sqlalchemy import select, text
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session
from typer.testing import CliRunner

from monitor.cli import app
from monitor.database.opening import Hurry, open_database, open_reader
from monitor.database.schema import Diff, Line
from monitor.jobs.outbox import Message
from monitor.metrics.collector import CACHED_SECONDS, HURRY
from monitor.metrics.exporter import serve_metrics
from monitor.metrics.reading import Reading
from monitor.settings import Settings
from monitor.settings.broker import BrokerSettings
from tests.monitor.conftest import BOTH_DATABASES, Sessions
from tests.monitor.metrics.scraped import DATABASE_PARTS, Clock, Scrape, settings_for
from tests.services import RedisServer, free_port
from workers.dispatch.celery_app import make_app, send


def test_what_waits_in_redis_is_counted_and_a_redis_that_is_away_hides_nothing_else(
    filled: Settings, clock: Clock, redis_server: RedisServer, database_url: str, tmp_path: Path
) -> None:
    redis_server.client.flushall()
    settings = settings_for(database_url, tmp_path, url=redis_server.url, key_prefix="exporter:")
    app = make_app(settings)
    for diff_id in (1, 2):
        send(app, Message(diff_id, "gpu"))
    send(app, Message(3, "cpu"))
    with_redis = serve_metrics(settings, "127.0.0.1", 0, clock)
    away = f"redis://127.0.0.1:{free_port()}/0"
    without = serve_metrics(settings_for(database_url, tmp_path, url=away), "127.0.0.1", 0, clock)
    try:
        found, missing = Scrape(with_redis.port), Scrape(without.port)
    finally:
        with_redis.close()
        without.close()
    assert found.value("queue_length", queue="gpu") == 2
    assert found.value("queue_length", queue="cpu") == 1
    assert found.value("queue_unacked") == 0
    assert found.value("exporter_scrape_error", part="broker") == 0
    assert missing.value("exporter_scrape_error", part="broker") == 1
    assert missing.value("queue_length", queue="gpu") is None
    assert missing.value("jobs", queue="gpu", state="queued") == 1


def test_a_database_that_cannot_be_read_is_told(tmp_path: Path, clock: Clock) -> None:
    broken = tmp_path / "latentwatch.db"
    broken.write_bytes(b"not a database, by its first bytes")
    exporter = serve_metrics(settings_for(f"sqlite:///{broken}", tmp_path), "127.0.0.1", 0, clock)
    try:
        scrape = Scrape(exporter.port)
        assert scrape.value("exporter_scrape_error", part="jobs") == 1
        assert scrape.value("jobs", queue="gpu", state="queued") is None
        broken.unlink()
        open_database(f"sqlite:///{broken}")
        clock.now += 6
        repaired = Scrape(exporter.port)
    finally:
        exporter.close()
    assert repaired.value("exporter_scrape_error", part="jobs") == 0
    assert repaired.value("jobs", queue="gpu", state="queued") == 0


@BOTH_DATABASES
def test_a_transaction_that_is_open_holds_up_no_scrape(
    filled: Settings, clock: Clock, sessions: Sessions
) -> None:
    exporter = serve_metrics(filled, "127.0.0.1", 0, clock)
    try:
        with sessions.begin() as session:
            session.add(Line(name="not yet written", created_at=0.0))
            session.flush()
            scrape = Scrape(exporter.port)
    finally:
        exporter.close()
    assert scrape.value("exporter_scrape_error", part="jobs") == 0
    assert scrape.value("version_state", line="not yet written", state="new") is None


@contextmanager
def _accepts_and_never_answers() -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


def test_a_database_that_never_answers_costs_less_than_prometheus_waits(
    clock: Clock, tmp_path: Path
) -> None:
    with _accepts_and_never_answers() as port:
        settings = settings_for(
            f"postgresql://latentwatch@127.0.0.1:{port}/none",
            tmp_path,
            url=f"redis://127.0.0.1:{port}/0",
        )
        exporter = serve_metrics(settings, "127.0.0.1", 0, clock)
        try:
            began = time.monotonic()
            scrape = Scrape(exporter.port)
            took = time.monotonic() - began
        finally:
            exporter.close()
    assert took < 9
    for part in (*DATABASE_PARTS, "broker"):
        assert scrape.value("exporter_scrape_error", part=part) == 1, part


def test_health_is_answered_while_a_scrape_waits_for_the_database(
    clock: Clock, tmp_path: Path
) -> None:
    with _accepts_and_never_answers() as port:
        settings = settings_for(f"postgresql://latentwatch@127.0.0.1:{port}/none", tmp_path)
        exporter = serve_metrics(settings, "127.0.0.1", 0, clock)
        try:
            scraping = threading.Thread(target=Scrape, args=(exporter.port,))
            scraping.start()
            address = f"http://127.0.0.1:{exporter.port}/healthz"
            with urllib.request.urlopen(address, timeout=9) as answer:
                assert (answer.status, answer.read()) == (200, b"ok\n")
            assert scraping.is_alive()
            scraping.join()
        finally:
            exporter.close()


@BOTH_DATABASES
def test_a_part_that_takes_too_long_is_cut_short(
    filled: Settings, clock: Clock, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    endless = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT max(i) FROM n"

    def slow(session: Session, limits: BrokerSettings, now: float) -> list[Reading]:
        session.execute(text(endless))
        return []

    hurry = Hurry(statement=1.0, connection=60.0, connecting=2)
    if database_url.startswith("sqlite"):
        hurry = hurry._replace(connection=1.0)
    monkeypatch.setattr("monitor.metrics.collector.HURRY", hurry)
    monkeypatch.setattr("monitor.metrics.collector.read_running", slow)
    exporter = serve_metrics(filled, "127.0.0.1", 0, clock)
    try:
        scrape = Scrape(exporter.port)
    finally:
        exporter.close()
    assert scrape.value("exporter_scrape_error", part="running") == 1
    assert scrape.value("exporter_scrape_error", part="jobs") == 0
    if not database_url.startswith("sqlite"):  # of which only the whole has a limit
        assert scrape.value("exporter_scrape_error", part="verdicts") == 0


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_no_connection_outlasts_its_deadline(sessions: Sessions, database_url: str) -> None:
    with open_reader(database_url, HURRY)() as session:
        assert session.scalar(text("SHOW statement_timeout")) == "3s"
    hurry = Hurry(statement=60.0, connection=1.0, connecting=2)
    with open_reader(database_url, hurry)() as session:
        with pytest.raises(OperationalError) as caught:
            session.scalar(text("SELECT pg_sleep(30)"))
        assert caught.value.connection_invalidated


def test_a_database_that_can_never_be_read_is_refused_at_the_start(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("LATENTWATCH_DATABASE_URL", "mysql://u:secret@host/db")
    done = CliRunner().invoke(app, ["exporter", "--port", "0"])
    assert done.exit_code == 2 and "mysql://u:***@host/db must have the form" in done.output


def test_a_database_that_is_not_there_is_not_told_as_an_empty_one(
    tmp_path: Path, clock: Clock
) -> None:
    settings = settings_for(f"sqlite:///{tmp_path}/none/latentwatch.db", tmp_path)
    exporter = serve_metrics(settings, "127.0.0.1", 0, clock)
    try:
        before = Scrape(exporter.port)
        assert before.value("exporter_scrape_error", part="versions") == 1
        assert before.value("watcher_last_success_timestamp_seconds", line="assistant") is None
        open_database(settings.database_url)
        clock.now += CACHED_SECONDS
        after = Scrape(exporter.port)
    finally:
        exporter.close()
    assert after.value("exporter_scrape_error", part="versions") == 0
    assert after.value("watcher_last_success_timestamp_seconds", line="assistant") == 0


def test_a_verdict_that_can_t_be_read_is_counted_and_hides_nothing_else(
    filled: Settings, sessions: Sessions, clock: Clock
) -> None:
    exporter = serve_metrics(filled, "127.0.0.1", 0, clock)
    try:
        assert Scrape(exporter.port).value("verdicts_unreadable", line="assistant") == 0
    finally:
        exporter.close()
    with sessions.begin() as session:
        diff = session.scalars(select(Diff).where(Diff.verdict.is_not(None))).first()
        assert diff is not None
        diff.verdict = '{"schema": "latentwatch.verdict/9"}'
    exporter = serve_metrics(filled, "127.0.0.1", 0, clock)
    try:
        scrape = Scrape(exporter.port)
    finally:
        exporter.close()
    assert scrape.value("verdicts_unreadable", line="assistant") == 1
    assert scrape.value("job_turnaround_seconds_count", queue="gpu") == 1
    for part in DATABASE_PARTS:
        assert scrape.value("exporter_scrape_error", part=part) == 0, part
