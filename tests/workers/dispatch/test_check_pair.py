"""One pair of checkpoints, compared on demand: how that ends, and what is left of it."""

import time
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from alerts.verdict import Verdict
from deploy.bench.made_up import write_checkpoint
from monitor.database.opening import open_database
from monitor.database.schema import Diff, Line, Trust, Version
from monitor.errors import LatentwatchError
from monitor.jobs import diff_claims
from monitor.lineage.trust import move
from monitor.owner import this_process
from monitor.settings import Settings, load_settings
from tests.workers.conftest import changed, silent
from tests.workers.fake_diff import starts_of
from tests.workers.service import FAKE_DIFF, Pushes, Sessions
from workers.check import check_pair
from workers.dispatch.claim import Claim
from workers.dispatch.local import LocalWorker
from workers.errors import InputsError
from workers.processes.heartbeat import LEASE_SECONDS
from workers.verdicts.outcome import MESSAGE, REPORT, VERDICT

pytestmark = pytest.mark.usefixtures("_found_by_children")


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return load_settings(data_dir=tmp_path / "data")


def checked(
    settings: Settings,
    candidate: Path,
    base: Path,
    out: Path | None = None,
    report: Callable[[str], None] = print,
    command: Sequence[str] = FAKE_DIFF,
) -> Verdict:
    return check_pair(candidate, str(base), None, settings, out, silent, report, command)


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
