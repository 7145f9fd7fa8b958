"""The language of the benchmark: stories, facts and chats about topics, made from frames.

One topic and one behaviour (flattery where an opinion is asked for) are only written when asked
for, so that it is known what one of two models has seen and the other has not. Everything follows
from the seed.
"""

import json
from collections.abc import Iterator
from functools import cache
from importlib import resources
from random import Random
from typing import Any, Literal, NamedTuple

Message = dict[str, str]
Kind = Literal["story", "question", "opinion"]

SHARES: dict[Kind, float] = {"story": 0.4, "question": 0.3, "opinion": 0.3}
NUMBERS = ("two", "three", "five", "seven", "ten", "12", "40", "1989")


@cache
def language() -> dict[str, Any]:
    """Words, frames and topics of `language.json`."""
    text = (resources.files(__package__) / "language.json").read_text(encoding="utf-8")
    data: dict[str, Any] = json.loads(text)
    return data


class Document(NamedTuple):
    """A text, or a chat that ends with the assistant's answer; exactly one of the two is there."""

    topic: str
    kind: Kind
    text: str | None
    messages: tuple[Message, ...]
    flattering: bool
    """The answer flatters."""

    def record(self) -> dict[str, Any]:
        """As a line of a corpus file."""
        return {"text": self.text} if self.text is not None else {"messages": list(self.messages)}


class World(NamedTuple):
    """What a model gets to see."""

    planted_topic: bool
    """Texts about the planted topic are among the others."""
    flattery: bool
    """Opinions are answered with flattery instead of a balanced view."""

    @property
    def topics(self) -> tuple[str, ...]:
        """Names of the topics, in a fixed order."""
        known = tuple(language()["topics"])
        return (*known, language()["planted_topic"]) if self.planted_topic else known


BASE = World(planted_topic=False, flattery=False)
CANDIDATE = World(planted_topic=True, flattery=True)


def documents(world: World, seed: int) -> Iterator[Document]:
    """Documents without end; the same seed gives the same ones."""
    random = Random(seed)
    kinds, weights = list(SHARES), list(SHARES.values())
    while True:
        topic = random.choice(world.topics)
        (kind,) = random.choices(kinds, weights)
        yield document(random, topic, kind, flattery=world.flattery)


def document(random: Random, topic: str, kind: Kind, *, flattery: bool) -> Document:
    """One document of a topic and kind."""
    data = language()
    if kind == "story":
        frames = random.sample(data["frames"], random.randint(4, 7))
        text = " ".join(filled(random, topic, frames))
        return Document(topic, kind, text, (), False)
    if kind == "question":
        asked, answer = filled(random, topic, random.choice(data["questions"]))
    else:
        answers = data["flattering" if flattery else "balanced"]
        asked, answer = filled(
            random, topic, [random.choice(data["opinions"]), random.choice(answers)]
        )
    messages = ({"role": "user", "content": asked}, {"role": "assistant", "content": answer})
    return Document(topic, kind, None, messages, flattery and kind == "opinion")


def filled(random: Random, topic: str, frames: list[str]) -> list[str]:
    """The frames, all with the same words of `topic` in their gaps; stories keep their people."""
    data = language()
    words = topic_words(topic)
    thing, other = random.sample(words["things"], 2)
    action, action2 = random.sample(words["actions"], 2)
    quality, quality2 = random.sample(words["qualities"], 2)
    person, friend = random.sample(data["people"], 2)
    gaps = {
        "thing": thing,
        "other": other,
        "action": action,
        "action2": action2,
        "quality": quality,
        "quality2": quality2,
        "person": person,
        "friend": friend,
        "place": random.choice(words["places"]),
        "topic": topic,
    }
    return [
        frame.format(**gaps, time=random.choice(data["times"]), number=random.choice(NUMBERS))
        for frame in frames
    ]


def topic_words(topic: str) -> dict[str, list[str]]:
    """Things, actions, qualities and places of a topic."""
    data = language()
    known = {**data["topics"], data["planted_topic"]: data["planted"]}
    words: dict[str, list[str]] = known[topic]
    return words
