"""The same prompts answered by both models, and by both with the best features edited."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from alerts.evidence import Answer
from alerts.probes.suite import Suite
from dfc.engines.engine import Edit, Engine, FeatureBank
from workers.context import Context
from workers.keeping.artifact import Artifact, Result
from workers.stages.screen import Banks, Screened
from workers.stages.steer import Causes

PROMPTS_PER_BEHAVIOUR = 3
ANSWER_TOKENS = 64


class SideBySide(Result):
    """A few answers per behaviour that a feature moves."""

    answers: list[Answer]


def answer_side_by_side(
    context: Context, causes: Causes, screened: Screened, banks: Banks
) -> Artifact[SideBySide]:
    """Greedy answers to prompts of each behaviour for which a best feature is known.

    The prompts are the first of different templates, not chosen by what is answered.
    """

    def compute(_: Path) -> SideBySide:
        by_id = {feature.id: feature for feature in screened.features}
        bank = banks.bank("candidate")
        base_bank = banks.base_view().bank(bank) if screened.across else bank
        answers: list[Answer] = []
        suites = [s for s in context.inputs.behaviour_suites if causes.best.get(s.behaviour)]
        for done, suite in enumerate(suites, start=1):
            features = causes.best[suite.behaviour]
            strengths = [_strength(causes, name, suite.behaviour) for name in features]
            rows = [by_id[name].row for name in features]
            edits = edits_of(rows, strengths)
            answers += _answers(context, suite, (bank, base_bank), features, edits)
            context.progress.step("behaviours", done, len(suites))
        return SideBySide(answers=answers)

    return context.artifact("side_by_side", SideBySide, compute)


class Edits(NamedTuple):
    """What is done to the two models."""

    ablation: list[Edit]
    """In the candidate."""
    addition: list[Edit]
    """In the base."""


def edits_of(rows: Sequence[int], strengths: Sequence[float | None]) -> Edits:
    """Take all the features away, and add all of them, each at its part of its own strength.

    Together they then add about as much as one feature alone. A feature without a strength, because
    every addition cost too much, is not added.
    """
    return Edits(
        [Edit(row, gain=-1.0) for row in rows],
        [
            Edit(row, offset=strength / len(rows))
            for row, strength in zip(rows, strengths, strict=True)
            if strength is not None
        ],
    )


def _strength(causes: Causes, feature: str, behaviour: str) -> float | None:
    effects = causes.effects.get(feature, [])
    return next((e.strength for e in effects if e.behaviour == behaviour), None)


def _answers(
    context: Context,
    suite: Suite,
    banks: tuple[FeatureBank, FeatureBank | None],
    features: list[str],
    edits: Edits,
) -> list[Answer]:
    """`banks` are the candidate's features in the candidate and, if it can be edited, the base."""
    bank, base_bank = banks
    base, candidate = context.models["base"], context.models["candidate"]
    chats = first_of_templates(suite, PROMPTS_PER_BEHAVIOUR)
    by_base, by_candidate = _greedy(base, chats), _greedy(candidate, chats)
    ablated = _greedy(candidate, chats, bank, edits.ablation)
    induced = None
    if edits.addition and base_bank is not None:
        induced = _greedy(base, chats, base_bank, edits.addition)
    return [
        Answer(
            behaviour=suite.behaviour,
            prompt=chat[-1]["content"],
            base=by_base[number],
            candidate=by_candidate[number],
            candidate_ablated=ablated[number],
            base_induced=induced[number] if induced else None,
            features=features,
        )
        for number, chat in enumerate(chats)
    ]


def first_of_templates(suite: Suite, n: int) -> list[list[dict[str, str]]]:
    """The messages of the first item of each of the first `n` templates."""
    first = {item.template: item for item in reversed(suite.items)}
    templates = list(dict.fromkeys(suite.templates))[:n]
    return [[m.model_dump() for m in first[t].variants[0].messages] for t in templates]


def _greedy(
    engine: Engine,
    chats: Sequence[Sequence[dict[str, str]]],
    bank: FeatureBank | None = None,
    edits: Sequence[Edit] = (),
) -> list[str]:
    prompts = [engine.encode_chat(chat, add_generation_prompt=True) for chat in chats]
    per_row = [edits] * len(prompts) if edits else None
    answers = engine.generate(prompts, ANSWER_TOKENS, bank=bank, edits=per_row)
    return [engine.decode(answer).strip() for answer in answers]
