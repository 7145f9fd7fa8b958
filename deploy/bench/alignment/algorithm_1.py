"""Algorithm 1 of Jiralerspong & Bricken 2026 (arXiv 2602.11729, B.1.6), written plainly: the oracle
that dfc.alignment is measured against.

The paper leaves open what `normalize` and `is_non_content` do; here NFKC, white space collapsed,
case folded, ends stripped; and special tokens and white space. A window has at most 16 tokens. Nor
does it speak of tokens that hold parts of a character, which all decode to U+FFFD and would match
each other: here a window ends with a character.
"""

import re
import unicodedata
from collections.abc import Callable, Sequence
from typing import NamedTuple

MAX_WINDOW = 16
PART_OF_A_CHARACTER = "\ufffd"


class Tokens(NamedTuple):
    """A text as one model reads it."""

    ids: Sequence[int]
    decode: Callable[[Sequence[int]], str]
    special: frozenset[int]


class Windows(NamedTuple):
    pairs: list[tuple[int, int]]
    complete: bool
    """False where it gave up: no windows with equal text were found, the rest is dropped."""


def normalize(text: str) -> str:
    return re.sub(r"\s+", " ", unicodedata.normalize("NFKC", text)).casefold().strip()


def align_windows(a: Tokens, b: Tokens) -> Windows:
    """Pairs of the last tokens of windows with equal text."""
    pairs: list[tuple[int, int]] = []
    p_a = p_b = 0
    while True:
        p_a, p_b = _next_content(a, p_a), _next_content(b, p_b)
        if p_a == len(a.ids) or p_b == len(b.ids):
            return Windows(pairs, True)
        e_a, e_b = _grow(a, p_a, p_a), _grow(b, p_b, p_b)
        while max(e_a - p_a, e_b - p_b) <= MAX_WINDOW:
            text_a, text_b = _text(a, p_a, e_a), _text(b, p_b, e_b)
            if text_a == text_b:
                break
            if len(text_a) < len(text_b) and e_a < len(a.ids):
                e_a = _grow(a, p_a, e_a)
            elif e_b < len(b.ids):
                e_b = _grow(b, p_b, e_b)
            else:
                return Windows(pairs, False)
        else:
            return Windows(pairs, False)
        pairs.append((e_a - 1, e_b - 1))
        p_a, p_b = e_a, e_b


def _grow(tokens: Tokens, p: int, e: int) -> int:
    """One token more, and as many as it takes to the end of a character."""
    e += 1
    while e < len(tokens.ids) and tokens.decode(tokens.ids[p:e]).endswith(PART_OF_A_CHARACTER):
        e += 1
    return e


def _text(tokens: Tokens, p: int, e: int) -> str:
    return normalize(tokens.decode(tokens.ids[p:e]))


def _next_content(tokens: Tokens, p: int) -> int:
    while p < len(tokens.ids) and (
        tokens.ids[p] in tokens.special or not tokens.decode([tokens.ids[p]]).strip()
    ):
        p += 1
    return p
