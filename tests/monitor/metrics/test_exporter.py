"""What Prometheus reads of a filled database, from the real exporter over HTTP."""

import hashlib
import subprocess
from pathlib import Path

import pytest
from pydantic import SecretStr
from sqlalchemy import select
from typer.testing import CliRunner

from alerts.verdict import Verdict, to_json
from monitor.cli import app
from monitor.database.schema import Diff, DiffState, Line, Observation, Trust, Version
from monitor.jobs import diff_claims, diff_endings, diff_queue
from monitor.lineage.trust import LATENTWATCH, move
from monitor.metrics.catalogue import METRICS, PREFIX
from monitor.metrics.exporter import Exporter, serve_metrics
from monitor.settings import Settings, load_settings
from tests.alerts import samples
from tests.monitor.conftest import BOTH_DATABASES, Sessions
from tests.monitor.filled import DAY, new_version
from tests.monitor.metrics.scraped import Clock, Scrape
from tests.services import program


@BOTH_DATABASES
def test_a_filled_database_shows_every_metric_and_no_other(scrape: Scrape) -> None:
    shown = {f.name.removeprefix(PREFIX): f for f in scrape.families}
    of_a_broker = {
        "queue_length",
        "queue_unacked",
        "workers_alive",
        "outbox_oldest_pending_seconds",
    }
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
    assert value("job_attempts_total", queue="gpu") == 2
    assert value("job_oldest_due_seconds", queue="gpu") == 900
    assert value("job_oldest_due_seconds", queue="cpu") == 0
    assert value("claims_held") == 1
    assert value("line_calibration_age_seconds", line="assistant") == DAY
    assert value("job_turnaround_seconds_count", queue="gpu") == 2
    assert value("job_turnaround_seconds_sum", queue="gpu") == 2 * 490
    assert value("job_turnaround_seconds_bucket", queue="gpu", le="300") == 0
    assert value("job_turnaround_seconds_bucket", queue="gpu", le="900") == 2
    flagged = samples.flagged()
    took = sum(flagged.timings.values()) + sum(samples.passed().timings.values())
    assert value("job_duration_seconds_sum", queue="gpu") == pytest.approx(took)


def test_of_a_queue_where_nothing_has_ended_the_zero_is_told(scrape: Scrape) -> None:
    assert scrape.value("job_turnaround_seconds_count", queue="cpu") == 0
    assert scrape.value("job_duration_seconds_count", queue="cpu") == 0


def test_workers_and_their_messages_are_told_of_where_there_is_a_broker(
    filled: Settings, clock: Clock
) -> None:
    broker = filled.broker.model_copy(update={"url": SecretStr("redis://127.0.0.1:9/0")})
    exporter = serve_metrics(filled.model_copy(update={"broker": broker}), "127.0.0.1", 0, clock)
    try:
        found = Scrape(exporter.port)
    finally:
        exporter.close()
    assert found.value("outbox_oldest_pending_seconds") == 900
    assert found.value("workers_alive", queue="gpu") == 1


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


def test_a_failure_counts_until_its_version_is_decided(
    filled: Settings, sessions: Sessions, clock: Clock
) -> None:
    def undecided() -> float | None:
        exporter = serve_metrics(filled, "127.0.0.1", 0, clock)
        try:
            return Scrape(exporter.port).value("jobs_undecided", queue="gpu")
        finally:
            exporter.close()

    assert undecided() == 0
    with sessions.begin() as session:
        [diff] = session.scalars(select(Diff).filter_by(state=DiffState.RUNNING))
        diff_endings.fail(session, diff.id, diff.fence, "no space left", clock.now)
        version = session.scalars(
            select(Version).filter_by(content_digest=diff.candidate_digest)
        ).one()
        version.state = Trust.UNDECIDED  # nothing else is under way
    clock.now += 60.0
    assert undecided() == 1
    with sessions.begin() as session:
        row = session.get_one(Version, version.id)
        move(session, row, Trust.QUARANTINED, actor="ann", reason="leaks", now=clock.now)
    clock.now += 60.0
    assert undecided() == 0


def test_who_passes_a_diff_on_has_not_tried(
    filled: Settings, sessions: Sessions, clock: Clock
) -> None:
    with sessions.begin() as session:
        for _ in range(3):
            clock.now += diff_endings.PASS_ON_SECONDS + 1.0
            [diff] = session.scalars(select(Diff).where(Diff.state == DiffState.QUEUED))
            claimed = diff_claims.claim_next(session, clock.now, "host:1:0.0", 60.0, diff.id)
            assert claimed is not None
            diff_endings.pass_on(session, claimed.id, claimed.fence, "another recipe", clock.now)
    exporter = serve_metrics(filled, "127.0.0.1", 0, clock)
    try:
        assert Scrape(exporter.port).value("job_attempts_total", queue="gpu") == 2
    finally:
        exporter.close()


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
