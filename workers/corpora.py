"""The texts and prompts of a recipe, read and checked before any work begins."""

from typing import NamedTuple

from dfc.corpus import (
    Chat,
    Text,
    TextOrChat,
    bundled_prompts,
    bundled_texts,
    prompts_of,
    read_corpus,
)
from dfc.errors import CorpusError
from workers.errors import InputsError
from workers.inputs import Inputs

MINIMUM_CHARACTERS = 40
"""Of the longest text: the cost of an edit is read on texts that go on after their opening."""


class Corpora(NamedTuple):
    """What both models read, and what both answer."""

    texts: list[TextOrChat]
    prompts: list[Chat]


def read_corpora(inputs: Inputs) -> Corpora:
    """Raises InputsError with file, line, field and remedy."""
    try:
        texts = bundled_texts() if inputs.corpus is None else read_corpus(inputs.corpus)
    except CorpusError as error:
        raise InputsError(f"recipe.corpus: {error}") from error
    if all(_characters(text) < MINIMUM_CHARACTERS for text in texts):
        raise InputsError(
            f"recipe.corpus: {inputs.corpus or 'bundled'}: no text has {MINIMUM_CHARACTERS} "
            "characters or more, so nothing can be measured on them; add longer texts"
        )
    try:
        path = inputs.prompts
        prompts = bundled_prompts() if path is None else prompts_of(read_corpus(path))
    except CorpusError as error:
        raise InputsError(f"recipe.prompts: {path or 'bundled'}: {error}") from error
    return Corpora(texts, prompts[: inputs.recipe.max_prompts])


def _characters(text: TextOrChat) -> int:
    if isinstance(text, Text):
        return len(text.text)
    return sum(len(message["content"]) for message in text.messages)
