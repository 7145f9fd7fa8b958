"""What Prometheus reads of a filled database, from the real exporter over HTTP."""

import hashlib
import socket
import subprocess
import threading
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families
from sqlalchemy import select, text
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session
from typer.testing import CliRunner

from alerts.verdict import Verdict, to_json
from monitor.cli import app
from monitor.database.opening import Hurry, open_database, open_reader
from monitor.database.schema import Diff, Line, Observation, Trust, Version
from monitor.jobs import diff_claims, diff_endings, diff_queue
from monitor.jobs.outbox import Message
from monitor.lineage.trust import LATENTWATCH, move
from monitor.metrics.catalogue import METRICS, PREFIX
from monitor.metrics.collector import CACHED_SECONDS, HURRY
from monitor.metrics.exporter import Exporter, serve_metrics
from monitor.metrics.reading import Reading
from monitor.settings import Settings, load_settings
from monitor.settings.broker import BrokerSettings
from tests.alerts import samples
from tests.monitor.conftest import BOTH_DATABASES, Sessions
from tests.monitor.filled import DAY, fill, new_version
from tests.services import RedisServer, free_port, program
from workers.celery_app import make_app, send

DATABASE_PARTS = ("versions", "jobs", "running", "alerts", "answers", "ended")
DATABASE_PARTS += ("verdicts", "unreadable")


