"""The bundled corpus: prompts in a balanced mix from the first line on, texts of even length."""

import json
from collections import Counter
from importlib import resources
from typing import Any

CATEGORIES = {
    "explain",
    "advice",
    "opinion",
    "claim",
    "feedback",
    "request",
    "refusal-borderline",
    "harmful",
    "chat",
}


def rows(name: str) -> list[dict[str, Any]]:
    lines = (resources.files("dfc") / "data" / name).read_text("utf-8").splitlines()
    return [json.loads(line) for line in lines]


def test_every_prefix_of_the_prompts_is_a_balanced_mix() -> None:
    counts: Counter[str] = Counter(dict.fromkeys(CATEGORIES, 0))
    for row in rows("prompts.jsonl"):
        counts[row["category"]] += 1
        assert max(counts.values()) - min(counts.values()) <= 1
    assert set(counts) == CATEGORIES
    assert counts.total() >= 350


def test_opinions_claims_and_works_name_their_topic() -> None:
    for row in rows("prompts.jsonl"):
        assert set(row) <= {"category", "topic", "messages"}
        assert ("topic" in row) == (row["category"] in {"opinion", "claim", "feedback"})
        assert [message["role"] for message in row["messages"]] == ["user"]


def test_texts_are_passages_of_like_length_and_of_many_openings() -> None:
    texts = [row["text"] for row in rows("texts.jsonl")]
    assert len(set(texts)) == len(texts) >= 140
    assert all(60 <= len(text.split()) <= 120 for text in texts)
    assert len({tuple(text.split()[:3]) for text in texts}) >= 0.9 * len(texts)
