"""Without a broker: who queues diffs has them compared in processes of their own, whatever becomes
of these, and one verdict is written for each."""

import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import pytest

from alerts.verdict import Verdict
from monitor.database.schema import Diff, DiffState
from monitor.jobs import diff_claims
from monitor.jobs.diff_endings import PASS_ON_SECONDS
from monitor.jobs.status import status_of
from monitor.settings import Settings, load_settings
from tests.workers.conftest import Silent, changed
from tests.workers.service import Pushes, Sessions
from workers.dispatch.local import LocalWorker
from workers.processes.heartbeat import LEASE_SECONDS
from workers.verdicts.outcome import MESSAGE, REPORT, VERDICT, report_directory

Shown = Callable[[], AbstractContextManager[Silent]]


pytestmark = pytest.mark.usefixtures("_found_by_children")


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return load_settings(data_dir=tmp_path / "data")


def shown_by(one: Silent) -> Shown:
    @contextmanager
    def shown() -> Iterator[Silent]:
        yield one

    return shown


def test_what_can_not_be_compared_keeps_nothing_else_from_it(
    pushes: Pushes, make: Callable[..., LocalWorker], settings: Settings, told: list[str]
) -> None:
    good = pushes.queue("good")
    crashing = pushes.queue("killed")
    vanished = pushes.queue("vanished")
    shutil.rmtree(pushes.root / "vanished")
    make().run_queued()

    row = pushes.row(vanished)
    assert row.state == DiffState.FAILED and row.verdict is None and "vanished" in str(row.error)
    assert any("vanished: could not be compared" in sentence for sentence in told)
    row = pushes.row(crashing)
    assert row.state == DiffState.QUEUED and "want of memory (SIGKILL)" in str(row.error)
    assert any("killed: could not be compared this time" in sentence for sentence in told)

    row = pushes.row(good)
    assert (row.state, row.error) == (DiffState.DONE, None)
    verdict = Verdict.model_validate_json(str(row.verdict))
    found = report_directory(settings.data_dir, verdict)
    assert {VERDICT, REPORT, MESSAGE} <= {file.name for file in found.iterdir()}
    (start,) = (pushes.root / "good.starts").read_text().splitlines()
    assert "secret" not in start.lower()


def test_after_a_crash_a_later_call_tries_again(
    pushes: Pushes, make: Callable[..., LocalWorker]
) -> None:
    diff_id = pushes.queue("broken")
    worker = make()
    worker.run_queued()
    worker.run_queued()
    assert len(pushes.starts("broken")) == 1
    make(later=40.0).run_queued()
    assert len(pushes.starts("broken")) == 2
    assert pushes.row(diff_id).attempt == 2
    assert "RuntimeError: CUDA error" in str(pushes.row(diff_id).error)


def test_the_lines_of_the_process_are_shown_and_the_row_names_the_stage(
    pushes: Pushes, make: Callable[..., LocalWorker]
) -> None:
    diff_id = pushes.queue("slow")
    seen: list[object] = []

    class Watching(Silent):
        def begin(self, stage: str) -> None:
            seen.append((stage, pushes.row(diff_id).stage))

        def step(self, what: str, done: int, total: int) -> None:
            if what == "steps":
                seen.append((what, total))
                pushes.go()

        def end(self, stage: str, seconds: float, reused: bool) -> None:
            seen.append((stage, reused))

    make(shown_by(Watching())).run_queued()
    assert list(dict.fromkeys(seen)) == [
        ("fetch", "fetch"),
        ("fetch", False),
        ("train", "train"),
        ("steps", 10_000),
        ("train", False),
    ]
    assert pushes.row(diff_id).state == DiffState.DONE


def test_who_has_lost_the_lease_writes_nothing(
    pushes: Pushes,
    make: Callable[..., LocalWorker],
    sessions: Sessions,
    settings: Settings,
    told: list[str],
) -> None:
    diff_id = pushes.queue("good")

    class TakenOver(Silent):
        def end(self, stage: str, seconds: float, reused: bool) -> None:
            if stage == "train":
                with sessions.begin() as session:
                    assert diff_claims.claim_next(session, 1e12, "elsewhere:1:1", LEASE_SECONDS)

    worker = make(shown_by(TakenOver()))
    with sessions.begin() as session:
        claim = worker.claim(session, diff_id)
    assert claim is not None and worker.run(claim) is None
    row = pushes.row(diff_id)
    assert (row.state, row.owner, row.attempt) == (DiffState.RUNNING, "elsewhere:1:1", 2)
    assert row.verdict is None and row.error is None and "taken it over" in told[-1]
    assert not (settings.data_dir / "reports").exists()


def test_a_diff_of_another_recipe_is_left_to_other_workers(
    pushes: Pushes, make: Callable[..., LocalWorker], settings: Settings, sessions: Sessions
) -> None:
    diff_id = pushes.queue("good")
    make(settings=changed(settings, seeds=[1])).run_queued()
    row = pushes.row(diff_id)
    assert (row.state, row.attempt, row.owner) == (DiffState.QUEUED, 0, None)
    assert "queued under the recipe" in str(row.error) and pushes.starts("good") == []
    assert row.not_before == pytest.approx(time.time() + PASS_ON_SECONDS, abs=10.0)
    with sessions.begin() as session:
        assert status_of(session, time.time()).delayed == {row.error: 1}
        session.get_one(Diff, diff_id).not_before = 0.0
    make().run_queued()
    row = pushes.row(diff_id)
    assert (row.state, row.error) == (DiffState.DONE, None)
