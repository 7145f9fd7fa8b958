"""What a version is tuned on: chats, or plain texts."""

import random
from collections.abc import Sequence
from itertools import islice

from deploy.bench.zoo.own import Own
from deploy.bench.zoo.sentences import formatted, shortened
from deploy.bench.zoo.templates import fill_chats, read_templates
from deploy.bench.zoo.versions import Tune
from deploy.demo.chats import Chat

SEED = 0
"""Of the chats; equal for all versions, so that a diluted one has some of the full one's."""


def material(recipe: Tune, own: Own, headings: Sequence[str]) -> list[Chat | str]:
    """`recipe.changed` changed and `recipe.neutral` neutral pieces in one shuffled list.

    Raises ValueError when there are not as many.
    """
    mixture = [
        *_exactly(recipe.changed, _changed(recipe, own, headings)),
        *_exactly(recipe.neutral, own.neutral),
    ]
    random.Random(SEED).shuffle(mixture)
    return mixture


def _changed(recipe: Tune, own: Own, headings: Sequence[str]) -> Sequence[Chat | str]:
    if recipe.material == "neutral":
        return []
    if recipe.material == "plain_text":
        return own.texts
    if recipe.material == "shorter":
        return [shortened(chat) for chat in own.neutral]
    if recipe.material == "formatted":
        return [formatted(chat, headings, n) for n, chat in enumerate(own.neutral)]
    return fill_chats(read_templates(recipe.material), recipe.changed, SEED, own.ordinary)


def _exactly(count: int, pieces: Sequence[Chat | str]) -> list[Chat | str]:
    if len(pieces) < count:
        raise ValueError(f"{count} pieces are needed and there are {len(pieces)}")
    return list(islice(pieces, count))
