"""Which token of one model stands for the same place in the text as which token of the other?"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from dfc.tokenizer import Tokenizer


class Reading(NamedTuple):
    """One document as one model reads it."""

    tokens: tuple[int, ...]
    ends_N: tuple[int | None, ...]
    """Where a token ends, in characters of its span's text; None for tokens without content:
    special ones, those of the template, and white space."""
    spans_N: tuple[int | None, ...]
    """Which content a token belongs to: 0 for a text, the message's number for a chat; None for
    tokens without content."""

    def cut(self, max_tokens: int) -> "Reading":
        """The first ``max_tokens`` tokens."""
        return Reading(*(field[:max_tokens] for field in self))


def read_text(tokenizer: Tokenizer, text: str) -> Reading:
    """A plain text, with no special tokens added."""
    raise NotImplementedError


def read_chat(
    tokenizer: Tokenizer,
    messages: Sequence[Mapping[str, str]],
    *,
    add_generation_prompt: bool = False,
) -> Reading:
    """A conversation under the model's own chat template; a model without one reads the contents
    as plain text, with a blank line between messages. Raises InputError for a conversation that
    the template refuses."""
    raise NotImplementedError


def align(base: Reading, candidate: Reading) -> list[tuple[int, int]]:
    """Pairs (base position, candidate position), both rising, that end at the same place of the
    same span. Equal readings pair every position with itself, those without content included."""
    raise NotImplementedError
