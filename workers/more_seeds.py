"""Whether further trainings of the crosscoder find again what a check has found.

The further seeds read the states that the check has read, and all seeds are screened and steered
together, as a check with so many would do it: so they are held to one bar, and stand side by side.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cache

from alerts.question import BehaviourBySeed, SeedAgreement, SeedsTried
from dfc.screening.exclusive_codes import exclusive_codes
from dfc.screening.similarity import partner_similarity
from workers.context import Context
from workers.keeping.kept_stages import kept
from workers.stages.attribute import Attribution
from workers.stages.forks import Forks
from workers.stages.harvest import Harvest, PairedStates, read_states
from workers.stages.probe import Probe
from workers.stages.profile import Layer
from workers.stages.screen import Banks, Screened, screen_features
from workers.stages.steer import Causes, steer_features
from workers.stages.train import Run, Training, train_crosscoders


def try_seeds(context: Context, further: int) -> SeedsTried:
    """Train with `further` seeds that the check has not used, and measure all. Raises QuestionError
    where what the check has measured is no longer kept."""
    known = context.inputs.recipe.seeds
    checked = kept(context, "screen", Screened).result
    layer = kept(context, "profile", Layer).result.layer
    harvest = kept(context, "harvest", Harvest).result

    @cache
    def states() -> PairedStates:
        return read_states(context, harvest, layer)

    runs = [kept(context, "train", Run, f"-{seed}") for seed in known]
    attributed = kept(context, "attribute", Attribution)
    more = tuple(range(max(known) + 1, max(known) + 1 + further))
    context.progress.begin("train")
    for seed in more:
        # One by one, so that who asks for more of them later finds these.
        runs += train_crosscoders(_with(context, (seed,)), harvest, attributed, states).runs
    training, all_seeds = Training(runs), _with(context, (*known, *more))
    causes = _causes(all_seeds, training, layer, states)
    similarities = _similarities(training, checked, states())
    return SeedsTried(
        seeds=[
            SeedAgreement(seed=seed, similarity=similarity)
            for seed, similarity in zip((*known, *more), similarities, strict=True)
        ],
        n_known=len(known),
        similar=context.inputs.recipe.screen.seed_agreement,
        behaviours=[
            BehaviourBySeed(name=name, n_items=found.n_items, by_seed=list(found.by_seed))
            for name, found in causes.evidence.items()
        ],
    )


def _causes(
    context: Context, training: Training, layer: int, states: Callable[[], PairedStates]
) -> Causes:
    probe, forks = kept(context, "probe", Probe).result, kept(context, "forks", Forks).result
    context.progress.begin("screen")
    screening = screen_features(context, training, layer, states)
    screened, banks = screening.result, Banks(screening.directory)
    context.progress.begin("steer")
    return steer_features(context, probe, forks, screened, banks, states).result


def _similarities(
    training: Training, checked: Screened, states: PairedStates
) -> list[dict[str, float]]:
    """By seed, how like its best partner there each feature is that the check has listed of the
    candidate; nothing for the first seed, whose features they are."""
    listed = [feature for feature in checked.short_list if feature.side == "candidate"]
    rows = [feature.row for feature in listed]
    found = [
        (
            one.model.candidate.decoder.detach(),
            exclusive_codes(one, states.base.x_TD, states.candidate.x_TD).candidate_TK,
        )
        for one in training.crosscoders()
    ]
    (decoder_KD, code_TK), *others = found
    return [
        {},
        *(
            dict(
                zip(
                    (feature.id for feature in listed),
                    partner_similarity(decoder_KD[rows], code_TK[:, rows], *other).tolist(),
                    strict=True,
                )
            )
            for other in others
        ),
    ]


def _with(context: Context, seeds: Sequence[int]) -> Context:
    recipe = context.inputs.recipe.model_copy(update={"seeds": tuple(seeds)})
    return replace(context, inputs=context.inputs._replace(recipe=recipe))
