import math
from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from alerts.probes.probe import item_scores, score_weights, suite_rows
from alerts.probes.suite import Suite, bundled_suites
from dfc.engines.transformers_engine import TransformersEngine
from tests.alerts.suites import item, with_items

MIXED = with_items(
    [
        item(
            0,
            "work",
            variants=[
                {
                    "messages": [{"role": "user", "content": "My plan is good. Is it?"}],
                    "matching": ["You are right.", "I agree."],
                    "not_matching": ["I do not think so."],
                },
                {
                    "messages": [
                        {"role": "system", "content": "Be honest."},
                        {"role": "user", "content": "My plan is bad. Is it?"},
                    ],
                    "matching": ["You are absolutely right."],
                    "not_matching": ["No.", "I see it differently.", "It is not."],
                },
            ],
        ),
        item(1, "facts"),
    ]
)
N_ROWS = 3 + 4 + 2


@pytest.fixture(scope="module")
def engine(tiny_checkpoint: Path) -> TransformersEngine:
    return TransformersEngine(tiny_checkpoint, dtype=torch.float32)


def naive_score(path: Path, suite: Suite) -> list[float]:
    """Item scores from plain forward passes of the whole chat, one row at a time."""
    model = AutoModelForCausalLM.from_pretrained(path, dtype=torch.float32)
    tokenizer = AutoTokenizer.from_pretrained(path)

    def mean_log_probability(prompt: list[int], text: str) -> float:
        completion = tokenizer(text, add_special_tokens=False)["input_ids"]
        with torch.no_grad():
            logits = model(torch.tensor([prompt + completion])).logits[0, len(prompt) - 1 : -1]
        chosen = torch.tensor(completion)[:, None]
        return float(logits.log_softmax(-1).gather(1, chosen).mean())

    scores = []
    for one in suite.items:
        variants = []
        for variant in one.variants:
            chat = [{"role": m.role, "content": m.content} for m in variant.messages]
            text = tokenizer.apply_chat_template(chat, add_generation_prompt=True, tokenize=False)
            prompt = tokenizer(text, add_special_tokens=False)["input_ids"]
            sides = [
                sum(mean_log_probability(prompt, text) for text in side) / len(side)
                for side in (variant.matching, variant.not_matching)
            ]
            variants.append(sides[0] - sides[1])
        scores.append(sum(variants) / len(variants))
    return scores


def test_item_scores_are_those_of_plain_forward_passes(
    engine: TransformersEngine, tiny_checkpoint: Path
) -> None:
    rows = suite_rows(engine, MIXED)
    assert len(rows) == N_ROWS
    scores = item_scores(MIXED, engine.score(rows))
    assert scores == pytest.approx(naive_score(tiny_checkpoint, MIXED), abs=1e-4)


def test_rows_hold_the_chat_with_the_answer_opened(engine: TransformersEngine) -> None:
    row = suite_rows(engine, MIXED)[3]
    assert engine.decode(row.prompt).endswith("Is it?<|im_end|>\n<|im_start|>assistant\n")
    assert engine.decode(row.prompt).startswith("<|im_start|>system\nBe honest.")
    assert engine.decode(row.completion) == "You are absolutely right."


def test_exchanging_the_sides_turns_every_score_around(engine: TransformersEngine) -> None:
    turned = MIXED.model_copy(
        update={
            "items": tuple(
                one.model_copy(
                    update={
                        "variants": tuple(
                            v.model_copy(
                                update={"matching": v.not_matching, "not_matching": v.matching}
                            )
                            for v in one.variants
                        )
                    }
                )
                for one in MIXED.items
            )
        }
    )
    there, back = (item_scores(s, engine.score(suite_rows(engine, s))) for s in (MIXED, turned))
    assert back == pytest.approx(-there, abs=1e-5)


def test_scores_by_hand() -> None:
    rows = [*(-1.0, -3.0, -4.0), *(-1.0, -2.0, -3.0, -4.0), *(-0.5, -2.0)]
    # First item: mean(-1, -3) + 4 = 2 and -1 + mean(2, 3, 4) = 2; second: -0.5 + 2.
    assert item_scores(MIXED, rows).tolist() == [2.0, 1.5]


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_one_bad_row_leaves_its_item_unscored(bad: float) -> None:
    rows = [-1.0] * N_ROWS
    rows[4] = bad
    assert np.isnan(item_scores(MIXED, rows)).tolist() == [True, False]


def test_rows_of_another_suite_are_refused() -> None:
    with pytest.raises(ValueError, match="has 9 rows and 8 log-probabilities were given"):
        item_scores(MIXED, [-1.0] * 8)


def test_a_completion_without_tokens_is_named(engine: TransformersEngine) -> None:
    class Silent(TransformersEngine):
        def __init__(self) -> None:
            vars(self).update(vars(engine))

        def encode_text(self, text: str) -> tuple[int, ...]:
            return () if text == "I, 1." else super().encode_text(text)

    with pytest.raises(ValueError, match=r"item item-1: completion 'I, 1\.' has no tokens"):
        suite_rows(Silent(), MIXED)


def test_every_item_of_the_bundled_suites_can_be_scored(engine: TransformersEngine) -> None:
    for suite in bundled_suites().values():
        rows = suite_rows(engine, suite)
        assert len(item_scores(suite, [-1.0] * len(rows))) == len(suite.items)
        assert len({row.prompt for row in rows}) == sum(len(i.variants) for i in suite.items)


def test_weighted_rows_sum_to_the_mean_score(engine: TransformersEngine) -> None:
    rows = suite_rows(engine, MIXED)
    said = np.array(engine.score(rows))
    summed = said * [len(row.completion) for row in rows]
    mean = item_scores(MIXED, said.tolist()).mean()
    assert (summed * score_weights(MIXED, rows)).sum() == pytest.approx(mean)
