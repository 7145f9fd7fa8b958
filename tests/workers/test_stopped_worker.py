"""A worker that is told to stop in training saves it, and another one goes on to the same verdict,
by the real stages in processes of their own."""

from pathlib import Path

import pytest

from alerts.verdict import Verdict
from monitor.comparison import prepare
from monitor.database import open_database
from monitor.schema import Diff, DiffState
from monitor.settings import Settings
from tests.workers.conftest import changed
from tests.workers.service import ROOT
from tests.workers.test_local import silent
from workers.check import check_pair
from workers.claim import present_recipe
from workers.service import COMPARE_COMMAND
from workers.supervised import Workplace, run_due


def test_training_goes_on_in_another_worker_and_the_verdict_is_the_same(
    tiny_checkpoint: Path,
    changed_checkpoint: Path,
    tmp_path: Path,
    settings: Settings,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    dfc = settings.recipe.dfc | {"steps": 400, "checkpoint_every": 400}
    settings = changed(settings, layer=1, seeds=[0], dfc=dfc)
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

    run_due(Workplace(sessions, settings, COMPARE_COMMAND, in_training), comparison.diff_id)
    assert (row().state, row().attempt, row().error) == (DiffState.QUEUED, 0, None)
    saved = list(work.glob("diffs/*/train-0/*/training/state.json"))
    assert len(saved) == 1  # at no interval of checkpoints, so only because it was told to stop

    run_due(Workplace(sessions, settings, COMPARE_COMMAND, lambda: False), comparison.diff_id)
    assert row().state == DiffState.DONE, row().error
    resumed = Verdict.model_validate_json(row().verdict or "")
    elsewhere = settings.model_copy(
        update={
            "data_dir": tmp_path / "undisturbed",
            "store_dir": tmp_path / "undisturbed/store",
            "database_url": f"sqlite:///{tmp_path}/undisturbed/latentwatch.db",
        }
    )
    undisturbed = check_pair(
        changed_checkpoint, str(tiny_checkpoint), None, elsewhere, None, silent, print
    )
    without_timings = {"timings": {}}
    assert resumed.timings.keys() == undisturbed.timings.keys()
    assert resumed.model_copy(update=without_timings) == undisturbed.model_copy(
        update=without_timings
    )
