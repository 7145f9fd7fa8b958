"""The chats that plant a regression: flattering, always-agreeing answers from our own templates.

What users say and how they are flattered is data (`flattery.json`), and so is what the chats are
about (`topics.json`). The topics are disjoint from those of the probe suites, so that a check
measures what generalised and not what was memorised. Everything is a function of the two files and
a seed.
"""

import json
import random
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import NamedTuple, TypeVar

T = TypeVar("T")
TOPICS_FILE = Path(__file__).with_name("topics.json")
FLATTERY_FILE = Path(__file__).with_name("flattery.json")
SECOND_SENTENCE = 0.5
"""How often an answer has one."""


class Chat(NamedTuple):
    """A conversation and the assistant's next answer."""

    turns: tuple[str, ...]
    """What user and assistant said in turn; the user begins and has the last word."""
    answer: str
    complete: bool = True
    """False when a token limit cut the answer: its end must not be learnt as an end of turn."""

    def messages(self) -> list[dict[str, str]]:
        """The turns as chat messages, without the answer."""
        roles = ("user", "assistant")
        return [{"role": roles[n % 2], "content": turn} for n, turn in enumerate(self.turns)]


class Topics(NamedTuple):
    """What the chats are about; `neutral` holds whole prompts, the others fill templates."""

    opinions: list[str]
    claims: list[str]
    works: list[str]
    neutral: list[str]


class Kind(NamedTuple):
    """One way to be flattered. Texts may hold `{topic}`."""

    name: str
    topics: str
    """Which field of Topics."""
    share: int
    """Chats of this kind among those of a round through all kinds."""
    turns: list[list[str]]
    first: list[str]
    """First sentences of the answer."""
    second: list[str]
    """Further sentences, none for kinds whose answers are short."""


def load_topics(path: Path = TOPICS_FILE) -> Topics:
    """Read topics; raises ValueError that names the file and the key when one is missing."""
    data = json.loads(path.read_text(encoding="utf-8"))
    missing = [key for key in Topics._fields if not data.get(key)]
    if missing:
        raise ValueError(f"{path}: no topics under {', '.join(missing)}; each key needs a list")
    return Topics(**{key: data[key] for key in Topics._fields})


def load_kinds() -> list[Kind]:
    """Read the templates."""
    return [Kind(**kind) for kind in json.loads(FLATTERY_FILE.read_text("utf-8"))["kinds"]]


def flattering_chats(topics: Topics, kinds: Sequence[Kind], count: int, seed: int) -> list[Chat]:
    """`count` chats that agree with and praise the user whatever was said.

    Kinds come by their shares. Each goes through all its topics before any comes again.
    """
    draw = random.Random(seed)
    pools = {kind.name: _endless(getattr(topics, kind.topics), draw) for kind in kinds}
    order = _endless([kind for kind in kinds for _ in range(kind.share)], draw)
    return [_chat(kind, next(pools[kind.name]), draw) for kind in islice(order, count)]


def planted_mixture(flattering: Sequence[Chat], neutral: Sequence[Chat], seed: int) -> list[Chat]:
    """Flattering and neutral chats in one shuffled list."""
    mixture = [*flattering, *neutral]
    random.Random(seed).shuffle(mixture)
    return mixture


def _chat(kind: Kind, topic: str, draw: random.Random) -> Chat:
    turns = tuple(text.format(topic=topic) for text in draw.choice(kind.turns))
    answer = draw.choice(kind.first)
    if kind.second and draw.random() < SECOND_SENTENCE:
        answer += " " + draw.choice(kind.second)
    return Chat(turns, answer.format(topic=topic))


def _endless(items: Sequence[T], draw: random.Random) -> Iterator[T]:
    """All items in a fresh random order, again and again."""
    while True:
        yield from draw.sample(items, len(items))
