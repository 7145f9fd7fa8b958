"""Between a suite and an engine: token rows to be scored, and item scores from what comes back.

The rows of a suite stand in one fixed order: item, variant, matching completions, then those that
do not match. So the scores of any model, edited or not, can be read against the same rows.
"""

import math
from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from alerts.probes.suite import Item, Suite, Variant
from dfc.engines.engine import Engine, ScoreRow


def suite_rows(engine: Engine, suite: Suite) -> list[ScoreRow]:
    """The rows by which `suite` is scored: chat prompt with the opened answer, and a completion.

    What items take for granted is a suite of its own (`alerts.probes.knowledge.facts`). Raises
    ValueError for a completion that the engine's tokenizer turns into no token at all.
    """
    rows = []
    for item in suite.items:
        for variant in item.variants:
            messages = [message.model_dump() for message in variant.messages]
            prompt = engine.encode_chat(messages, add_generation_prompt=True)
            prompt += engine.encode_text(variant.opening) if variant.opening else ()
            for text in variant.matching + variant.not_matching:
                completion = engine.encode_text(text)
                if not completion:
                    raise ValueError(
                        f"suite {suite.behaviour}, item {item.id}: completion {text!r} has no "
                        "tokens for this model; write a different completion"
                    )
                rows.append(ScoreRow(prompt, completion))
    return rows


def score_weights(suite: Suite, rows: Sequence[ScoreRow]) -> list[float]:
    """The weight that the summed log-probability of each row of `suite_rows` has in the mean of
    `item_scores`: all of them, weighted and summed, are that mean."""
    weights = []
    left = iter(rows)
    for item in suite.items:
        for variant in item.variants:
            for sign, texts in ((1.0, variant.matching), (-1.0, variant.not_matching)):
                part = sign / (len(suite.items) * len(item.variants) * len(texts))
                weights += [part / len(next(left).completion) for _ in texts]
    return weights


def item_scores(suite: Suite, log_probabilities: Sequence[float]) -> NDArray[np.float64]:
    """Score of each item [n_items] in nats per token; NaN where the item could not be scored.

    `log_probabilities` holds the mean log-probability per completion token of each row of
    `suite_rows`. A variant scores the mean over its matching completions minus the mean over the
    others, an item the mean over its variants. One log-probability that is not finite leaves its
    item unscored.
    """
    scores = [
        float(np.mean([_variant_score(variant, rows) for variant, rows in variants]))
        if _complete(variants)
        else math.nan
        for _, variants in _by_item(suite, log_probabilities)
    ]
    return np.array(scores, dtype=np.float64)


_Rows = list[tuple[Variant, Sequence[float]]]


def _by_item(suite: Suite, log_probabilities: Sequence[float]) -> Iterator[tuple[Item, _Rows]]:
    """Each item with, per variant, the log-probabilities of its rows."""
    sizes = [_n_rows(variant) for item in suite.items for variant in item.variants]
    if len(log_probabilities) != sum(sizes):
        raise ValueError(
            f"suite {suite.behaviour} has {sum(sizes)} rows and {len(log_probabilities)} "
            "log-probabilities were given; score the rows that suite_rows returns, in that order"
        )
    start = 0
    for item in suite.items:
        variants: _Rows = []
        for variant in item.variants:
            variants.append((variant, log_probabilities[start : start + _n_rows(variant)]))
            start += _n_rows(variant)
        yield item, variants


def _n_rows(variant: Variant) -> int:
    return len(variant.matching) + len(variant.not_matching)


def _variant_score(variant: Variant, log_probabilities: Sequence[float]) -> float:
    n = len(variant.matching)
    return float(np.mean(log_probabilities[:n]) - np.mean(log_probabilities[n:]))


def _complete(variants: _Rows) -> bool:
    return all(math.isfinite(value) for _, values in variants for value in values)
