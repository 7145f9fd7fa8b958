"""A whole diff of two tiny checkpoints, from files to a verdict."""

import dataclasses
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from monitor.settings import Settings
from tests.workers.conftest import side_of
from workers import diff
from workers.diff import run_diff
from workers.errors import InputsError, ModelLoadError
from workers.job import Job
from workers.outcome import Outcome
from workers.store import LocalStore

STAGES = [
    "answers",
    "probe",
    "profile",
    "harvest",
    "train",
    "screen",
    "steer",
    "side by side",
]


class Heard:
    """Progress that remembers."""

    def __init__(self) -> None:
        self.stages: list[tuple[str, bool]] = []
        self.steps: set[str] = set()

    def begin(self, stage: str) -> None:
        pass

    def step(self, what: str, done: int, total: int) -> None:
        assert 0 <= done <= total
        self.steps.add(what)

    def end(self, stage: str, seconds: float, reused: bool) -> None:
        self.stages.append((stage, reused))


def without_timings(outcome: Outcome) -> Outcome:
    return outcome._replace(verdict=outcome.verdict.model_copy(update={"timings": {}}))


def test_two_checkpoints_to_a_verdict_and_again_from_the_store(
    job: Job, settings: Settings, store: LocalStore
) -> None:
    first, again = Heard(), Heard()
    outcome = run_diff(job, settings, store, first)
    verdict, evidence = outcome

    assert [stage for stage, _ in first.stages] == STAGES
    assert not any(reused for _, reused in first.stages)
    assert list(verdict.timings) == STAGES
    assert verdict.recipe.seeds == [0, 1]
    assert verdict.recipe.layer in {point.layer for point in evidence.patch_profile}
    assert verdict.recipe.tokens is not None and 0 < verdict.recipe.tokens <= 600
    (behaviour,) = verdict.behaviours
    assert behaviour.n_items == 8
    assert behaviour.shift is not None and behaviour.noise_floor is not None
    assert evidence.controls.candidate.capability_accuracy is not None
    assert evidence.controls.base.mean_answer_length is not None
    assert [run.seed for run in evidence.training] == [0, 1]
    assert len(evidence.item_scores) == 8

    repeated = run_diff(job, settings, store, again)
    assert again.stages == [(stage, True) for stage in STAGES]
    assert repeated == outcome  # timings too: they are those of the work, not of this call
