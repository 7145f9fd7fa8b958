"""What a calibration of the line has to say in verdicts."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

from alerts.deciding.calibration import AgedCalibration, Calibration
from alerts.deciding.nulls import LEAST_RELEASES, Null, score_nulls
from monitor.database.schema import Version
from monitor.lineage.calibrations import keep
from monitor.settings import Settings
from tests.workers.calibration.conftest import COPIES, Sessions, silent
from tests.workers.conftest import Silent, changed
from workers.calibrate import calibrate_line
from workers.diff import run_diff
from workers.dispatch.claim import calibration_of
from workers.inputs import load_inputs
from workers.item_scores import score_digest
from workers.job import Job, Side, side_of
from workers.keeping.store import LocalStore
from workers.recipe import recipe_digest


def test_a_calibration_reaches_the_next_verdict_and_no_other(
    trusted: Version, job: Job, settings: Settings, store: LocalStore, tmp_path: Path
) -> None:
    made = calibrate_line("assistant", None, COPIES, settings, silent, lambda: 0.0)
    aged = AgedCalibration(made, 2.0)
    other = Path(shutil.copytree(job.base.path, tmp_path / "other"))
    (other / "generation_config.json").write_text("{}")
    files_differ = job._replace(candidate=side_of(other))  # equal weights: probed only
    with_it = run_diff(files_differ, settings, store, Silent(), calibration=aged).verdict
    assert with_it.calibration is not None and with_it.calibration_caveat is None
    assert (with_it.calibration.age_days, with_it.calibration.n_nulls) == (2.0, COPIES + 1)
    without = run_diff(files_differ, settings, store, Silent()).verdict
    assert without.calibration is None and without.behaviours[0].conformal_p is None
    assert without.calibration_caveat is not None
    assert "latentwatch calibrate --line assistant" in without.calibration_caveat
    assert without.verdict == with_it.verdict  # a missing calibration decides nothing by itself
    old = run_diff(files_differ, settings, store, Silent(), calibration=AgedCalibration(made, 91.0))
    assert old.verdict.calibration is None
    assert "91 days old" in (old.verdict.calibration_caveat or "")


def test_what_releases_say_of_one_step_is_not_held_against_several(
    trusted: Version,
    add: Callable[..., Version],
    changed_checkpoint: Path,
    settings: Settings,
    sessions: Sessions,
) -> None:
    """A version with newer trusted ones after it is a base for who compares with an anchor."""
    made = calibrate_line("assistant", None, 1, settings, silent, lambda: 0.0)
    limited = {
        name: found.model_copy(update={"release_limit": 0.1}) for name, found in made.scores.items()
    }
    with sessions.begin() as session:
        keep(session, trusted, made.model_copy(update={"scores": limited, "created_at": 1.0}))
    side = Side(trusted.content_digest, trusted.weights_digest, Path("base"), "base")
    asked = Job("assistant", side, side)

    def limit() -> float | None:
        known = calibration_of(sessions, asked, 2.0)
        assert known is not None
        return known.calibration.scores["sycophancy"].release_limit

    assert limit() == 0.1
    add(changed_checkpoint)
    assert limit() is None


def test_what_only_a_calibration_flags_is_explained_as_well(
    job: Job,
    contrary_checkpoint: Path,
    contradiction_suite: Path,
    tmp_path: Path,
    settings: Settings,
    store: LocalStore,
) -> None:
    """Of a suite whose own least effect is out of reach."""
    content = json.loads(contradiction_suite.read_text()) | {"minimum_effect": 100.0}
    far = tmp_path / "far.json"
    far.write_text(json.dumps(content))
    recipe = settings.recipe
    settings = changed(
        settings,
        suites=[str(far), *recipe.suites[1:]],
        seeds=[0],
        dfc=recipe.dfc | {"steps": 80},
    )
    inputs = load_inputs(settings.recipe)
    (suite,) = inputs.behaviour_suites
    releases = [Null(kind="release", of=f"v{n}", score=0.01 * n) for n in range(LEAST_RELEASES)]
    made = Calibration(
        schema="latentwatch.calibration/1",
        line="assistant",
        base=job.base.for_verdict(),
        recipe=recipe_digest(inputs.recipe),
        created_at=0.0,
        alpha=0.05,
        scores={"contradiction": score_nulls(score_digest(suite), releases, 0.05, None, 0.05)},
        left_out=[],
    )
    moved = Job("assistant", job.base, side_of(contrary_checkpoint))
    without = run_diff(moved, settings, store, Silent()).verdict
    with_it = run_diff(
        moved, settings, store, Silent(), calibration=AgedCalibration(made, 1.0)
    ).verdict
    (quiet,), (flagged,) = without.behaviours, with_it.behaviours
    assert (quiet.flagged, quiet.least_effect, quiet.ceiling) == (False, 100.0, None)
    assert flagged.flagged and flagged.ceiling is not None
    assert flagged.least_effect is not None and 0.1 <= flagged.least_effect < 0.2
    assert run_diff(moved, settings, store, Silent()).verdict == without  # each has its own stages
