"""What the check of one version has found of features, with the states that they are read on."""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

from torch import Tensor

from deploy.bench.likeness.removed import Shifts, read_shifts
from deploy.bench.rivals.case import open_case
from deploy.bench.rivals.subjects import Subject
from dfc.crosscoder.config import ScreenConfig
from dfc.crosscoder.train import TrainedDfc
from dfc.engines.engine import FeatureBank
from workers.diff import open_context
from workers.flagged import flagged_behaviours
from workers.keeping.store import LocalStore
from workers.progress import DiffProgress
from workers.recipe import recipe_digest
from workers.stages.attribute import attribute_difference, load_directions
from workers.stages.forks import find_forks
from workers.stages.harvest import PairedStates, token_weights
from workers.stages.screen import Banks, screen_features
from workers.stages.train import train_crosscoders
from workers.verdicts.decide import standing_of


class Found(NamedTuple):
    """The candidate's features that one seed lists, those first that explain most."""

    bank: FeatureBank
    listed: list[int]
    """Rows of the bank."""


class Checked(NamedTuple):
    """One checked version."""

    name: str
    pair_digest: str
    """Of the base's and the candidate's files."""
    recipe_digest: str
    states: PairedStates
    found: list[Found]
    """Per seed."""
    crosscoders: list[TrainedDfc]
    """Per seed."""
    shifts: Shifts
    moving_RD: Tensor
    weight_T: Tensor | None
    screen: ScreenConfig

    @property
    def layer(self) -> int:
        """After which block the features were read."""
        return self.found[0].bank.layer


def read_checked(subject: Subject, progress: DiffProgress) -> Checked:
    """Read what the check of `subject` has kept; what is missing is computed."""
    store = LocalStore(subject.settings.store_dir)
    context = open_context(subject.job, subject.settings, store, progress)
    case, _ = open_case(context)
    nulls = standing_of(subject.job, context.inputs, subject.calibration)
    shifted = flagged_behaviours(context.inputs, case.probe, nulls.scores)
    context = replace(context, shifted=shifted)
    forks = find_forks(context, case.answers).result
    attributed = attribute_difference(context, case.answers, case.probe, forks, case.layer)
    training = train_crosscoders(context, case.harvest, attributed, lambda: case.states)
    screening = screen_features(context, training, case.layer, lambda: case.states)
    banks, listed = Banks(screening.directory), screening.result.candidate_listed
    return Checked(
        name=subject.version.name,
        pair_digest=subject.job.pair_digest,
        recipe_digest=recipe_digest(context.inputs.recipe),
        states=case.states,
        found=[Found(banks.bank("candidate", seed), rows) for seed, rows in enumerate(listed)],
        crosscoders=training.crosscoders(),
        shifts=read_shifts(context, case.probe, forks, case.states),
        moving_RD=load_directions(attributed),
        weight_T=token_weights(case.harvest),
        screen=context.inputs.recipe.screen,
    )
