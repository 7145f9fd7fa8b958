"""A worker that is told to stop in training saves it, and another one, on a host that shares only
the object store and the database, goes on to the same verdict, by the real stages in processes of
their own."""

import json
from pathlib import Path

import pytest

from alerts.verdict import Verdict
from monitor.database.opening import open_database
from monitor.database.schema import Diff, DiffState
from monitor.on_demand.comparison import prepare
from monitor.settings import Settings
from monitor.settings.store import StoreSettings
from tests.workers.conftest import Silent, changed
from tests.workers.service import ROOT
from workers.diff import run_diff
from workers.dispatch.claim import present_recipe
from workers.dispatch.service import COMPARE_COMMAND
from workers.dispatch.supervised import run_due
from workers.dispatch.workplace import Workplace
from workers.job import Job, side_of
from workers.keeping.shared_store import SharedStore
from workers.keeping.store import LocalStore

pytestmark = pytest.mark.long


def test_training_goes_on_in_another_worker_and_the_verdict_is_the_same(
    tiny_checkpoint: Path,
    changed_checkpoint: Path,
    tmp_path: Path,
    settings: Settings,
    shared_settings: StoreSettings,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    dfc = settings.recipe.dfc | {"steps": 400, "checkpoint_every": 400}
    alone = changed(settings, layer=1, seeds=[0], dfc=dfc)
    settings = alone.model_copy(update={"store": shared_settings})
    sessions = open_database(settings.database_url)
    recipe = present_recipe(settings)
    comparison = prepare(
        sessions, settings, changed_checkpoint, str(tiny_checkpoint), None, recipe, 0.0
    )
    assert comparison.diff_id is not None
    work = settings.store_dir / "work"

    def row() -> Diff:
        with sessions() as session:
            return session.get_one(Diff, comparison.diff_id)

    def in_training() -> bool:
        return any(work.glob("diffs/*/train-0/*"))

    run_due(Workplace(sessions, settings, COMPARE_COMMAND, in_training, "a"), comparison.diff_id)
    assert (row().state, row().attempt, row().error) == (DiffState.QUEUED, 0, None)
    saved = list(work.glob("diffs/*/train-0/*/training/state.json"))
    assert len(saved) == 1  # at no interval of checkpoints, so only because it was told to stop

    steps: list[tuple[str, int]] = []
    monkeypatch.setattr(
        "workers.dispatch.workplace.Unshown.step",
        lambda self, what, done, _: steps.append((what, done)),
    )
    other = on_host(settings, tmp_path / "other")
    run_due(Workplace(sessions, other, COMPARE_COMMAND, lambda: False, "b"), comparison.diff_id)
    assert row().state == DiffState.DONE, row().error
    stopped_at = json.loads(saved[0].read_text())["step"]
    assert min(done for what, done in steps if what == "steps, seed 0") == stopped_at + 1
    resumed = Verdict.model_validate_json(row().verdict or "")
    elsewhere = on_host(alone, tmp_path / "undisturbed")
    job = Job(None, side_of(tiny_checkpoint), side_of(changed_checkpoint))
    undisturbed = run_diff(job, elsewhere, LocalStore(elsewhere.store_dir), Silent()).verdict
    without_timings = {"timings": {}}
    assert resumed.timings.keys() == undisturbed.timings.keys()
    assert resumed.model_copy(update=without_timings) == undisturbed.model_copy(
        update=without_timings
    )
    assert weights(other) == weights(elsewhere)
    pair, shared = saved[0].parents[3].name, SharedStore(shared_settings)
    assert shared.names(f"{pair}/artifacts/diffs/{pair}/train-0") != []
    assert shared.names(f"{pair}/work") == []


def on_host(settings: Settings, directory: Path) -> Settings:
    return settings.model_copy(update={"data_dir": directory, "store_dir": directory / "store"})


def weights(settings: Settings) -> bytes:
    """Of the trained crosscoder."""
    place = "artifacts/diffs/*/train-0/*/model/state.safetensors"
    [file] = settings.store_dir.glob(place)
    return file.read_bytes()
