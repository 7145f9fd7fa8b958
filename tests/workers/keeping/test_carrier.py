"""Hosts that share an object store and the database, and nothing else: what one has begun another
one ends."""

import logging
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import fsspec
import pytest

from alerts.evidence import Evidence
from alerts.verdict import Verdict
from deploy.bench.fake_stages import STEPS, Moment, compare_in_moments, trained, undisturbed
from monitor.database.opening import open_database
from monitor.database.schema import Diff, DiffState
from monitor.jobs import diff_endings
from monitor.settings import Settings, load_settings
from monitor.settings.store import StoreSettings
from tests.alerts import samples
from tests.waiting import until
from tests.workers.service import ROOT, Pushes, Sessions
from workers.dispatch.supervised import run_due
from workers.dispatch.workplace import Workplace
from workers.job import Job, Side
from workers.keeping.carrier import carried
from workers.keeping.kept_outcomes import find_outcome, keep_outcome
from workers.keeping.results import StoredResults
from workers.keeping.shared_store import SharedStore
from workers.keeping.store import LocalStore
from workers.keeping.store_copies import in_use, make_room, size_of
from workers.verdicts.outcome import Outcome, read_evidence

SLOW = (sys.executable, "-m", "deploy.bench.fake_stages", "0.5")
FAST = (*SLOW[:-1], "0.0")

Host = Callable[[str], Settings]


@pytest.fixture
def host(tmp_path: Path, shared_settings: StoreSettings, monkeypatch: pytest.MonkeyPatch) -> Host:
    """The settings of a host with a directory of its own."""
    monkeypatch.setenv("PYTHONPATH", str(ROOT))

    def settings(name: str) -> Settings:
        return load_settings(
            data_dir=tmp_path / name,
            database_url=f"sqlite:///{tmp_path}/latentwatch.db",
            store=shared_settings.model_dump() | {"save_seconds": 0.2},
        )

    return settings


@pytest.fixture
def sessions(host: Host) -> Sessions:
    return open_database(host("a").database_url)


@pytest.fixture
def pushes(tmp_path: Path, sessions: Sessions, host: Host) -> Pushes:
    return Pushes(tmp_path / "pushes", sessions, host("a"))


