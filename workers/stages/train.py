"""One crosscoder per seed on the states of both models; each resumes at the step where it was."""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import NamedTuple

from alerts.evidence import TrainingRun
from dfc.crosscoder.config import DfcConfig
from dfc.crosscoder.explained import explained
from dfc.crosscoder.form import form_of
from dfc.crosscoder.train import TrainedDfc, load_trained, save_trained, train
from dfc.crosscoder.train_together import train_together
from dfc.engines.device import native_device
from dfc.screening.leaning import with_leaning_exclusive
from workers.context import Context
from workers.errors import InputsError
from workers.keeping.artifact import Artifact, Result
from workers.stages.attribute import Attribution, load_directions
from workers.stages.harvest import Harvest, PairedStates, token_weights

_MODEL = "model"


class Run(Result):
    """The training of one seed; the crosscoder itself lies beside the result."""

    summary: TrainingRun


class Training(NamedTuple):
    """One artifact per seed."""

    runs: list[Artifact[Run]]

    @property
    def seconds(self) -> float:
        return sum(run.seconds for run in self.runs)

    @property
    def reused(self) -> bool:
        return all(run.reused for run in self.runs)

    def crosscoders(self) -> list[TrainedDfc]:
        """The trained crosscoders, in the order of the seeds."""
        return [load_trained(run.directory / _MODEL) for run in self.runs]


def train_crosscoders(
    context: Context,
    harvest: Harvest,
    attributed: Artifact[Attribution],
    states: Callable[[], PairedStates],
) -> Training:
    """Train a crosscoder for every seed of the recipe. `states` is called when they are needed."""
    seeds = context.inputs.recipe.seeds
    return Training([_train(context, harvest, attributed, states, seed) for seed in seeds])


def _train(
    context: Context,
    harvest: Harvest,
    attributed: Artifact[Attribution],
    states: Callable[[], PairedStates],
    seed: int,
) -> Artifact[Run]:
    part = f"-{seed}"

    def compute(directory: Path) -> Run:
        pair, processes = states(), context.training_processes
        trained = (
            partial(train, device=native_device())
            if processes == 1
            else partial(train_together, processes=processes, scratch=directory)
        )(
            pair.base.x_TD,
            pair.candidate.x_TD,
            _config(context),
            seed=seed,
            moving_RD=load_directions(attributed),
            weight_T=token_weights(harvest),
            checkpoint=context.work("train", part) / "training",
            progress=context.steps(f"steps, seed {seed}"),
        )
        if trained.model.config.form == "strict":
            trained = with_leaning_exclusive(trained, pair.base.x_TD, pair.candidate.x_TD)
        save_trained(directory / _MODEL, trained)
        return Run(summary=_summary(trained, pair))

    artifact = context.artifact("train", Run, compute, part)
    context.end_work("train", part)
    return artifact


def _config(context: Context) -> DfcConfig:
    """What fits the two models. Raises InputsError where the recipe allows no form that does."""
    recipe = context.inputs.recipe
    if form_of(context.models["base"].info, context.models["candidate"].info) == "tied":
        return recipe.dfc
    if recipe.dfc_across is None:
        raise InputsError(
            "recipe.dfc.form: 'tied' needs two checkpoints of one architecture and tokenizer, and "
            "these two differ; leave the form out, so that the models decide"
        )
    return recipe.dfc_across


def _summary(trained: TrainedDfc, pair: PairedStates) -> TrainingRun:
    found = explained(trained, pair.base.x_TD, pair.candidate.x_TD, device=native_device())
    return TrainingRun(
        seed=trained.seed,
        steps=[int(entry["step"]) for entry in trained.history],
        losses=[entry["total"] for entry in trained.history],
        variance_explained_base=found.base,
        variance_explained_candidate=found.candidate,
        variance_explained_difference=found.difference,
        variance_explained_difference_both=found.difference_both,
    )
