"""Features are held against those of another seed, another update and a shorter training."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from deploy.bench.likeness import again, command
from deploy.bench.likeness.found import read_checked
from deploy.bench.rivals.subjects import Subject
from deploy.bench.zoo.versions import Rewrite, Version
from dfc.screening.likeness import SAME
from monitor.errors import SettingsError
from monitor.settings import Settings
from tests.workers.conftest import (  # noqa: F401
    Silent,
    changed,
    contradiction_suite,
    contrary_checkpoint,
    one_thread,
    recipe_files,
    settings,
    side_of,
)
from workers.diff import run_diff
from workers.job import Job
from workers.keeping.store import LocalStore


@contextmanager
def silent() -> Iterator[Silent]:
    yield Silent()


@pytest.fixture
def contrary(
    tiny_checkpoint: Path,
    contrary_checkpoint: Path,  # noqa: F811
    settings: Settings,  # noqa: F811
) -> Subject:
    """Trained until there are features of the candidate alone, from two seeds."""
    longer = changed(settings, layer=1, seeds=[0, 1], dfc=settings.recipe.dfc | {"steps": 80})
    how = Rewrite(make="rewrite", how="identical")
    version = Version(name="contrary", kind="benign", expected=None, half="report", recipe=how)
    job = Job(None, side_of(tiny_checkpoint), side_of(contrary_checkpoint))
    return Subject(version, job, longer, None)


def test_the_same_update_is_known_again_and_another_seed_is_counted_apart(
    contrary: Subject,
) -> None:
    twin = contrary._replace(version=contrary.version.model_copy(update={"name": "twin"}))
    told = command.measured([contrary, twin], [], silent)
    one, other = told["updates"]
    assert (one["version"], one["elsewhere"], other["version"]) == ("contrary", "twin", "twin")
    assert one["known"] == one["features"] > 0
    assert len(one["nearest"]) == one["features"]
    assert one["nearest"] == pytest.approx([1] * one["features"], abs=1e-3)
    assert [(seed["version"], seed["elsewhere"]) for seed in told["seeds"]] == [
        ("contrary", "seed 1"),
        ("twin", "seed 1"),
    ]
    summary, both = told["summary"], one["features"] + other["features"]
    assert (summary["other_update_compared"], summary["other_update_known"]) == (both, both)
    assert summary["other_seed_compared"] == sum(seed["features"] for seed in told["seeds"])
    assert summary["other_seed_highest"] < 1 - 1e-4
    known = [bound["other_seed_known"] for bound in told["bounds"]]
    assert known == sorted(known, reverse=True)
    assert summary["other_seed_known"] == known[command.BOUNDS.index(SAME)]
    assert summary["other_update_share_low"] < 1 == summary["other_update_share_high"]


def test_a_training_of_all_steps_finds_everything_again(
    contrary: Subject, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(again, "FIRST", 3)
    told = command.measured([contrary], ["contrary"], silent)
    assert [row["steps"] for row in told["steps"]] == [80, 40, 16, 8]
    whole, *shorter = told["steps"]
    assert whole["known"]["0.7"] == whole["features"] == 3
    assert all(row["features"] == 3 for row in shorter)
    assert len({row["difference_unexplained"] for row in told["steps"]}) == len(told["steps"])
    assert shorter[-1]["nearest"] != whole["nearest"]
    assert told["summary"]["other_update_compared"] == 0


def test_what_a_training_of_all_steps_removes_is_what_the_check_tells(
    contrary: Subject,
    contradiction_suite: Path,  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    suites = [str(contradiction_suite), *contrary.settings.recipe.suites[1:]]
    shifted = contrary._replace(settings=changed(contrary.settings, suites=suites))
    monkeypatch.setattr(command, "PARTS", (1.0, 0.1))
    whole, tenth = command.measured([shifted], ["contrary"], silent)["steps"]
    store = LocalStore(shifted.settings.store_dir)
    verdict = run_diff(shifted.job, shifted.settings, store, Silent()).verdict
    (told,) = (one for one in verdict.behaviours if one.flagged)
    removed = whole["removed"]["contradiction"]
    assert (removed["ceiling"], removed["five"], removed["all"], removed["control"]) == (
        told.ceiling,
        told.mediated_five,
        told.mediated_all,
        told.mediated_control_p95,
    )
    assert removed["ceiling"] is not None and removed["all"] is not None
    assert tenth["removed"]["contradiction"]["all"] != removed["all"]
    assert tenth["seconds"] > 0 and whole["seconds"] > 0


def test_only_what_was_read_after_the_same_block_is_held_against_each_other(
    contrary: Subject, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    deeper = contrary._replace(
        version=contrary.version.model_copy(update={"name": "deeper"}),
        settings=changed(contrary.settings, layer=2),
    )
    monkeypatch.setattr(command, "subjects", lambda work, names: iter([contrary, deeper]))
    command.run(tmp_path, ["contrary", "deeper"], [], tmp_path, silent)
    told = json.loads((tmp_path / "likeness.json").read_text(encoding="utf-8"))
    one, other = told["versions"]
    assert (one["layer"], other["layer"]) == (1, 2)
    assert one["pair_digest"] == other["pair_digest"]
    assert one["recipe_digest"] != other["recipe_digest"]
    assert told["updates"] == [] and len(told["seeds"]) == 2


def test_where_nothing_is_listed_nothing_is_compared(contrary: Subject) -> None:
    found = read_checked(contrary, Silent())
    none = found.found[0]._replace(listed=[])
    for here, there in ((none, found.found[0]), (found.found[0], none)):
        one = again.again(found, here, there, "elsewhere")
        assert (one.nearest, one.correlation, one.known()) == ([], None, 0)


def test_a_version_to_train_anew_has_to_be_compared(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="--shorter: town: name it with --only, too"):
        command.run(tmp_path, ["identical"], ["town"], tmp_path, silent)
