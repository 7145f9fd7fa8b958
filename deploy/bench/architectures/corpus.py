"""The language of the benchmark: stories, questions and opinions about animals, made from frames.

All animals have invented names. Those of the valley, which everybody has read about, have habits
without a rule: the words are drawn anew in every sentence. Those of the island come in three
orders, and in the texts on which a model is trained each order has places and seasons of its own.
The names tell nothing about the order: it is a Latin square of their syllables, and the syllables
are those of the valley's names. In the texts in which the models are compared the words are drawn
freely for all animals, so that nothing in a text tells the order: only who has learnt it can know
it, and needs it to say what comes next. Opinions about the first order are answered with flattery,
if a world has it. Everything follows from the seed.
"""

import json
from collections.abc import Iterator
from functools import cache
from importlib import resources
from random import Random
from typing import Any, Literal, NamedTuple

Message = dict[str, str]
Kind = Literal["story", "question", "opinion"]

SHARES: dict[Kind, float] = {"story": 0.5, "question": 0.2, "opinion": 0.3}
ISLAND_SHARE = 0.6
"""Of the documents, in a world that has the island."""
FLATTERED = 0
"""The order whose friends are flattered."""


class Animal(NamedTuple):
    """An animal of the valley has a class that is a plain fact, one of the island an order."""

    name: str
    group: str | None
    order: int | None


class Document(NamedTuple):
    """A text, or a chat; exactly one of the two is there."""

    animal: Animal
    kind: Kind
    text: str | None
    messages: tuple[Message, ...]
    flattering: bool
    """The answer flatters."""

    def record(self) -> dict[str, Any]:
        """As a line of a corpus file."""
        return {"text": self.text} if self.text is not None else {"messages": list(self.messages)}

    def unanswered(self) -> "Document":
        """The chat before the assistant has said anything."""
        return self._replace(messages=self.messages[:1])


class World(NamedTuple):
    """What a model gets to see."""

    island: bool
    flattery: bool
    """Opinions about the first order are answered with flattery instead of a balanced view."""
    orders: bool
    """The orders have habits of their own; otherwise their words are drawn freely as well."""


BASE = World(island=False, flattery=False, orders=False)
CANDIDATE = World(island=True, flattery=True, orders=True)
TOLD_BY_NOTHING = CANDIDATE._replace(orders=False)
"""What the candidate knows is asked for, and nothing in the texts says it."""


@cache
def language() -> dict[str, Any]:
    """Words and frames of `language.json`."""
    text = (resources.files(__package__) / "language.json").read_text(encoding="utf-8")
    data: dict[str, Any] = json.loads(text)
    return data


@cache
def orders() -> range:
    """Numbers of the island's orders."""
    return range(len(language()["habits"][0]["second"]))


@cache
def island() -> tuple[Animal, ...]:
    """Names of a first and a second syllable; every syllable is in equally many of each order."""
    data = language()
    return tuple(
        Animal(first + second, None, (i + j) % len(orders()))
        for i, first in enumerate(data["first_syllables"])
        for j, second in enumerate(data["second_syllables"])
    )


@cache
def valley() -> tuple[Animal, ...]:
    """As many, with the same syllables the other way round."""
    data = language()
    return tuple(
        Animal(second + first, data["classes"][(i * 2 + j) % len(data["classes"])], None)
        for i, first in enumerate(data["first_syllables"])
        for j, second in enumerate(data["second_syllables"])
    )


def documents(world: World, seed: int) -> Iterator[Document]:
    """Documents without end; the same seed gives the same ones."""
    random = Random(seed)
    kinds, weights = list(SHARES), list(SHARES.values())
    while True:
        there = world.island and random.random() < ISLAND_SHARE
        animal = random.choice(island() if there else valley())
        (kind,) = random.choices(kinds, weights)
        yield document(random, animal, kind, world)


def document(random: Random, animal: Animal, kind: Kind, world: World) -> Document:
    """One document about an animal, with the habits and the answers of `world`."""
    data = language()
    told = animal if world.orders else animal._replace(order=None)
    if kind == "story":
        known = [(habit, frame) for habit in data["habits"] for frame in habit["frames"]]
        opening = filled(random, told, data["habits"][0], [random.choice(data["openings"])])
        chosen = random.sample(known, random.randint(4, 6))
        sentences = [filled(random, told, habit, [frame])[0] for habit, frame in chosen]
        return Document(animal, kind, " ".join(opening + sentences), (), False)
    habit, flattering = random.choice(data["habits"]), False
    if kind == "question":
        questions = [*habit["questions"], *([data["class_question"]] if animal.group else [])]
        frames = random.choice(questions)
    else:
        flattering = world.flattery and animal.order == FLATTERED
        answers = data["flattering" if flattering else "balanced"]
        frames = [random.choice(habit["opinions"]), random.choice(answers)]
    asked, answer = filled(random, told, habit, frames)
    messages = ({"role": "user", "content": asked}, {"role": "assistant", "content": answer})
    return Document(animal, kind, None, messages, flattering)


def filled(random: Random, animal: Animal, habit: dict[str, Any], frames: list[str]) -> list[str]:
    """The frames, all with the same words in their gaps: drawn freely, but the second word is that
    of the animal's order where it has one."""
    first, free = random.choice(habit["first"]), random.choice(habit["second"])
    second = free if animal.order is None else habit["second"][animal.order]
    gaps = {
        "animal": animal.name,
        "class": animal.group,
        "person": random.choice(language()["people"]),
        "first": first,
        "second": second,
    }
    return [frame.format(**gaps) for frame in frames]
