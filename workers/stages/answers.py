"""Both models answer the prompts in their own words: where a changed behaviour shows.

The answers of a model are shared between diffs, since the candidate of one diff is the base of the
next.
"""

from pathlib import Path

from alerts.probes.refusal import refuses
from dfc.canonical import digest_of
from dfc.engines.engine import Engine
from workers.context import Context
from workers.job import SideName
from workers.keeping.artifact import Artifact, Result
from workers.keeping.stage_keys import stage_code

TEMPERATURE = 0.7
SEED = 0

Tokens = tuple[int, ...]


class Answers(Result):
    """What one model answers to each prompt, as token ids."""

    prompts: list[Tokens]
    answers: list[Tokens]
    mean_length: float
    """Tokens per answer."""
    refusal_rate: float
    """Share of the answers that decline."""
    answered: float
    """Share of the answers that hold more than white space."""
    unused_weights: list[str]
    """Weights of the checkpoint that no answer depends on, since its architecture has none such."""

    def documents(self) -> list[Tokens]:
        """Each prompt with its answer."""
        return [p + a for p, a in zip(self.prompts, self.answers, strict=True)]


class BothAnswers(Result):
    """The answers of both models to the same prompts."""

    base: Answers
    candidate: Answers


def answer_prompts(context: Context) -> Artifact[BothAnswers]:
    """The on-policy answers of both models, sampled with a seed."""

    def compute(_: Path) -> BothAnswers:
        return BothAnswers(base=_answers(context, "base"), candidate=_answers(context, "candidate"))

    return context.artifact("answers", BothAnswers, compute)


def _answers(context: Context, name: SideName) -> Answers:
    recipe = context.inputs.recipe
    made_of = [
        recipe.prompts,
        recipe.max_prompts,
        recipe.answer_tokens,
        TEMPERATURE,
        SEED,
        stage_code("answers", engine=recipe.engine),
    ]
    key = f"answers/{context.job.side(name).content_digest}/{digest_of(made_of)}"

    def compute(_: Path) -> Answers:
        return _sample(context, name, context.models[name])

    return context.shared(key, Answers, compute).result


def _sample(context: Context, name: SideName, engine: Engine) -> Answers:
    prompts = [
        engine.encode_chat(chat.messages, add_generation_prompt=True)
        for chat in context.corpora.prompts
    ]
    answers = engine.generate(
        prompts,
        context.inputs.recipe.answer_tokens,
        temperature=TEMPERATURE,
        seed=SEED,
        progress=context.steps(f"{name} answers"),
    )
    texts = [engine.decode(answer) for answer in answers]
    return Answers(
        prompts=prompts,
        answers=answers,
        mean_length=sum(map(len, answers)) / len(answers),
        refusal_rate=sum(map(refuses, texts)) / len(answers),
        answered=sum(bool(text.strip()) for text in texts) / len(answers),
        unused_weights=list(engine.unused_weights),
    )
