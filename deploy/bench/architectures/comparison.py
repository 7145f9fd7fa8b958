"""The product's own diff of the two language models, and its artifacts for a closer look."""

from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

from dfc.crosscoder.train import TrainedDfc
from dfc.engines.engine import Engine, FeatureBank
from dfc.screening.base_view import BaseView
from monitor.settings import load_settings
from workers.context import Context
from workers.diff import open_context, run_diff
from workers.job import Job, side_of
from workers.keeping.store import LocalStore
from workers.progress import DiffProgress
from workers.stages.answers import answer_prompts
from workers.stages.attribute import attribute_difference
from workers.stages.forks import find_forks
from workers.stages.harvest import Harvest, PairedStates, harvest_models
from workers.stages.probe import probe_models
from workers.stages.profile import choose_depth
from workers.stages.screen import Banks, Screened, screen_features
from workers.stages.train import train_crosscoders
from workers.verdicts.outcome import Outcome


class Compared(NamedTuple):
    """A finished diff; the first seed's crosscoder and features."""

    context: Context
    outcome: Outcome
    layer: int
    harvest: Harvest
    pair: PairedStates
    trained: TrainedDfc
    screened: Screened
    bank: FeatureBank
    """Of the candidate."""
    view: BaseView

    @property
    def models(self) -> tuple[Engine, Engine]:
        return self.context.models["base"], self.context.models["candidate"]


def compare(
    base: Path, candidate: Path, recipe: dict[str, Any], work: Path, progress: DiffProgress
) -> Compared:
    """Run the diff, or take it from the store below `work`."""
    settings = load_settings(data_dir=work, recipe=recipe)
    job, store = Job(None, side_of(base), side_of(candidate)), LocalStore(settings.store_dir)
    outcome = run_diff(job, settings, store, progress)
    if outcome.failure is not None:
        raise RuntimeError(f"the diff of the two language models failed: {outcome.failure}")
    context = open_context(job, settings, store, progress)
    context = replace(context, shifted=outcome.verdict.shifted)
    answers = answer_prompts(context).result
    layer = choose_depth(context, answers).result.layer
    harvested = harvest_models(context, answers, layer)
    harvest, pair = harvested.result, harvested.states()
    probe, forks = probe_models(context).result, find_forks(context, answers).result
    attributed = attribute_difference(context, answers, probe, forks, layer)
    training = train_crosscoders(context, harvest, attributed, lambda: pair)
    screening = screen_features(context, training, layer, lambda: pair)
    banks = Banks(screening.directory)
    return Compared(
        context=context,
        outcome=outcome,
        layer=layer,
        harvest=harvest,
        pair=pair,
        trained=training.crosscoders()[0],
        screened=screening.result,
        bank=banks.bank("candidate"),
        view=banks.base_view(),
    )
