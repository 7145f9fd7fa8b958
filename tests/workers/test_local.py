"""Queued diffs are run in this process: one verdict each, and nothing from a lost lease."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from sqlalchemy import func, select
from sqlalchemy.orm import Session, sessionmaker

from alerts.verdict import Verdict
from monitor.comparison import Comparison, prepare
from monitor.database import open_database
from monitor.diff_claims import claim_due, claim_next
from monitor.diff_endings import MAX_ATTEMPTS
from monitor.errors import LeaseLostError
from monitor.owner import this_process
from monitor.schema import Diff, DiffState, Line
from monitor.settings import Settings
from tests.workers.conftest import Silent, changed
from workers.check import check_pair
from workers.claim import Claim
from workers.errors import InputsError
from workers.heartbeat import LEASE_SECONDS
from workers.local import LocalWorker
from workers.outcome import MESSAGE, REPORT, VERDICT, report_directory

Sessions = sessionmaker[Session]


@pytest.fixture
def quick(settings: Settings) -> Settings:
    """One short training at a fixed layer."""
    return changed(settings, layer=1, seeds=[0], dfc=settings.recipe.dfc | {"steps": 3})


@pytest.fixture
def sessions(quick: Settings) -> Sessions:
    return open_database(quick.database_url)


@contextmanager
def silent() -> Iterator[Silent]:
    yield Silent()


@pytest.fixture
def told() -> list[str]:
    return []


@pytest.fixture
def worker(sessions: Sessions, quick: Settings, told: list[str]) -> LocalWorker:
    return LocalWorker(sessions, quick, silent, told.append)


def queued(worker: LocalWorker, quick: Settings, candidate: Path, base: Path) -> Comparison:
    sessions = open_database(quick.database_url)
    return prepare(sessions, quick, candidate, str(base), None, worker.recipe_digest(), 0.0)


def claimed(worker: LocalWorker, sessions: Sessions, comparison: Comparison) -> Claim:
    with sessions.begin() as session:
        claim = worker.claim(session, comparison.diff_id)
    assert claim is not None
    return claim


def row(sessions: Sessions, comparison: Comparison) -> Diff:
    with sessions() as session:
        return session.get_one(Diff, comparison.diff_id)


def test_a_queue_goes_on_after_a_diff_that_can_not_be_run(
    tiny_checkpoint: Path,
    changed_checkpoint: Path,
    tmp_path: Path,
    worker: LocalWorker,
    quick: Settings,
    sessions: Sessions,
    told: list[str],
) -> None:
    vanishing = Path(shutil.copytree(tiny_checkpoint, tmp_path / "vanishing"))
    (vanishing / "generation_config.json").write_text("{}")
    first = queued(worker, quick, vanishing, tiny_checkpoint)
    second = queued(worker, quick, changed_checkpoint, tiny_checkpoint)
    shutil.rmtree(vanishing)
    worker.run_queued()

    failed, done = row(sessions, first), row(sessions, second)
    assert failed.state == DiffState.FAILED and failed.verdict is None
    assert failed.error is not None and "vanishing" in failed.error
    assert any("vanishing could not be compared" in sentence for sentence in told)
    assert done.state == DiffState.DONE and done.verdict is not None
    verdict = Verdict.model_validate_json(done.verdict)
    assert verdict.line is None and verdict.candidate.locator == str(changed_checkpoint)
    found = report_directory(quick.data_dir, verdict)
    assert {VERDICT, REPORT, MESSAGE} <= {file.name for file in found.iterdir()}
    assert Verdict.model_validate_json((found / VERDICT).read_text()) == verdict


def test_who_has_lost_the_lease_writes_nothing(
    tiny_checkpoint: Path,
    changed_checkpoint: Path,
    worker: LocalWorker,
    quick: Settings,
    sessions: Sessions,
) -> None:
    comparison = queued(worker, quick, changed_checkpoint, tiny_checkpoint)

    class TakenOver(Silent):
        def end(self, stage: str, seconds: float, reused: bool) -> None:
            if stage == "answers":
                with sessions.begin() as session:
                    assert claim_next(session, 1e12, "elsewhere:1:1", LEASE_SECONDS) is not None

    @contextmanager
    def taken_over() -> Iterator[Silent]:
        yield TakenOver()

    watched = LocalWorker(sessions, quick, taken_over, print)
    with pytest.raises(LeaseLostError):
        watched.run(claimed(watched, sessions, comparison))
    diff = row(sessions, comparison)
    assert (diff.state, diff.owner, diff.attempt) == (DiffState.RUNNING, "elsewhere:1:1", 2)
    assert diff.verdict is None and diff.error is None
    assert not (quick.data_dir / "reports").exists()


def test_the_row_names_the_stage(
    tiny_checkpoint: Path,
    changed_checkpoint: Path,
    worker: LocalWorker,
    quick: Settings,
    sessions: Sessions,
) -> None:
    comparison = queued(worker, quick, changed_checkpoint, tiny_checkpoint)
    seen: list[str | None] = []

    class Looking(Silent):
        def begin(self, stage: str) -> None:
            seen.append(row(sessions, comparison).stage)

    @contextmanager
    def looking() -> Iterator[Silent]:
        yield Looking()

    LocalWorker(sessions, quick, looking, print).run_queued()
    assert seen[:4] == ["answers", "probe", "stock phrases", "forks"]


def test_a_comparison_is_not_repeated(
    tiny_checkpoint: Path, changed_checkpoint: Path, tmp_path: Path, quick: Settings
) -> None:
    told: list[str] = []
    verdicts = [
        check_pair(
            changed_checkpoint,
            str(tiny_checkpoint),
            None,
            quick,
            tmp_path / out,
            silent,
            told.append,
        )
        for out in ("first", "second")
    ]
    assert verdicts[0] == verdicts[1]
    assert len(told) == 2  # beginning and end of the first call; the second had nothing to run
    for name in (VERDICT, REPORT, MESSAGE):
        first, second = ((tmp_path / out / name).read_text() for out in ("first", "second"))
        assert first == second


def test_unusable_inputs_leave_no_row(
    tiny_checkpoint: Path, changed_checkpoint: Path, tmp_path: Path, quick: Settings
) -> None:
    empty = tmp_path / "empty.jsonl"
    empty.write_text("\n")
    broken = changed(quick, corpus=empty)
    with pytest.raises(InputsError, match=r"empty\.jsonl is empty"):
        check_pair(changed_checkpoint, str(tiny_checkpoint), None, broken, None, silent, print)
    with open_database(quick.database_url)() as session:
        assert session.scalar(select(func.count()).select_from(Line)) == 0


class FailingOnce(Silent):
    """Raises `error` when the first stage begins, but only once."""

    def __init__(self, error: BaseException) -> None:
        self.error: BaseException | None = error

    def begin(self, stage: str) -> None:
        error, self.error = self.error, None
        if error is not None:
            raise error

    @contextmanager
    def shown(self) -> Iterator[Silent]:
        yield self


def test_a_failed_stage_is_run_again_by_the_same_command(
    tiny_checkpoint: Path, changed_checkpoint: Path, quick: Settings
) -> None:
    failing = FailingOnce(MemoryError("too little memory"))
    verdicts = [
        check_pair(
            changed_checkpoint, str(tiny_checkpoint), None, quick, None, failing.shown, print
        )
        for _ in range(2)
    ]
    assert verdicts[0].verdict == "undecided" and verdicts[0].timings == {}
    assert "stage answers failed: MemoryError" in verdicts[0].reasons[0]
    assert "steer" in verdicts[1].timings
    assert not any("MemoryError" in reason for reason in verdicts[1].reasons)


def test_an_unexpected_error_ends_one_diff_and_not_the_queue(
    tiny_checkpoint: Path,
    changed_checkpoint: Path,
    worker: LocalWorker,
    quick: Settings,
    sessions: Sessions,
    told: list[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    first = queued(worker, quick, changed_checkpoint, tiny_checkpoint)
    second = queued(worker, quick, tiny_checkpoint, changed_checkpoint)

    def broken(*_: object, **__: object) -> None:
        raise RuntimeError("no such font")

    monkeypatch.setattr("workers.local.run_diff", broken)
    worker.run_queued()
    for comparison in (first, second):
        diff = row(sessions, comparison)
        assert (diff.state, diff.verdict) == (DiffState.FAILED, None)
        assert diff.error == "RuntimeError: no such font" and diff.error in told[-1]
    again = queued(worker, quick, changed_checkpoint, tiny_checkpoint)
    with pytest.raises(RuntimeError):
        worker.run(claimed(worker, sessions, again))


def test_ctrl_c_gives_the_diff_back_at_once(
    tiny_checkpoint: Path,
    changed_checkpoint: Path,
    worker: LocalWorker,
    quick: Settings,
    sessions: Sessions,
) -> None:
    comparison = queued(worker, quick, changed_checkpoint, tiny_checkpoint)
    for _ in range(MAX_ATTEMPTS + 1):
        stopped = FailingOnce(KeyboardInterrupt())
        with pytest.raises(KeyboardInterrupt):
            LocalWorker(sessions, quick, stopped.shown, print).run_queued()
        diff = row(sessions, comparison)
        assert (diff.state, diff.attempt, diff.owner) == (DiffState.QUEUED, 0, None)


def test_a_diff_of_another_recipe_is_not_run(
    tiny_checkpoint: Path,
    changed_checkpoint: Path,
    worker: LocalWorker,
    quick: Settings,
    sessions: Sessions,
) -> None:
    comparison = queued(worker, quick, changed_checkpoint, tiny_checkpoint)
    LocalWorker(sessions, changed(quick, seeds=[1]), silent, print).run_queued()
    diff = row(sessions, comparison)
    assert diff.state == DiffState.FAILED and diff.verdict is None
    assert diff.error is not None and "queued under another recipe" in diff.error


def test_a_check_has_claimed_its_diff_before_any_worker_can(
    tiny_checkpoint: Path,
    changed_checkpoint: Path,
    quick: Settings,
    sessions: Sessions,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    ran: list[int] = []

    def run(worker: LocalWorker, claim: Claim) -> None:
        with sessions.begin() as session:
            assert session.get_one(Diff, claim.diff_id).owner == this_process()
            assert claim_due(session, claim.diff_id, 1.0, "elsewhere:1:1", LEASE_SECONDS) is None
        ran.append(claim.diff_id)

    monkeypatch.setattr(LocalWorker, "run", run)
    check_pair(changed_checkpoint, str(tiny_checkpoint), None, quick, None, silent, print)
    assert len(ran) == 1
