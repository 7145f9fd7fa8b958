"""Which token of one model stands for the same place in the text as which token of the other?

Two positions are paired when both models have read exactly the same text by then. It gives the
pairs of Algorithm 1 of Jiralerspong & Bricken 2026 (arXiv 2602.11729, B.1.6), whose windows end
where both tokenizers have a boundary, but looks boundaries up instead of decoding and comparing
windows: what one tokenizer rewrites or drops costs that place and not the rest of the document.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple
from unicodedata import category

from dfc.content_spans import Span, content_spans
from dfc.engines.tokenizer import Tokenizer

_JOINED = frozenset(["Mn", "Me", "Cf", "Cc"])
"""Categories of combining marks, joiners and controls, which some tokenizers drop: then they belong
to the character before them."""
_BLANK_LINE = "\n\n"


class LocatedTokens(NamedTuple):
    """One document as one model reads it."""

    tokens: tuple[int, ...]
    ends_N: tuple[int | None, ...]
    """Where a token ends, in characters of its span's original text, white space after it left
    out. None for tokens without content (special ones, those of the template, white space) and
    for those that end inside a character."""
    spans_N: tuple[int | None, ...]
    """Which content a token belongs to: 0 for a text, the message's number for a chat; None where
    the end is None. No two tokens have equal span and end."""

    def cut(self, max_tokens: int) -> "LocatedTokens":
        """The first ``max_tokens`` tokens."""
        n = max_tokens
        return LocatedTokens(self.tokens[:n], self.ends_N[:n], self.spans_N[:n])


def read_text(tokenizer: Tokenizer, text: str) -> LocatedTokens:
    """A plain text, with no special tokens added."""
    return _read(tokenizer, text, [Span(0, len(text), 0, 0)])


def read_chat(
    tokenizer: Tokenizer,
    messages: Sequence[Mapping[str, str]],
    *,
    add_generation_prompt: bool = False,
) -> LocatedTokens:
    """A conversation under the model's own chat template; a model without one reads the contents
    as plain text, with a blank line between messages. Raises InputError for a conversation that
    the template refuses."""

    def render(messages: Sequence[Mapping[str, str]]) -> str:
        if tokenizer.has_chat_template:
            return tokenizer.render_chat(messages, add_generation_prompt=add_generation_prompt)
        return _BLANK_LINE.join(message["content"] for message in messages)

    return _read(tokenizer, *content_spans(render, messages))


def align(base: LocatedTokens, candidate: LocatedTokens) -> list[tuple[int, int]]:
    """Pairs (base position, candidate position), rising in the base, that end at the same place of
    the same span. Equal readings pair every position with itself, those without content too."""
    if base == candidate:
        return [(n, n) for n in range(len(base.tokens))]
    places = {place: n for n, place in _places(candidate)}
    return [(n, places[place]) for n, place in _places(base) if place in places]


def _places(reading: LocatedTokens) -> Iterator[tuple[int, tuple[int, int]]]:
    for n, (span, end) in enumerate(zip(reading.spans_N, reading.ends_N, strict=True)):
        if span is not None and end is not None:
            yield n, (span, end)


def _read(tokenizer: Tokenizer, text: str, spans: Sequence[Span]) -> LocatedTokens:
    tokens, offsets = tokenizer.encode_with_offsets(text)
    starts = [*(start for start, _ in offsets), len(text)]
    ends: list[int | None] = []
    numbers: list[int | None] = []
    for token, (start, stop), next_start in zip(tokens, offsets, starts[1:], strict=True):
        boundary = _boundary(text, stop, next_start)
        span = next((s for s in spans if s.start < boundary <= s.stop), None)
        empty = token in tokenizer.special_tokens or not text[start:stop].strip()
        # Where the next token starts before this one's end, both hold parts of one character.
        if span is None or empty or next_start < boundary:
            ends.append(None)
            numbers.append(None)
        else:
            ends.append(boundary - span.start + span.skipped)
            numbers.append(span.message)
    return LocatedTokens(tokens, tuple(ends), tuple(numbers))


def _boundary(text: str, stop: int, next_start: int) -> int:
    """A token's end without white space, behind what the tokenizer drops of its last character."""
    while stop > 0 and text[stop - 1].isspace():
        stop -= 1
    while stop < next_start and category(text[stop]) in _JOINED and not text[stop].isspace():
        stop += 1
    return stop
