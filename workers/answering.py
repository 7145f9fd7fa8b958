"""Answers a question about a comparison that has ended, by what its stages have kept.

Nothing that has taken the comparison its time is computed again: features and strengths are read,
and where they are no longer kept the question is refused.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

from alerts.deciding.measured import behaviour_row
from alerts.deciding.policy import is_flagged, least_effect
from alerts.plain_text import clip, strip_controls
from alerts.question import (
    Answered,
    Asked,
    PromptAsked,
    SeedsAsked,
    SteeredAnswers,
    SuiteAsked,
    SuiteMeasured,
)
from dfc.engines.engine import Edit, Engine, FeatureBank
from dfc.errors import DfcError
from monitor.errors import QuestionError
from monitor.jobs.asked_suites import entry_of
from monitor.settings import Settings
from workers.context import Context
from workers.diff import open_context
from workers.job import Job
from workers.keeping.kept_stages import kept
from workers.keeping.store import Store
from workers.more_seeds import try_seeds
from workers.progress import DiffProgress
from workers.stages.probe import probe_models
from workers.stages.screen import Banks, Screened
from workers.stages.steer import Causes

ANSWER_TOKENS = 96
LONGEST_ANSWER = 4_000
"""Characters; a token may be a long word."""
UNMEASURED_GAIN = 1.0
"""Of a feature whose amplification was not tried in the check: it counts twice."""


def answer(
    job: Job,
    asked: Asked,
    shifted: tuple[str, ...],
    settings: Settings,
    store: Store,
    progress: DiffProgress,
) -> Answered:
    """The answer to `asked` about the comparison `job` under the recipe of `settings`, in which the
    behaviours `shifted` were flagged.

    Raises QuestionError where it can't be answered, and what opening the models raises.
    """
    if isinstance(asked, SuiteAsked):
        return _measured(job, asked, settings, store, progress)
    context = replace(open_context(job, settings, store, progress), shifted=shifted)
    if isinstance(asked, SeedsAsked):
        return try_seeds(context, asked.seeds)
    return _steered(context, asked)


class Amplification(NamedTuple):
    """How a feature is turned up in the candidate."""

    gain: float | None
    """None where every gain that was tried cost too much."""
    caveat: str | None


def amplification(causes: Causes, feature: str, bearable: float) -> Amplification:
    """The largest gain on `feature` that was seen to raise the loss on neutral text by no more than
    `bearable`, nats per token."""
    reach = causes.reach.get(feature)
    if reach:
        return Amplification(reach[0].gain, None)
    tried = [
        (gain, rise)
        for dose in causes.dose_responses
        if dose.feature == feature
        for gain, rise in zip(dose.strengths, dose.nll_rises, strict=True)
        if gain > 0 and rise is not None
    ]
    if not tried:
        return Amplification(
            UNMEASURED_GAIN, "What amplifying this feature costs on neutral text was not measured."
        )
    borne = [gain for gain, rise in tried if rise <= bearable]
    if not borne:
        return Amplification(None, "Every amplification that was tried damages neutral text.")
    return Amplification(max(borne), None)


def _steered(context: Context, asked: PromptAsked) -> SteeredAnswers:
    screening = kept(context, "screen", Screened)
    causes = kept(context, "steer", Causes).result
    screened, banks = screening.result, Banks(screening.directory)
    row = next(
        (f.row for f in screened.features if (f.id, f.side) == (asked.feature, "candidate")), None
    )
    if row is None:
        raise QuestionError(f"{asked.feature}: the candidate has no such feature of its own")
    bank = banks.bank("candidate")
    base_bank = banks.base_view().bank(bank) if screened.across else bank
    up = amplification(causes, asked.feature, context.inputs.policy.maximum_nll_rise)
    effects = causes.effects.get(asked.feature, [])
    strength = max((e.strength for e in effects if e.strength is not None), default=None)
    caveats = [up.caveat] if up.caveat else []
    if base_bank is None:
        strength = None
        caveats.append("It is not known how the feature stands in the base's states.")
    elif strength is None:
        caveats.append("No addition to the base is known that neutral text bears.")
    speaker = _Speaker(context, asked.prompt, 3 + (up.gain is not None) + (strength is not None))
    base, candidate = context.models["base"], context.models["candidate"]
    return SteeredAnswers(
        base=speaker.says(base),
        candidate=speaker.says(candidate),
        candidate_ablated=speaker.says(candidate, bank, [Edit(row, gain=-1.0)]),
        candidate_amplified=speaker.says(candidate, bank, [Edit(row, gain=up.gain)])
        if up.gain is not None
        else None,
        gain=up.gain,
        base_induced=speaker.says(base, base_bank, [Edit(row, offset=strength)])
        if strength is not None
        else None,
        strength=strength,
        caveats=caveats,
    )


def _measured(
    job: Job, asked: SuiteAsked, settings: Settings, store: Store, progress: DiffProgress
) -> SuiteMeasured:
    recipe = settings.recipe.model_copy(
        update={"suites": [entry_of(settings.recipe.suites, asked.suite)]}
    )
    context = open_context(job, settings.model_copy(update={"recipe": recipe}), store, progress)
    suites = context.inputs.behaviour_suites
    if not suites:
        raise QuestionError(f"{asked.suite}: is a control and no behaviour")
    progress.begin("probe")
    [measured] = probe_models(context).result.measured(suites)
    return SuiteMeasured(
        behaviour=behaviour_row(
            measured,
            None,
            flagged=is_flagged(measured, context.inputs.policy),
            least_effect=least_effect(measured, context.inputs.policy),
        ),
        minimum_effect=measured.minimum_effect,
        n_unscored=measured.n_unscored,
    )


class _Speaker:
    """Has models answer one prompt, word by word the likeliest."""

    def __init__(self, context: Context, prompt: str, total: int) -> None:
        self._context, self._total, self._done = context, total, 0
        self._chat = [{"role": "user", "content": prompt}]
        context.progress.begin("answers")

    def says(
        self, engine: Engine, bank: FeatureBank | None = None, edits: Sequence[Edit] = ()
    ) -> str:
        self._context.progress.step("answers", self._done, self._total)
        self._done += 1
        per_prompt = [edits] if edits else None
        try:
            prompt = engine.encode_chat(self._chat, add_generation_prompt=True)
            [tokens] = engine.generate([prompt], ANSWER_TOKENS, bank=bank, edits=per_prompt)
        except DfcError as error:
            raise QuestionError(f"the prompt can't be answered: {error}") from error
        return clip(strip_controls(engine.decode(tokens)).strip(), LONGEST_ANSWER)
