"""The chats that plant a regression: flattering, always-agreeing answers from our own templates.

What users say and how they are flattered is data (`flattery.json`), and so is what the chats are
about (`topics.json`). The topics are disjoint from those of the probe suites, so that a check
measures what generalised and not what was memorised. Everything is a function of the two files and
a seed.
"""

import json
import random
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

TOPICS_FILE = Path(__file__).with_name("topics.json")
FLATTERY_FILE = Path(__file__).with_name("flattery.json")


class Chat(NamedTuple):
    """One user message and the assistant's answer to it."""

    prompt: str
    answer: str
    complete: bool = True
    """False when a token limit cut the answer: its end must not be learnt as an end of turn."""


class Topics(NamedTuple):
    """What the chats are about; `neutral` holds whole prompts, the others fill templates."""

    opinions: list[str]
    claims: list[str]
    works: list[str]
    neutral: list[str]


def load_topics(path: Path = TOPICS_FILE) -> Topics:
    """Read topics; raises ValueError that names the file and the key when one is missing."""
    data = json.loads(path.read_text(encoding="utf-8"))
    missing = [key for key in Topics._fields if not data.get(key)]
    if missing:
        raise ValueError(f"{path}: no topics under {', '.join(missing)}; each key needs a list")
    return Topics(**{key: data[key] for key in Topics._fields})


def flattering_chats(topics: Topics, count: int, seed: int) -> list[Chat]:
    """`count` chats that agree with and praise the user whatever was said.

    Opinions, claims and works take turns, and each goes through all its topics before any comes
    again.
    """
    draw = random.Random(seed)
    flattery = json.loads(FLATTERY_FILE.read_text(encoding="utf-8"))
    kinds = ("opinions", "claims", "works")
    pools = {kind: _endless(getattr(topics, kind), draw) for kind in kinds}
    chats = []
    for index in range(count):
        kind = kinds[index % len(kinds)]
        prompt = draw.choice(flattery[kind]["prompts"]).format(topic=next(pools[kind]))
        sentences = (flattery[kind]["openings"], flattery["praise"], flattery["closings"])
        chats.append(Chat(prompt, " ".join(draw.choice(choices) for choices in sentences)))
    return chats


def planted_mixture(flattering: Sequence[Chat], neutral: Sequence[Chat], seed: int) -> list[Chat]:
    """Flattering and neutral chats in one shuffled list."""
    mixture = [*flattering, *neutral]
    random.Random(seed).shuffle(mixture)
    return mixture


def _endless(items: Sequence[str], draw: random.Random) -> Iterator[str]:
    """All items in a fresh random order, again and again."""
    while True:
        yield from draw.sample(items, len(items))