class Clock:
    """Seconds since the epoch, as the test says."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


def settings_for(database_url: str, tmp_path: Path, **broker: str) -> Settings:
    line = {"name": "assistant", "directory": tmp_path, "anchor": "v0"}
    return load_settings(
        data_dir=tmp_path / "data", database_url=database_url, lines=[line], broker=broker
    )


class Scrape:
    """The answer of an exporter, by metric and labels."""

    def __init__(self, port: int) -> None:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics") as answer:
            self.text = answer.read().decode()
        self.families = list(text_string_to_metric_families(self.text))

    def value(self, name: str, **labels: str) -> float | None:
        for family in self.families:
            for sample in family.samples:
                if sample.name == f"{PREFIX}{name}" and sample.labels == labels:
                    return float(sample.value)
        return None


@pytest.fixture
def filled(sessions: Sessions, clock: Clock, database_url: str, tmp_path: Path) -> Settings:
    fill(sessions, clock.now)
    return settings_for(database_url, tmp_path)


@pytest.fixture
def scrape(filled: Settings, clock: Clock) -> Iterator[Scrape]:
    exporter = serve_metrics(filled, "127.0.0.1", 0, clock)
    yield Scrape(exporter.port)
    exporter.close()


@BOTH_DATABASES
def test_a_filled_database_shows_every_metric_and_no_other(scrape: Scrape) -> None:
    shown = {f.name.removeprefix(PREFIX): f for f in scrape.families}
    of_a_broker = {"queue_length", "queue_unacked"}
    assert shown.keys() == METRICS.keys() - of_a_broker
    for name, family in shown.items():
        assert family.type == METRICS[name].kind, name
        assert family.documentation == METRICS[name].help
        for sample in family.samples:
            assert set(sample.labels) - {"le"} == set(METRICS[name].labels), name


def test_the_figures_are_those_of_the_database(scrape: Scrape) -> None:
    value = scrape.value
    assert value("version_state", line="assistant", state="trusted") == 2
    assert value("version_state", line="assistant", state="flagged") == 1
    assert value("version_state", line="assistant", state="checking") == 2
    assert value("version_state", line="assistant", state="quarantined") == 0
    assert value("version_oldest_unchecked_seconds", line="assistant", state="checking") == 1000
    assert value("jobs", queue="gpu", state="done") == 2
    assert value("jobs", queue="gpu", state="queued") == 1
    assert value("jobs", queue="gpu", state="running") == 1
    assert value("job_attempts_total", queue="gpu") == 3
    assert value("job_oldest_due_seconds", queue="gpu") == 900
    assert value("job_oldest_due_seconds", queue="cpu") == 0
    assert value("outbox_oldest_pending_seconds") == 900
    assert value("workers_alive", queue="gpu") == 1
    assert value("line_calibration_age_seconds", line="assistant") == DAY
    assert value("job_turnaround_seconds_count", queue="gpu") == 2
    assert value("job_turnaround_seconds_sum", queue="gpu") == 2 * 490
    assert value("job_turnaround_seconds_bucket", queue="gpu", le="300") == 0
    assert value("job_turnaround_seconds_bucket", queue="gpu", le="900") == 2
    flagged = samples.flagged()
    took = sum(flagged.timings.values()) + sum(samples.passed().timings.values())
    assert value("job_duration_seconds_sum", queue="gpu") == pytest.approx(took)


def test_the_newest_versions_are_named_with_their_moments(scrape: Scrape) -> None:
    digest = hashlib.sha256(b"v1").hexdigest()[:12]
    which = {"line": "assistant", "version": "v1", "digest": digest}
    assert scrape.value("version_info", **which, state="trusted") == 1
    assert scrape.value("version_seen_timestamp_seconds", **which) == 0
    assert scrape.value("version_state_timestamp_seconds", **which, state="trusted") == 1


def test_what_runs_is_shown_by_its_worker(scrape: Scrape) -> None:
    value = scrape.value
    assert value("job_running_seconds", worker="host-0") == 100
    assert value("job_still_seconds", worker="host-0") == 40
    assert value("job_limit_seconds", limit="running") == 86_400
    assert value("job_limit_seconds", limit="still") == 7_200
    training = {"worker": "host-0", "stage": "train"}
    assert value("stage_progress_ratio", **training) == 0.35
    assert value("stage_steps_per_second", **training) == 3.0
    assert value("worker_memory_bytes", worker="host-0") == 3 << 30
    assert value("worker_gpu_memory_used_bytes", worker="host-0") == 20 << 30
    assert value("worker_gpu_memory_bytes", worker="host-0") == 80 << 30


def test_alerts_are_counted_with_what_was_not_sent_of_them(scrape: Scrape) -> None:
    value = scrape.value
    assert value("alerts", state="open", severity="critical") == 1
    assert value("alerts", state="snoozed", severity="critical") == 0
    assert value("alert_oldest_open_seconds") == 500
    assert value("alert_unsent_seconds", channel="C0ALERTS") == 490
    assert value("alert_channel_failing_seconds", channel="C0ALERTS") == 0


def test_the_newest_candidate_is_shown_against_both_bases(scrape: Scrape) -> None:
    def of(name: str, against: str) -> float | None:
        return scrape.value(name, line="assistant", behaviour="sycophancy", against=against)

    assert of("behaviour_shift_nats", "trusted") == 3.45
    assert of("behaviour_noise_floor_nats", "trusted") == 0.12
    assert of("behaviour_flagged", "trusted") == 1
    assert of("behaviour_flagged", "anchor") == 0
    assert of("behaviour_shift_nats", "anchor") == 0.03
    assert of("feature_steering_effect_max_ratio", "trusted") == 0.31
    features = samples.flagged().features
    candidate = sum(feature.side == "candidate" for feature in features)
    labels = {"line": "assistant", "side": "candidate", "against": "trusted"}
    assert scrape.value("exclusive_features", **labels) == candidate > 0


def test_what_was_skipped_or_refused_is_not_told_as_waiting(
    filled: Settings, clock: Clock, sessions: Sessions
) -> None:
    with sessions() as session:
        line = session.scalars(select(Line)).one()
    skipped = new_version(sessions, line, "v4")
    with sessions.begin() as session:
        version, now = session.merge(skipped), clock.now
        move(session, version, Trust.SUPERSEDED, actor=LATENTWATCH, reason="newer", now=now)
        push = Observation(
            line_id=line.id, name="v5", locator="/v5", reason="torn", seen_at=now - 50
        )
        session.add(push)
    exporter = serve_metrics(filled, "127.0.0.1", 0, clock)
    try:
        found = Scrape(exporter.port)
    finally:
        exporter.close()
    ages = {
        state: found.value("version_oldest_unchecked_seconds", line="assistant", state=state)
        for state in ("new", "checking", "undecided", "superseded", "refused")
    }
    assert ages == {"new": 0, "checking": 1000, "undecided": 0, "superseded": 1000, "refused": 50}


def test_promtool_finds_nothing_to_say(scrape: Scrape) -> None:
    promtool = program("promtool", "prometheus")
    checked = subprocess.run(
        [promtool, "check", "metrics"], input=scrape.text, text=True, capture_output=True
    )
    assert (checked.returncode, checked.stdout, checked.stderr) == (0, "", "")


def test_a_scrape_is_kept_for_a_moment_and_counts_nothing_twice(
    filled: Settings, clock: Clock, sessions: Sessions
) -> None:
    exporter = serve_metrics(filled, "127.0.0.1", 0, clock)
    try:
        first = Scrape(exporter.port)
        with sessions() as session:
            line = session.scalars(select(Line)).one()
        new_version(sessions, line, "v4")
        labels = {"line": "assistant", "state": "new"}
        assert Scrape(exporter.port).value("version_state", **labels) == 0
        clock.now += 6
        later = Scrape(exporter.port)
    finally:
        exporter.close()
    assert later.value("version_state", **labels) == 1
    assert first.value("job_turnaround_seconds_count", queue="gpu") == 2
    assert later.value("job_turnaround_seconds_count", queue="gpu") == 2


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


def test_a_diff_that_is_repeated_counts_once_before_and_after_a_restart(
    filled: Settings, clock: Clock, sessions: Sessions
) -> None:
    counts = []

    def histograms(exporter: Exporter) -> list[str]:
        clock.now += 6
        shown = Scrape(exporter.port)
        counts.append(shown.value("job_turnaround_seconds_count", queue="gpu"))
        return [
            line
            for line in shown.text.splitlines()
            if "_seconds_" in line and "oldest" not in line and line.startswith(f"{PREFIX}job_")
        ]

    def queue() -> int:
        with sessions.begin() as session:
            versions = (
                session.scalars(select(Version).filter_by(name=name)).one() for name in ("v1", "v3")
            )
            line = session.scalars(select(Line)).one()
            return diff_queue.queue_diff(session, line, *versions, "r", clock.now).id

    def end(diff_id: int, verdict: Verdict, error: str | None) -> None:
        with sessions.begin() as session:
            claimed = diff_claims.claim_next(session, clock.now, "host:1:0", 60.0, diff_id)
            assert claimed is not None
            diff_endings.finish(
                session, diff_id, claimed.fence, to_json(verdict), clock.now + 5, error
            )

    running = serve_metrics(filled, "127.0.0.1", 0, clock)
    try:
        undecided = samples.passed().model_copy(update={"verdict": "undecided"})
        end(queue(), undecided, "the disk was full")
        histograms(running)
        diff_id = queue()
        histograms(running)
        end(diff_id, samples.passed(), None)
        before = histograms(running)
    finally:
        running.close()
    restarted = serve_metrics(filled, "127.0.0.1", 0, clock)
    try:
        after = histograms(restarted)
    finally:
        restarted.close()
    assert counts == [2, 2, 3, 3]
    assert [one for one in after if "seconds_" in one] == [
        one for one in before if "seconds_" in one
    ]


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


def test_the_docs_list_every_metric() -> None:
    page = Path("docs/metrics.md").read_text()
    listed = [line for line in page.splitlines() if line.startswith(f"| `{PREFIX}")]
    assert listed == [
        f"| `{PREFIX}{m.name}{'_total' if m.kind == 'counter' else ''}` | {m.kind} "
        f"| {', '.join(m.labels)} | {m.help} |"
        for m in METRICS.values()
    ]


def test_a_port_that_there_is_not_is_named() -> None:
    done = CliRunner().invoke(app, ["exporter", "--port", "99999"])
    assert done.exit_code == 2 and "--port" in done.output and "65535" in done.output


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


def test_a_version_that_was_skipped_counts_though_it_is_checked_later(
    filled: Settings, sessions: Sessions, clock: Clock
) -> None:
    with sessions.begin() as session:
        version = session.scalars(select(Version).filter_by(name="v3")).one()
        known = {"actor": LATENTWATCH, "reason": "of the test", "now": 1.0}
        move(session, version, Trust.SUPERSEDED, **known)
        move(session, version, Trust.CHECKING, **known)
    exporter = serve_metrics(filled, "127.0.0.1", 0, clock)
    try:
        assert Scrape(exporter.port).value("versions_skipped_total", line="assistant") == 1
    finally:
        exporter.close()


def test_a_line_is_stale_where_it_should_be_watched_and_nowhere_else(
    filled: Settings, sessions: Sessions, clock: Clock, database_url: str, tmp_path: Path
) -> None:
    with sessions.begin() as session:
        session.add(Line(name="comparisons", created_at=0.0))  # as `check` makes it
    lines = [{"name": name, "directory": tmp_path} for name in ("assistant", "never-begun")]
    settings = load_settings(data_dir=tmp_path / "data", database_url=database_url, lines=lines)
    exporter = serve_metrics(settings, "127.0.0.1", 0, clock)
    try:
        scrape = Scrape(exporter.port)
    finally:
        exporter.close()
    seen = "watcher_last_success_timestamp_seconds"
    assert scrape.value(seen, line="assistant") == 995
    assert scrape.value(seen, line="never-begun") == 0
    assert scrape.value(seen, line="comparisons") is None
