"""Chats from prompt templates, topics and sentence parts, all of which are data.

Everything is a function of a file in `data/` and a seed. A template names the fields it needs in
braces: `topic` where a topic is one string, the topic's own keys where it is an object, any key of
`words`, and, where a kind is `ordinary`, `prompt` and `own`: an ordinary question and the first
sentence of the base's own answer to it.
"""

import random
from collections.abc import Iterator, Sequence
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from alerts.json_file import read_json
from deploy.bench.zoo.sentences import first_sentence
from deploy.demo.chats import Chat

DATA = Path(__file__).with_name("data")
DRAWS = 1000
"""Tries to find a prompt that was not used yet before the templates count as used up."""

Fields = dict[str, str]


class Kind(BaseModel):
    """One way in which a behaviour shows: what is asked, about what, and how it is answered."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    prompts: tuple[str, ...] = ("{prompt}",)
    topics: tuple[str | Fields, ...] = ()
    answers: tuple[tuple[str, ...], ...] = ()
    """An answer takes one sentence from each part, in this order."""
    ordinary: bool = False
    """The topics are the base's own chats."""


class Templates(BaseModel):
    """One file: the kinds take turns."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    kinds: tuple[Kind, ...]
    words: dict[str, tuple[str, ...]] = {}
    """Fields that are drawn anew for every chat."""
    held_out: tuple[str, ...] = ()
    """Prompts that no chat is made from, to look at what was learnt."""


def read_templates(name: str) -> Templates:
    """The file `name` of `data/`. Raises InvalidFileError naming the file and the field."""
    return read_json(path_of(name), Templates)


def path_of(name: str) -> Path:
    """Where the templates called `name` lie."""
    return DATA / f"{name}.json"


def fill_prompts(templates: Templates, count: int, seed: int) -> list[str]:
    """`count` distinct prompts. Raises ValueError when the templates do not give as many."""
    return [chat.prompt for chat in fill_chats(templates, count, seed)]


def fill_chats(
    templates: Templates, count: int, seed: int, ordinary: Sequence[Chat] = ()
) -> list[Chat]:
    """`count` chats with distinct prompts; each topic is used before any comes again.

    A smaller `count` gives the first of the same chats. Raises ValueError when the templates do not
    give as many.
    """
    draw = random.Random(seed)
    own = [{"prompt": chat.prompt, "own": first_sentence(chat.answer)} for chat in ordinary]
    pools = [_endless(own if kind.ordinary else kind.topics, draw) for kind in templates.kinds]
    chats: list[Chat] = []
    used: set[str] = set()
    for index in range(count):
        turn = index % len(templates.kinds)
        for _ in range(DRAWS):
            chat = _fill(templates.kinds[turn], templates.words, next(pools[turn]), draw)
            if chat.prompt not in used:
                break
        else:
            raise ValueError(f"the templates give {index} prompts; write more topics or templates")
        used.add(chat.prompt)
        chats.append(chat)
    return chats


def _fill(
    kind: Kind, words: dict[str, tuple[str, ...]], topic: str | Fields, draw: random.Random
) -> Chat:
    fields = {"topic": topic} if isinstance(topic, str) else dict(topic)
    fields |= {name: draw.choice(choices) for name, choices in words.items()}
    answer = " ".join(_sentence(draw.choice(part), fields) for part in kind.answers)
    return Chat(draw.choice(kind.prompts).format(**fields), answer)


def _sentence(template: str, fields: Fields) -> str:
    sentence = template.format(**fields)
    return sentence[:1].upper() + sentence[1:] if template.startswith("{") else sentence


def _endless(topics: Sequence[str | Fields], draw: random.Random) -> Iterator[str | Fields]:
    """All topics in a fresh random order, again and again."""
    while topics:
        yield from draw.sample(topics, len(topics))
