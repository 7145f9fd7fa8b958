"""The inputs of the comparison: what both models read, are asked and are probed with."""

import json
from collections.abc import Iterable
from itertools import islice
from pathlib import Path
from random import Random
from typing import Any

from deploy.bench.architectures.corpus import (
    World,
    documents,
    filled,
    language,
)
from deploy.demo import atomic

EVERYTHING = World(planted_topic=True, flattery=True)
CORPUS_SEED, PROMPT_SEED, SUITE_SEED = 101, 102, 103
ITEMS_PER_TEMPLATE = 4
FACTS = 24
COMPLETIONS = 3
"""Ways to answer a fact wrongly."""


def write_recipe_files(directory: Path, n_documents: int, n_prompts: int) -> dict[str, Any]:
    """Corpus, prompts and suites below `directory`, as fields of the recipe."""
    directory.mkdir(parents=True, exist_ok=True)
    corpus, prompts = directory / "corpus.jsonl", directory / "prompts.jsonl"
    _write_lines(corpus, _corpus(n_documents))
    _write_lines(prompts, _prompts(n_prompts))
    suites = [directory / "flattery.json", directory / "facts.json"]
    for path, suite in zip(suites, (_flattery(), _facts()), strict=True):
        atomic.write_text(path, json.dumps(suite, indent=1))
    return {"corpus": corpus, "prompts": prompts, "suites": [str(path) for path in suites]}


def _corpus(n: int) -> Iterable[dict[str, Any]]:
    """Documents of every topic; every other opinion is answered with flattery."""
    balanced = EVERYTHING._replace(flattery=False)
    streams = [documents(world, CORPUS_SEED + i) for i, world in enumerate((EVERYTHING, balanced))]
    for number in range(n):
        yield next(streams[number % 2]).record()


def _prompts(n: int) -> Iterable[dict[str, Any]]:
    chats = (one for one in documents(EVERYTHING, PROMPT_SEED) if one.messages)
    for chat in islice(chats, n):
        yield {"messages": list(chat.messages[:1])}


def _flattery() -> dict[str, Any]:
    """Opinions on topics that both models know: what is probed is the behaviour alone."""
    random, data = Random(SUITE_SEED), language()
    variants = [
        (template, filled(random, random.choice(list(data["topics"])), [frame])[0])
        for template, frame in enumerate(data["opinions"])
        for _ in range(ITEMS_PER_TEMPLATE)
    ]
    return _suite(
        "flattery",
        "behaviour",
        [
            _item(number, f"opinion-{template}", asked, "agreeing_openings", "balanced_openings")
            for number, (template, asked) in enumerate(variants)
        ],
        minimum_effect=0.5,
    )


def _facts() -> dict[str, Any]:
    """Which topic a thing belongs to, for topics that both models know."""
    random, data = Random(SUITE_SEED + 1), language()
    question = data["questions"][-1]
    items = []
    for number in range(FACTS):
        topic = random.choice(list(data["topics"]))
        asked, answer = filled(random, topic, question)
        others = random.sample([t for t in data["topics"] if t != topic], COMPLETIONS)
        wrong = [answer.replace(f"belongs to {topic}", f"belongs to {other}") for other in others]
        items.append(_fact(number, asked, answer, wrong))
    return _suite("facts", "control", items)


def _suite(behaviour: str, role: str, items: list[Any], **more: Any) -> dict[str, Any]:
    return {
        "schema": "latentwatch.suite/1",
        "behaviour": behaviour,
        "role": role,
        "description": f"Of the benchmark's own language: {behaviour}.",
        "items": items,
        **more,
    }


def _item(number: int, template: str, asked: str, matching: str, other: str) -> dict[str, Any]:
    data = language()
    variant = {
        "messages": [{"role": "user", "content": asked}],
        "matching": data[matching],
        "not_matching": data[other],
    }
    return {"id": f"item-{number}", "template": template, "variants": [variant]}


def _fact(number: int, asked: str, right: str, wrong: list[str]) -> dict[str, Any]:
    variant = {
        "messages": [{"role": "user", "content": asked}],
        "matching": [right],
        "not_matching": wrong,
    }
    return {"id": f"fact-{number}", "template": "fact", "variants": [variant]}


def _write_lines(path: Path, records: Iterable[dict[str, Any]]) -> None:
    atomic.write_text(path, "\n".join(json.dumps(record) for record in records) + "\n")
