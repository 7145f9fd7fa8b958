"""The number of series is bounded by lines, queues and behaviours, whatever is pushed."""

import hashlib
import time
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

import pytest
from sqlalchemy import select

from alerts.verdict import to_json
from monitor.database.schema import DiffState, Line, Trust, Version
from monitor.jobs import diff_queue
from monitor.jobs.roster import sign_in
from monitor.metrics.catalogue import METRICS
from monitor.metrics.collector import DatabaseCollector
from monitor.metrics.jobs import MOST_STAGES
from monitor.metrics.versions import NEWEST
from monitor.settings import load_settings
from tests.alerts import samples
from tests.monitor.conftest import Sessions

NAMES_VERSIONS = {name for name, metric in METRICS.items() if "digest" in metric.labels}


def series(database_url: str, tmp_path: Path, lines: Iterable[str]) -> Counter[str]:
    """How many series each metric has, as a new exporter tells it."""
    watched = [{"name": name, "directory": tmp_path} for name in lines]
    settings = load_settings(data_dir=tmp_path / "data", database_url=database_url, lines=watched)
    families = DatabaseCollector(settings, time.time).collect()
    return Counter({one.name.removeprefix("latentwatch_"): len(one.samples) for one in families})


def push(sessions: Sessions, line_name: str, names: Iterable[str], stages: Iterable[str]) -> None:
    """Versions of the line, each compared with the first one and taking time in `stages`."""
    with sessions.begin() as session:
        line = session.scalars(select(Line).filter_by(name=line_name)).one_or_none()
        line = line or Line(name=line_name, created_at=0.0, looked_at=1.0)
        session.add(line)
        session.flush()
        versions = []
        for name in names:
            digest = hashlib.sha256(f"{line_name}/{name}".encode()).hexdigest()
            version = Version(
                line_id=line.id,
                name=name,
                locator=f"/models/{name}",
                content_digest=digest,
                weights_digest=digest,
                tokenizer_digest="tokenizer",
                shape="LlamaForCausalLM 2x8",
                published_at=0.0,
                registered_at=0.0,
                state=Trust.NEW,
                state_at=0.0,
            )
            session.add(version)
            versions.append(version)
        session.flush()
        first, *others = versions
        timings = dict.fromkeys(stages, 1.0)
        verdict = to_json(samples.flagged().model_copy(update={"timings": timings}))
        for one in others:
            diff = diff_queue.queue_diff(session, line, first, one, "r", 0.0)
            diff.state, diff.verdict, diff.finished_at = DiffState.DONE, verdict, 10.0


@pytest.mark.parametrize("hostile", [False, True], ids=["plain names", "any names"])
def test_many_versions_make_no_series(
    hostile: bool, sessions: Sessions, database_url: str, tmp_path: Path
) -> None:
    odd = 'v"\n{}=\u202e' if hostile else "v"
    push(sessions, "chat", [f"{odd}{n}" for n in range(10)], ["train"])
    few = series(database_url, tmp_path, ["chat"])
    push(sessions, "chat", [f"{odd}{n}" for n in range(10, 110)], ["train"])
    many = series(database_url, tmp_path, ["chat"])
    assert many == few
    assert {few[name] for name in NAMES_VERSIONS} == {NEWEST}


def test_every_line_makes_the_same_number_of_series(
    sessions: Sessions, database_url: str, tmp_path: Path
) -> None:
    counts = []
    for number in (1, 2, 30):
        names = [f"line-{n}" for n in range(number)]
        for name in names:
            with sessions() as session:
                known = session.scalars(select(Line.name)).all()
            if name not in known:
                push(sessions, name, ["v0", "v1", "v2"], ["train"])
        counts.append(series(database_url, tmp_path, names))
    one, two, thirty = counts
    for name in METRICS:
        grows = two[name] - one[name]
        assert thirty[name] == one[name] + 29 * grows, name
        assert grows <= 4 * NEWEST, name


def test_stages_that_nobody_knows_are_told_as_one(
    sessions: Sessions, database_url: str, tmp_path: Path
) -> None:
    push(sessions, "chat", ["v0", "v1"], ["harvest", "train"])
    few = series(database_url, tmp_path, ["chat"])
    push(sessions, "code", ["v0", "v1"], [f"stage-{n}" for n in range(200)])
    many = series(database_url, tmp_path, ["chat", "code"])
    of_one_stage = few["job_stage_seconds"] // 2
    assert many["job_stage_seconds"] == MOST_STAGES * of_one_stage


def test_workers_and_queues_that_nobody_knows_make_no_series(
    sessions: Sessions, database_url: str, tmp_path: Path
) -> None:
    push(sessions, "chat", ["v0", "v1"], ["train"])
    few = series(database_url, tmp_path, ["chat"])
    with sessions.begin() as session:
        for n in range(200):
            sign_in(session, f"slurm-{n}", [f"queue-{n}"], None, 0.0, time.time())
    assert series(database_url, tmp_path, ["chat"]) == few
