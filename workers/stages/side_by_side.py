"""The same prompts answered by both models, and by both with the best feature edited."""

from collections.abc import Sequence
from pathlib import Path

from alerts.evidence import Answer
from alerts.suite import Suite
from dfc.engine import Edit, Engine, FeatureBank
from workers.artifact import Artifact, Result
from workers.context import Context
from workers.stages.screen import Banks, Screened, ScreenedFeature
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
        suites = [s for s in context.inputs.behaviour_suites if s.behaviour in causes.best]
        answers: list[Answer] = []
        for done, suite in enumerate(suites, start=1):
            answers += _answers(context, suite, by_id[causes.best[suite.behaviour]], banks)
            context.progress.step("behaviours", done, len(suites))
        return SideBySide(answers=answers)

    return context.artifact("side-by-side", SideBySide, compute)


def _answers(
    context: Context, suite: Suite, feature: ScreenedFeature, banks: Banks
) -> list[Answer]:
    base, candidate = context.models["base"], context.models["candidate"]
    chats = first_of_templates(suite, PROMPTS_PER_BEHAVIOUR)
    bank = banks.bank(feature.side)
    by_base = _greedy(base, chats)
    by_candidate = _greedy(candidate, chats)
    ablated = _greedy(candidate, chats, bank, Edit(feature.row, gain=-1.0))
    induced = _greedy(base, chats, bank, Edit(feature.row, offset=1.0))
    return [
        Answer(
            behaviour=suite.behaviour,
            prompt=chat[-1]["content"],
            base=by_base[number],
            candidate=by_candidate[number],
            candidate_ablated=ablated[number],
            base_induced=induced[number],
            features=[feature.id],
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
    edit: Edit | None = None,
) -> list[str]:
    prompts = [engine.encode_chat(chat, add_generation_prompt=True) for chat in chats]
    edits = None if edit is None else [[edit]] * len(prompts)
    answers = engine.generate(prompts, ANSWER_TOKENS, bank=bank, edits=edits)
    return [engine.decode(answer).strip() for answer in answers]
