"""Runs the stages of one diff in order, to a verdict. "Could not check" is never "passed"."""

import logging
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Protocol, TypeVar

import torch

from alerts.deciding.calibration import AgedCalibration, Standing
from dfc.activation_cache import ActivationCache
from dfc.errors import CacheError
from monitor.errors import CheckpointChangedError, LatentwatchError
from monitor.settings import Settings
from workers.context import Clock, Context
from workers.corpora import read_corpora
from workers.errors import StoreError, no_room
from workers.explain import with_explanations
from workers.flagged import flagged_behaviours
from workers.inputs import load_inputs
from workers.job import Job
from workers.keeping.store import Store
from workers.models import Models
from workers.progress import DiffProgress
from workers.recognise import NewFeatures, with_seen_before
from workers.stages.answers import BothAnswers, answer_prompts
from workers.stages.attribute import attribute_difference
from workers.stages.describe import describe_features
from workers.stages.forks import find_forks
from workers.stages.harvest import Harvested, harvest_models
from workers.stages.probe import Probe, probe_models
from workers.stages.profile import choose_depth
from workers.stages.screen import Banks, screen_features
from workers.stages.side_by_side import answer_side_by_side
from workers.stages.steer import steer_features
from workers.stages.stock_phrases import find_stock_phrases
from workers.stages.train import train_crosscoders
from workers.verdicts.decide import decide_diff, standing_of
from workers.verdicts.findings import Findings
from workers.verdicts.outcome import Outcome

logger = logging.getLogger(__name__)

DESCRIBE = "describe"
"""The last stage: nothing is decided by what it finds, so its failure costs the labels alone."""


class _Timed(Protocol):
    @property
    def seconds(self) -> float: ...

    @property
    def reused(self) -> bool: ...


TimedT = TypeVar("TimedT", bound=_Timed)


def run_diff(
    job: Job,
    settings: Settings,
    store: Store,
    progress: DiffProgress,
    clock: Clock = time.monotonic,
    calibration: AgedCalibration | None = None,
) -> Outcome:
    """The verdict on `job`. Stages whose artifact is in `store` are not run again.

    A stage that fails makes the verdict undecided, or flagged when the shifts were measured before
    and are enough for that; the reason is in the verdict and is the outcome's failure. Features
    that can't be described have no labels, and a caveat says why. Raises a LatentwatchError where
    nothing can be decided: inputs that can't be used, checkpoints that can't be compared, no room
    to keep a result. After any of these, and after a kill, the same call goes on where it was.
    `calibration` is the line's, and has a say in which behaviours count as shifted.
    """
    context = open_context(job, settings, store, progress, clock)
    inputs = context.inputs
    nulls = standing_of(job, inputs, calibration)
    decided = partial(decide_diff, job, inputs, nulls)
    stages = _Stages(context, nulls)
    try:
        stages.run_all()
    except CheckpointChangedError as error:
        # Whatever was measured may belong to other files.
        return decided(Findings(), f"The source changed during the check: {error}")
    except LatentwatchError:
        raise
    except Exception as error:
        if isinstance(error, CacheError) or no_room(error):
            raise StoreError(f"{stages.current}: {error}") from error
        logger.exception("stage %s of %s failed", stages.current, job.candidate.locator)
        reason = f"The stage {stages.current} failed: {type(error).__name__}: {error}"
        if stages.current != DESCRIBE:
            return decided(stages.findings, reason)
        stages.findings.undescribed = reason
    findings = stages.findings
    outcome = with_seen_before(decided(findings), job.earlier, stages.new_features)
    return with_explanations(outcome, findings.descriptions, settings.explainer, store, progress)


def open_context(
    job: Job,
    settings: Settings,
    store: Store,
    progress: DiffProgress,
    clock: Clock = time.monotonic,
) -> Context:
    """What the stages of `job` work with. Raises InputsError for inputs that can't be used."""
    inputs = load_inputs(settings.recipe)
    return Context(
        job=job,
        inputs=inputs,
        corpora=read_corpora(inputs),
        models=Models(job, inputs.recipe.engine),
        store=store,
        cache=activation_cache(settings),
        progress=progress,
        clock=clock,
        training_processes=settings.limits.training_processes,
    )


def activation_cache(settings: Settings) -> ActivationCache:
    try:
        return ActivationCache(settings.data_dir / "activations", settings.cache_bytes)
    except CacheError as error:
        raise StoreError(str(error)) from error


class _Stages:
    """The stages of one diff in their order, and what they have found."""

    def __init__(self, context: Context, nulls: Standing) -> None:
        self._context, self._nulls = context, nulls
        self.findings = Findings()
        self.new_features: NewFeatures | None = None
        self.current = "start"

    def run_all(self) -> None:
        context, findings = self._context, self.findings
        answers = self._run("answers", lambda: answer_prompts(context)).result
        findings.answers = answers
        probe = self._run("probe", lambda: probe_models(context)).result
        findings.probe = probe
        if context.job.probe_only:
            return
        shifted = flagged_behaviours(context.inputs, probe, self._nulls.scores)
        context = replace(context, shifted=shifted)
        findings.stock_phrases = self._run(
            "stock phrases", lambda: find_stock_phrases(context, answers)
        ).result
        forks = self._run("forks", lambda: find_forks(context, answers)).result
        findings.forks = forks
        findings.layer = self._run("profile", lambda: choose_depth(context, answers)).result
        layer = findings.layer.layer
        harvested = self._run("harvest", lambda: harvest_models(context, answers, layer))
        harvest, states = harvested.result, harvested.states
        findings.harvest = harvest
        findings.nothing_to_diff = _all_equal(answers, probe, harvested)
        if findings.nothing_to_diff:
            return
        attributed = self._run(
            "attribute", lambda: attribute_difference(context, answers, probe, forks, layer)
        )
        findings.attribution = attributed.result
        training = self._run(
            "train", lambda: train_crosscoders(context, harvest, attributed, states)
        )
        findings.runs = [run.result for run in training.runs]
        screening = self._run("screen", lambda: screen_features(context, training, layer, states))
        screened, banks = screening.result, Banks(screening.directory)
        findings.screened = screened
        self.new_features = NewFeatures(screened, banks, states)
        causes = self._run(
            "steer", lambda: steer_features(context, probe, forks, screened, banks, states)
        ).result
        findings.causes = causes
        findings.side_by_side = self._run(
            "side by side", lambda: answer_side_by_side(context, causes, screened, banks)
        ).result
        findings.descriptions = self._run(
            DESCRIBE,
            lambda: describe_features(context, answers, harvest, screened, banks, states),
        ).result

    def _run(self, name: str, stage: Callable[[], TimedT]) -> TimedT:
        self.current = name
        self._context.progress.begin(name)
        done = stage()
        self.findings.seconds[name] = done.seconds
        self._context.progress.end(name, done.seconds, done.reused)
        return done


def _all_equal(answers: BothAnswers, probe: Probe, harvested: Harvested) -> bool:
    """Whether both models said, scored and computed the same, to the last digit, as the same
    weights in two number formats do."""
    if harvested.result.aligned is not None or answers.base.answers != answers.candidate.answers:
        return False
    states = harvested.states()
    return all(suite.base == suite.candidate for suite in probe.suites.values()) and torch.equal(
        states.base.x_TD, states.candidate.x_TD
    )
