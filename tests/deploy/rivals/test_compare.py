"""All methods on real tiny checkpoints, through the stages of a real diff."""

from pathlib import Path

import pytest

from deploy.bench.rivals.compare import compare_one, rivals
from deploy.bench.rivals.record import OURS
from deploy.bench.rivals.subjects import Subject
from deploy.bench.zoo.versions import Rewrite, Version
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
from workers.job import Job

STEER = {"SAE on the difference", "BatchTopK crosscoder", "L1 crosscoder"}
STEER |= {"activation difference lens"}


class Told(Silent):
    """Notes which methods were computed, and which were there."""

    def __init__(self) -> None:
        self.reused: dict[str, bool] = {}

    def end(self, stage: str, seconds: float, reused: bool) -> None:
        self.reused[stage] = reused


def subject(candidate: Path, base: Path, settings: Settings) -> Subject:  # noqa: F811
    version = Version(
        name="tiny",
        kind="planted",
        expected="contradiction",
        half="report",
        recipe=Rewrite(make="rewrite", how="identical"),
    )
    return Subject(version, Job(None, side_of(base), side_of(candidate)), settings, None)


def test_every_method_finds_something_of_a_plant_and_is_not_run_twice(
    contrary_checkpoint: Path,  # noqa: F811
    tiny_checkpoint: Path,
    settings: Settings,  # noqa: F811
    contradiction_suite: Path,  # noqa: F811
) -> None:
    suites = [str(contradiction_suite), settings.recipe.suites[-1]]
    plant = subject(contrary_checkpoint, tiny_checkpoint, changed(settings, suites=suites))
    first = compare_one(plant, Told())
    assert list(first.findings) == [OURS, *(rival.name for rival in rivals())]
    assert first.findings["probes alone"].names == ["contradiction"]
    assert all(first.findings[name].score > 0 for name in STEER)
    steered = {name for name, one in first.findings.items() if one.mediated is not None}
    assert steered - {OURS} == STEER
    ceilings = {first.findings[name].mediated["contradiction"].ceiling for name in STEER}
    assert len(ceilings) == 1 and None not in ceilings
    told = Told()
    assert compare_one(plant, told) == first
    assert all(told.reused[rival.name] for rival in rivals())


def test_no_method_finds_anything_between_equal_weights(
    tiny_checkpoint: Path,
    settings: Settings,  # noqa: F811
) -> None:
    same = compare_one(subject(tiny_checkpoint, tiny_checkpoint, settings), Silent())
    scores = {name: finding.score for name, finding in same.findings.items()}
    flags = {name: finding.flagged for name, finding in same.findings.items()}
    assert flags[OURS] is False and flags["probes alone"] is False
    assert not any(flags.values())
    assert scores["per-token KL"] == pytest.approx(0.0, abs=1e-6)
    assert scores["output-only diffing"] == pytest.approx(0.0, abs=1e-9)
    for name in ("new stock phrases", "activation difference lens", "SAE on the difference"):
        assert scores[name] == 0.0
    assert scores["BatchTopK crosscoder"] == pytest.approx(0.5, abs=0.1)
