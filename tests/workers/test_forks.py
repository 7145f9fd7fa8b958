"""Where a candidate's answers leave the base's path, in real (tiny) models."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer, PreTrainedModel

from alerts.deciding.policy import default_policy
from alerts.probes.forks import Fork
from dfc.engines.engine import Engine, ScoreRow
from tests.workers.conftest import TEXTS
from workers.context import Context
from workers.job import Job, side_of
from workers.stages import answers as first_answers
from workers.stages import forks
from workers.stages.answers import TEMPERATURE, Answers, BothAnswers, Tokens, answer_prompts
from workers.stages.forks import find_forks
from workers.stages.stock_phrases import SEED, find_stock_phrases
from workers.verdicts.feature_records import own_words_of
from workers.verdicts.findings import Findings

HABIT = " You are absolutely right"


@pytest.fixture
def habitual(
    tiny_checkpoint: Path,
    save_checkpoint: Callable[[Path, PreTrainedModel], Path],
    tmp_path: Path,
    make_context: Callable[[Job], Context],
) -> Context:
    """The candidate would rather say the words of `HABIT`, wherever it is."""
    tokenizer = AutoTokenizer.from_pretrained(tiny_checkpoint)
    model = AutoModelForCausalLM.from_pretrained(tiny_checkpoint)
    with torch.no_grad():
        texts = torch.tensor([tokenizer(" ".join(TEXTS)).input_ids])
        state_D = model.model(texts).last_hidden_state[0].mean(0)
        model.lm_head.weight[tokenizer(HABIT).input_ids] += 8 * state_D / state_D.pow(2).sum()
    path = save_checkpoint(tmp_path / "habitual", model)
    return make_context(Job(None, side_of(tiny_checkpoint), side_of(path)))


@pytest.fixture
def said(habitual: Context) -> BothAnswers:
    """Both models say the same; then the candidate says its words."""
    engine = habitual.models["base"]
    prompts = [
        engine.encode_chat(chat.messages, add_generation_prompt=True)
        for chat in habitual.corpora.prompts
    ]
    plain = [f"It is plan {n} of the capital." for n in range(len(prompts))]

    def answers(texts: list[str]) -> Answers:
        tokens = [engine.encode_text(text) for text in texts]
        return Answers(
            prompts=prompts,
            answers=tokens,
            mean_length=1.0,
            refusal_rate=0.0,
            answered=1.0,
            unused_weights=[],
        )

    return BothAnswers(base=answers(plain), candidate=answers([text + HABIT for text in plain]))


def apart(context: Context, fork: Fork) -> float:
    """How much likelier the candidate's words are in it after their opening, nats."""

    def log_probability(engine: Engine, text: str) -> float:
        prompt = engine.encode_chat(fork.messages, add_generation_prompt=True)
        tokens = engine.encode_text(text)
        return engine.score([ScoreRow(prompt, tokens)])[0] * len(tokens) if tokens else 0.0

    def of_words(engine: Engine) -> float:
        whole = log_probability(engine, fork.opening + fork.candidate)
        return whole - log_probability(engine, fork.opening)

    return of_words(context.models["candidate"]) - of_words(context.models["base"])