@pytest.fixture
def steps(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The steps of training that were taken."""
    taken: list[int] = []
    monkeypatch.setattr(
        "workers.dispatch.workplace.Unshown.step",
        lambda self, what, done, total: taken.append(done),
    )
    return taken


def made_up(base: str = "base", candidate: str = "candidate") -> Job:
    """Of checkpoints with these digests."""
    return Job(None, *(Side(digest, "", Path(), "") for digest in (base, candidate)))


def job_of(row: Diff) -> Job:
    return made_up(row.base_digest, row.candidate_digest)


def compare(settings: Settings, job: Job) -> int:
    """Compare in this process, as far as to the verdict; how many steps of training that took."""
    taken = 0
    with carried(settings, job):
        for moment in compare_in_moments(job, LocalStore(settings.store_dir)):
            if moment == Moment("decide"):
                break
            taken += moment in [Moment("train", step) for step in range(1, STEPS + 1)]
    return taken


def run(sessions: Sessions, settings: Settings, diff_id: int, **changes: object) -> None:
    place = Workplace(sessions, settings, FAST, lambda: False, "w")
    run_due(place._replace(**changes), diff_id)  # type: ignore[arg-type]


def names(settings: Settings, row: Diff, kind: str) -> list[str]:
    """What the shared store has of the two checkpoints together."""
    pair = job_of(row).pair_digest
    found = SharedStore(settings.store).names(f"{pair}/{kind}")
    return sorted(name.removeprefix(f"{pair}/{kind}/diffs/{pair}/") for name in found)


def test_what_one_host_was_stopped_in_another_one_ends(
    host: Host, sessions: Sessions, pushes: Pushes, steps: list[int]
) -> None:
    diff_id = pushes.queue("v2")
    a, b = host("a"), host("b")
    stop = lambda: len(steps) >= 5  # noqa: E731
    run(sessions, a, diff_id, command=SLOW, must_stop=stop)
    row = pushes.row(diff_id)
    assert (row.state, row.attempt) == (DiffState.QUEUED, 0)
    assert names(a, row, "artifacts") == ["answers/1"] and names(a, row, "work") == ["train/1"]
    steps.clear()
    run(sessions, b, diff_id)
    row = pushes.row(diff_id)
    assert row.state == DiffState.DONE, row.error
    assert (
        steps[0] == 0 and steps[1] > 3 and steps[-1] == STEPS
    )  # it went on from the state of the third step
    assert trained(job_of(row), LocalStore(b.store_dir)) == undisturbed(job_of(row))
    assert names(b, row, "artifacts") == ["answers/1", "train/1"]
    assert names(b, row, "work") == []


def test_what_a_killed_host_has_saved_is_not_lost(
    host: Host, sessions: Sessions, pushes: Pushes, steps: list[int]
) -> None:
    diff_id = pushes.queue("v2")
    a, b = host("a"), host("b")
    child = os.fork()
    if child == 0:
        sessions.kw["bind"].dispose(close=False)
        run(sessions, a, diff_id, command=SLOW)
        os._exit(0)
    until(lambda: names(b, pushes.row(diff_id), "work") == ["train/1"])
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    with sessions.begin() as session:  # as the reconciler would
        row = session.get_one(Diff, diff_id)
        diff_endings.release(session, diff_id, row.fence, time.time())
    run(sessions, b, diff_id)
    row = pushes.row(diff_id)
    assert row.state == DiffState.DONE and steps[1] > 3
    assert trained(job_of(row), LocalStore(b.store_dir)) == undisturbed(job_of(row))


def test_a_store_that_is_away_costs_work_alone(
    host: Host, caplog: pytest.LogCaptureFixture
) -> None:
    away = host("a").store.model_copy(update={"url": "s3://no-such-bucket-here/x"})
    assert compare(host("a").model_copy(update={"store": away}), made_up()) == STEPS
    assert "s3://no-such-bucket-here/x: can't be used as the store" in caplog.text


@pytest.mark.parametrize("what", ["missing", "damaged"])
def test_what_is_lost_in_the_store_is_computed_again_and_mended(
    host: Host, caplog: pytest.LogCaptureFixture, what: str
) -> None:
    a, b, c, job = host("a"), host("b"), host("c"), made_up()
    assert (compare(a, job), compare(b, job)) == (STEPS, 0)
    store, root = fsspec.core.url_to_fs(a.store.url, **a.store.options)
    store.invalidate_cache()
    [path] = [path for path in store.find(root) if "/train/1/content-" in path]
    if what == "missing":
        store.rm_file(path)
    else:
        store.pipe_file(path, store.cat_file(path).replace(b'"state"', b'"mutas"'))
    assert compare(c, job) == STEPS
    assert f"result.json is {what}" in caplog.text
    assert compare(host("d"), job) == 0
    assert trained(job, LocalStore(host("d").store_dir)) == undisturbed(job)


def test_a_host_goes_on_with_its_own_work_unless_another_one_went_further(host: Host) -> None:
    a, b, job = host("a"), host("b"), made_up()
    key = f"diffs/{job.pair_digest}/train/1"

    def saved(settings: Settings, step: str | None = None) -> str:
        state = LocalStore(settings.store_dir).work(key) / "state"
        if step is not None:
            state.write_text(step)
        return state.read_text()

    with carried(a, job):
        saved(a, "step 3")
    saved(a, "step 5")  # and was killed before it was carried
    with carried(a, job):
        assert saved(a) == "step 5"
    with carried(b, job):
        assert saved(b) == "step 5"
        saved(b, "step 9")
    with carried(a, job):
        assert saved(a) == "step 9"
        LocalStore(a.store_dir).end_work(key)
    with carried(b, job):
        assert SharedStore(b.store).names(f"{job.pair_digest}/work") == []


def test_half_a_state_of_training_is_never_carried(
    host: Host, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    a, b, job = host("a"), host("b"), made_up()
    key = f"diffs/{job.pair_digest}/train/1"
    with carried(a, job):
        (LocalStore(a.store_dir).work(key) / "state").write_text("step 3")
    state = LocalStore(a.store_dir).work(key) / "state"
    copy = shutil.copytree

    def while_it_is_written(source: Path, target: Path) -> None:
        copy(source, target)
        state.write_text("step 6, and")

    def onto_a_full_disk(source: Path, target: Path) -> None:
        target.mkdir()
        raise shutil.Error("No space left on device")

    for replaced in (while_it_is_written, onto_a_full_disk):
        with monkeypatch.context() as patched, carried(a, job):
            patched.setattr("workers.keeping.carrier.shutil.copytree", replaced)
            state.write_text("step 5")
            time.sleep(0.5)
    assert "No space left on device; what is missing" in caplog.text
    with carried(b, job):
        assert (LocalStore(b.store_dir).work(key) / "state").read_text() == "step 3"


def test_copies_take_no_more_than_they_may(tmp_path: Path) -> None:
    store = LocalStore(tmp_path)
    for number, key in enumerate(("diffs/a/x/1", "shared/answers/b/1", "diffs/c/x/1")):
        with store.put(key) as directory:
            (directory / "result.json").write_bytes(bytes(1000))
        with in_use(tmp_path, [key.split("/")[-3 if key.startswith("diffs") else -2]]):
            pass
        lock = next(tmp_path.glob(f"subjects/{'abc'[number]}.lock"))
        os.utime(lock, (number, number))
    with in_use(tmp_path, ["a"]):
        os.utime(tmp_path / "subjects/a.lock", (0, 0))
        make_room(tmp_path, 2000)
        assert store.get("diffs/a/x/1") and not store.get("shared/answers/b/1")
        make_room(tmp_path, 0)
        assert store.get("diffs/a/x/1") and not store.get("diffs/c/x/1")
    make_room(tmp_path, 1000)
    assert size_of(tmp_path) == 1000
    make_room(tmp_path, 0)
    assert size_of(tmp_path) == 0


def test_a_kill_while_room_is_made_leaves_no_half_of_a_result(tmp_path: Path) -> None:
    store = LocalStore(tmp_path)
    with store.put("diffs/a/x/1") as directory:
        (directory / "result.json").write_text("{}")
        (directory / "tensors").write_text("")
    killed = """if True:
        import os, shutil, signal, sys
        from pathlib import Path
        from workers.keeping import store_copies
        def torn(path, **_):
            next(Path(path).rglob("tensors")).unlink()
            os.kill(os.getpid(), signal.SIGKILL)
        shutil.rmtree = torn
        store_copies.make_room(Path(sys.argv[1]), 0)
    """
    done = subprocess.run([sys.executable, "-c", killed, str(tmp_path)], cwd=ROOT, check=False)
    assert done.returncode == -signal.SIGKILL
    assert LocalStore(tmp_path).get("diffs/a/x/1") is None
    assert size_of(tmp_path) == 0  # what was left is swept away


def test_results_of_a_host_alone_make_room_for_newer_ones(tmp_path: Path) -> None:
    job = made_up()
    settings = load_settings(data_dir=tmp_path, store={"copies_bytes": 0})
    store = LocalStore(settings.store_dir)
    keys = f"diffs/{'0' * 64}/answers/1", f"diffs/{job.pair_digest}/answers/1"
    with carried(settings, job):
        for key in keys:
            with store.put(key) as directory:
                (directory / "result.json").write_bytes(bytes(1000))
        make_room(settings.store_dir, 0)
        assert [store.get(key) is not None for key in keys] == [False, True]  # in use
    assert store.get(keys[1]) is None


def test_reviewers_find_a_report_wherever_it_was_written(
    host: Host, caplog: pytest.LogCaptureFixture
) -> None:
    verdict, a, b = samples.flagged(), host("a"), host("b")
    keep_outcome(a, Outcome(verdict, samples.evidence()))
    assert StoredResults(b).evidence(verdict) == samples.evidence()
    page = find_outcome(b, verdict) / "report.html"
    assert page.read_text() == (find_outcome(a, verdict) / "report.html").read_text()
    caveat = Evidence(caveats=["decided again"])
    keep_outcome(b, Outcome(verdict, caveat))
    assert read_evidence(find_outcome(a, verdict)) == caveat
    again = verdict.model_copy(update={"timings": {"probe": 1.0}})
    assert "belongs to another try" in StoredResults(a).evidence(again).caveats[0]
    other: Verdict = verdict.model_copy(update={"line": "another"})
    assert StoredResults(b).evidence(other) == Evidence()
    with caplog.at_level(logging.WARNING):
        assert read_evidence(find_outcome(a, verdict)) == caveat
    assert caplog.text == ""
