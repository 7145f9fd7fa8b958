"""Without a broker: who queues diffs has them compared in processes of their own, whatever becomes
of these, and one verdict is written for each."""

import os
import shutil
import signal
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import psutil
import pytest
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from alerts.verdict import Verdict
from deploy.bench.made_up import write_checkpoint
from monitor.database.opening import open_database
from monitor.database.schema import Diff, DiffState, Line, Trust, Version
from monitor.errors import LatentwatchError
from monitor.jobs import diff_claims
from monitor.jobs.diff_endings import PASS_ON_SECONDS
from monitor.jobs.status import status_of
from monitor.lineage.trust import move
from monitor.owner import this_process
from monitor.settings import Settings, load_settings
from tests.waiting import until
from tests.workers.conftest import Silent, changed
from tests.workers.fake_diff import starts_of
from tests.workers.service import FAKE_DIFF, ROOT, Pushes, Sessions
from workers.check import check_pair
from workers.dispatch.claim import Claim
from workers.dispatch.local import LocalWorker
from workers.errors import InputsError
from workers.processes.heartbeat import LEASE_SECONDS
from workers.verdicts.outcome import MESSAGE, REPORT, VERDICT, report_directory

Shown = Callable[[], AbstractContextManager[Silent]]


@pytest.fixture(autouse=True)
def _found_by_children(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return load_settings(data_dir=tmp_path / "data")


@pytest.fixture
def sessions(settings: Settings) -> Sessions:
    return open_database(settings.database_url)


@pytest.fixture
def pushes(tmp_path: Path, sessions: Sessions, settings: Settings) -> Pushes:
    return Pushes(tmp_path, sessions, settings)


@contextmanager
def silent() -> Iterator[Silent]:
    yield Silent()


def shown_by(one: Silent) -> Shown:
    @contextmanager
    def shown() -> Iterator[Silent]:
        yield one

    return shown


@pytest.fixture
def told() -> list[str]:
    return []


@pytest.fixture
def make(sessions: Sessions, settings: Settings, told: list[str]) -> Callable[..., LocalWorker]:
    def make(
        progress: Shown = silent, settings: Settings = settings, later: float = 0.0
    ) -> LocalWorker:
        return LocalWorker(
            sessions, settings, progress, told.append, lambda: time.time() + later, FAKE_DIFF
        )

    return make


def checked(
    settings: Settings,
    candidate: Path,
    base: Path,
    out: Path | None = None,
    report: Callable[[str], None] = print,
    command: Sequence[str] = FAKE_DIFF,
) -> Verdict:
    return check_pair(candidate, str(base), None, settings, out, silent, report, command)


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


class SignalledError(Exception):
    """What the test's own handler raises for a signal."""


@pytest.fixture
def _obeyed() -> Iterator[None]:
    """As at a terminal: a shell that runs tests in the background has them ignore Ctrl-C."""

    def interrupt(*_: object) -> None:
        raise SignalledError

    before = {number: signal.signal(number, interrupt) for number in (2, 15)}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


def send_when(holds: Callable[[], object], number: int) -> threading.Thread:
    """Sends a signal to this process when something is true."""

    def run() -> None:
        until(holds)
        os.kill(os.getpid(), number)

    thread = threading.Thread(target=run)
    thread.start()
    return thread


@pytest.mark.usefixtures("_obeyed")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_first_signal_lets_it_save_and_gives_the_diff_back(
    pushes: Pushes, make: Callable[..., LocalWorker], told: list[str], number: int
) -> None:
    behind, diff_id = pushes.queue("good"), pushes.queue("slow")
    for _ in range(2):
        (pushes.root / "slow.saved").unlink(missing_ok=True)
        before = len(pushes.starts("slow"))
        thread = send_when(lambda: len(pushes.starts("slow")) > before, number)  # noqa: B023
        with pytest.raises(SignalledError):
            make().run_queued()
        thread.join()
        assert (pushes.root / "slow.saved").exists()
        row = pushes.row(diff_id)
        assert (row.state, row.attempt, row.owner) == (DiffState.QUEUED, 0, None)
    assert "given back to the queue" in told[-1]
    assert pushes.row(behind).state == DiffState.QUEUED and pushes.starts("good") == []
    pushes.go()
    make().run_queued()  # a later signal is the process's own again
    assert pushes.row(diff_id).state == pushes.row(behind).state == DiffState.DONE


@pytest.mark.usefixtures("_obeyed")
def test_the_second_signal_ends_it_at_once(
    pushes: Pushes, make: Callable[..., LocalWorker], told: list[str]
) -> None:
    diff_id = pushes.queue("deaf")
    first = send_when(lambda: pushes.starts("deaf"), signal.SIGINT)
    second = send_when(lambda: any("stops at once" in line for line in told), signal.SIGINT)
    with pytest.raises(KeyboardInterrupt):
        make().run_queued()
    first.join(), second.join()
    assert not any(psutil.pid_exists(pid) for pid in pushes.starts("deaf"))
    row = pushes.row(diff_id)
    assert (row.state, row.attempt, row.owner) == (DiffState.QUEUED, 0, None)


def test_a_comparison_is_not_repeated(pushes: Pushes, tmp_path: Path, settings: Settings) -> None:
    pushes.queue("any")
    told: list[str] = []
    candidate, base = tmp_path / "any", tmp_path / "base"
    first, second = (
        checked(settings, candidate, base, tmp_path / out, told.append)
        for out in ("first", "second")
    )
    assert first == second and len(pushes.starts("any")) == 1
    assert len(told) == 2  # beginning and end of the first call; the second had nothing to run
    for name in (VERDICT, REPORT, MESSAGE):
        assert (tmp_path / "first" / name).read_text() == (tmp_path / "second" / name).read_text()


def test_a_failed_stage_is_run_again_by_the_same_command(
    pushes: Pushes, tmp_path: Path, settings: Settings
) -> None:
    pushes.queue("faltering")
    candidate, base = tmp_path / "faltering", tmp_path / "base"
    verdicts = [checked(settings, candidate, base).verdict for _ in range(2)]
    assert verdicts == ["undecided", "passed"]


def test_a_check_says_how_it_ended(pushes: Pushes, tmp_path: Path, settings: Settings) -> None:
    for name in ("killed", "refused"):
        pushes.queue(name)
    for tries in (1, 2):
        verdict = checked(settings, tmp_path / "killed", tmp_path / "base")
        assert verdict.verdict == "undecided" and "SIGKILL" in verdict.reasons[0]
        assert len(pushes.starts("killed")) == tries
    with pytest.raises(LatentwatchError, match="no such architecture"):
        checked(settings, tmp_path / "refused", tmp_path / "base")


@pytest.mark.parametrize(
    ("name", "outcome", "state"),
    [("good", "passed", "passed"), ("drifting", "flagged", "flagged")],
)
def test_a_check_with_the_trusted_version_compares_with_the_anchor_too(
    tmp_path: Path, name: str, outcome: str, state: str
) -> None:
    for seed, push in enumerate(("anchor", "step", name)):
        write_checkpoint(tmp_path / "chat" / push, seed)
    line = {"name": "chat", "directory": tmp_path / "chat", "quiet_seconds": 0.0}
    pinned = {**line, "trusted": "anchor", "anchor": "anchor"}
    settings = load_settings(data_dir=tmp_path / "data", lines=[pinned])

    def check(push: str) -> str:
        candidate = tmp_path / "chat" / push
        return check_pair(
            candidate, "trusted", "chat", settings, None, silent, print, FAKE_DIFF
        ).verdict

    def versions(session: Session) -> dict[str, Version]:
        return {version.name: version for version in session.scalars(select(Version))}

    assert check("step") == "passed"
    assert starts_of(tmp_path / "chat" / "step") == 1  # the anchor is the trusted version
    sessions = open_database(settings.database_url)
    with sessions.begin() as session:
        step = versions(session)["step"]
        move(session, step, Trust.TRUSTED, actor="ann", reason="small", now=time.time())
    assert check(name) == outcome
    assert starts_of(tmp_path / "chat" / name) == 2
    with sessions() as session:
        assert versions(session)[name].state == state


def test_unusable_inputs_leave_no_row(pushes: Pushes, tmp_path: Path, settings: Settings) -> None:
    empty = tmp_path / "empty.jsonl"
    empty.write_text("\n")
    broken = changed(settings, corpus=empty)
    with pytest.raises(InputsError, match=r"empty\.jsonl is empty"):
        checked(broken, tmp_path / "base", tmp_path / "base")
    with open_database(settings.database_url)() as session:
        assert session.scalar(select(func.count()).select_from(Line)) == 0


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


def test_a_check_has_claimed_its_diff_before_any_worker_can(
    pushes: Pushes,
    tmp_path: Path,
    settings: Settings,
    sessions: Sessions,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pushes.queue("good")
    ran: list[int] = []

    def run(worker: LocalWorker, claim: Claim) -> None:
        with sessions.begin() as session:
            assert session.get_one(Diff, claim.diff_id).owner == this_process()
            assert not diff_claims.claim_due(
                session, claim.diff_id, 1e12, "elsewhere:1:1", LEASE_SECONDS
            )
        ran.append(claim.diff_id)

    monkeypatch.setattr(LocalWorker, "run", run)
    checked(settings, tmp_path / "good", tmp_path / "base")
    assert len(ran) == 1
