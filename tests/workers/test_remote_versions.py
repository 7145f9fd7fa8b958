"""Versions that lie on the Hub, compared by a worker whose disk has none of their files."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import select

from monitor import outbox
from monitor.database import open_database
from monitor.schema import Diff, DiffState, Trust, Version
from monitor.settings import Settings, load_settings
from tests.fakes.hub import TOKEN, FakeHub, fake_hub
from tests.monitor.checkpoints import write_checkpoint
from tests.monitor.standin import StandInWorker
from tests.monitor.watched import WatchedLine
from tests.workers.service import FAKE_DIFF, ROOT, Sessions
from workers.claim import present_recipe
from workers.supervised import run_due
from workers.workplace import Workplace


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
def sessions(settings: Settings) -> Sessions:
    return open_database(settings.database_url)


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
    with sessions.begin() as session:
        session.get_one(Diff, diff_id).not_before = 0.0
        outbox.wake(session, session.get_one(Diff, diff_id))
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