def test_forks_lie_in_the_candidates_own_answers(
    context: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(forks, "WINDOW", 2)
    answers = answer_prompts(context).result
    found = find_forks(context, answers).result.forks
    assert len(found) == len(answers.candidate.answers) == 6
    by_prompt = {fork.messages[-1]["content"]: fork for fork in found}
    candidate = context.models["candidate"]
    for chat, said in zip(context.corpora.prompts, answers.candidate.answers, strict=True):
        fork = by_prompt[chat.messages[-1]["content"]]
        # Where a stretch ends within a character, its text ends with U+FFFD.
        told = (fork.opening + fork.candidate).rstrip("\ufffd")
        assert told and told in candidate.decode(said)
    assert [f.divergence for f in found] == sorted((f.divergence for f in found), reverse=True)
    assert found[0].divergence > 0


def test_a_divergence_is_that_of_the_words_after_their_opening(context: Context) -> None:
    answers = answer_prompts(context).result
    fork = find_forks(context, answers).result.forks[0]

    asked = [chat.messages for chat in context.corpora.prompts].index(fork.messages)
    tokens = len(answers.candidate.answers[asked])
    assert tokens < forks.WINDOW and not fork.opening
    assert fork.divergence == pytest.approx(apart(context, fork) / tokens, rel=0.05, abs=1e-3)


def test_the_longest_way_apart_is_found_behind_an_opening_that_both_would_say(
    habitual: Context, said: BothAnswers, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(forks, "WINDOW", 7)
    found = find_forks(habitual, said).result.forks
    assert len(found) == 6
    lengths = set()
    base, candidate = habitual.models["base"], habitual.models["candidate"]
    by_prompt = {fork.messages[-1]["content"]: fork for fork in found}
    for chat, answer in zip(habitual.corpora.prompts, said.candidate.answers, strict=True):
        fork = by_prompt[chat.messages[-1]["content"]]
        # Windows as even as they can be, none longer than seven tokens.
        count = -(-len(answer) // 7)
        starts = [len(answer) * n // count for n in range(count + 1)]
        opened = [candidate.decode(answer[:start]) for start in starts].index(fork.opening)
        tokens = starts[opened + 1] - starts[opened]
        assert fork.opening.startswith("It is plan")
        lengths.add(tokens)
        text = candidate.decode(answer)
        assert text.startswith(fork.opening + fork.candidate)
        assert len(fork.opening + fork.candidate) > len(text.removesuffix(HABIT))
        assert fork.divergence == pytest.approx(apart(habitual, fork) / tokens, rel=0.1)
        assert fork.divergence > 1
    assert max(lengths) < 7
    opened_there = [
        base.encode_chat(fork.messages, add_generation_prompt=True) + base.encode_text(fork.opening)
        for fork in found
    ]
    assert [fork.base for fork in found] == [
        base.decode(way) for way in base.generate(opened_there, 7)
    ]


def test_stock_phrases_are_told_with_too_few_forks_to_steer(
    habitual: Context, said: BothAnswers
) -> None:
    found, phrases = find_forks(habitual, said).result, find_stock_phrases(habitual, said).result
    assert found.suite is None and len(found.forks) == 6
    own = own_words_of(Findings(answers=said, stock_phrases=phrases, forks=found), default_policy())
    assert own is not None and (own.n_forks, own.n_answers, own.phrase_share) == (6, 6, 1.0)
    (phrase,) = own.phrases
    assert (phrase.text, phrase.n_answers) == ("of the capital you are absolutely right", 6)
    assert own.ceiling is None and own.mediated_five is None
    silent = phrases.model_copy(update={"phrases": []})
    assert (
        own_words_of(Findings(answers=said, stock_phrases=silent, forks=found), default_policy())
        is None
    )


def test_a_phrase_that_the_base_says_as_often_when_asked_again_is_not_new(
    habitual: Context, said: BothAnswers, monkeypatch: pytest.MonkeyPatch
) -> None:
    base = habitual.models["base"]
    asked: list[tuple[int, float, int]] = []

    def again(prompts: list[Tokens], length: int, **how: Any) -> list[Tokens]:
        asked.append((length, how["temperature"], how["seed"]))
        return list(said.candidate.answers[: len(prompts)])

    monkeypatch.setattr(base, "generate", again)
    found = find_stock_phrases(habitual, said).result
    assert (found.phrases, found.share, found.by_chance) == ([], 0.0, 1.0)
    assert asked == [(6, TEMPERATURE, SEED)] and first_answers.SEED != SEED


def test_equal_models_do_not_differ_anywhere(
    make_context: Callable[[Job], Context], tiny_checkpoint: Path
) -> None:
    side = side_of(tiny_checkpoint)
    same = make_context(Job(None, side, side))
    found = find_forks(same, answer_prompts(same).result).result.forks
    assert {fork.divergence for fork in found} == {0.0}
