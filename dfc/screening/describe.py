"""What a feature writes and where it fires, as plain data for people to read."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from dfc.engines.engine import Activations, Engine

CONTEXT = 16
"""Tokens shown on each side of the strongest one."""

RANDOM_DIRECTIONS = 128
"""Behind the spread of a token's logit; its error is then about 6 %."""

_UNFINISHED = "\ufffd"


class Window(NamedTuple):
    """Where a feature is strongest in a document, with the surroundings."""

    lines: tuple[int, ...]
    """Of the activations, one after the other in the document."""
    tokens: tuple[int, ...]
    """All from the first line's to the last one's, also those that no line stands for."""
    ends: tuple[int, ...]
    """How many of the tokens are read by each line."""
    peak: int
    """Index into the lines of the strongest one."""


class Example(NamedTuple):
    """A window as text, with the feature's activation where each piece of it ends."""

    pieces: list[str]
    activations: list[float]
    other: list[float] | None
    """The same when the other model reads these tokens."""


def logit_lens(engine: Engine, direction_KD: Tensor, n: int) -> list[list[str]]:
    """The ``n`` tokens that each direction [d_model] writes, read through final norm and head.

    Logits are divided by their spread over random directions: plain ones are led by rare tokens
    with long unembedding rows, whatever the direction.
    """
    generator = torch.Generator().manual_seed(0)
    random_RD = torch.randn(RANDOM_DIRECTIONS, direction_KD.shape[1], generator=generator)
    spread_V = engine.unembed(random_RD).std(0)
    top_KN = (engine.unembed(direction_KD.float()) / spread_V).topk(n).indices
    return [[engine.decode([token]) for token in row] for row in top_KN.tolist()]


def top_windows(
    f_T: Tensor, activations: Activations, documents: Sequence[Sequence[int]], n: int
) -> list[Window]:
    """The ``n`` documents where a feature fires strongest, strongest first.

    ``f_T`` [T] are the feature's activations on the lines of ``activations``, which may be a part
    of the places of the ``documents`` (token ids, numbered as there). One window per document and
    no two with the same tokens; documents where the feature is silent give none.
    """
    windows: dict[tuple[int, ...], Window] = {}
    seen: set[int] = set()
    firing = (f_T > 0).nonzero()[:, 0]
    for line in firing[f_T[firing].argsort(descending=True, stable=True)].tolist():
        if len(windows) == n:
            break
        document = int(activations.document_T[line])
        if document not in seen:
            seen.add(document)
            window = _window(activations, documents[document], line)
            windows.setdefault(window.tokens, window)
    return list(windows.values())


def example(
    window: Window, f_T: Tensor, other_T: Tensor | None, decode: Callable[[Sequence[int]], str]
) -> Example:
    """``window`` for people; ``f_T`` and ``other_T`` [T] are activations in the two models."""
    lines = torch.tensor(window.lines)
    pieces = text_pieces(window.tokens, decode)
    starts = (0, *window.ends[:-1])
    return Example(
        ["".join(pieces[start:end]) for start, end in zip(starts, window.ends, strict=True)],
        f_T[lines].tolist(),
        None if other_T is None else other_T[lines].tolist(),
    )


def text_pieces(tokens: Sequence[int], decode: Callable[[Sequence[int]], str]) -> list[str]:
    """The text that each token adds. A character that takes several tokens belongs to its last one;
    the pieces together are the text of all tokens."""
    pieces = []
    told = ""
    for end in range(1, len(tokens) + 1):
        text = decode(tokens[:end])
        if end < len(tokens) and (text.endswith(_UNFINISHED) or not text.startswith(told)):
            pieces.append("")
        else:
            pieces.append(text[len(told) :])
            told = text
    return pieces


def tokens_between(
    activations: Activations, document: Sequence[int], first: int, last: int
) -> tuple[int, ...]:
    """The tokens of a document from the place of one line to that of a later one."""
    start, end = activations.position_T[[first, last]].tolist()
    return tuple(document[start : end + 1])


def _window(activations: Activations, document: Sequence[int], line: int) -> Window:
    document_T, position_T = activations.document_T, activations.position_T
    first, last = max(0, line - CONTEXT), min(len(document_T), line + CONTEXT + 1)
    lines = tuple(i for i in range(first, last) if document_T[i] == document_T[line])
    ends_T = position_T[list(lines)] - position_T[lines[0]] + 1
    tokens = tokens_between(activations, document, lines[0], lines[-1])
    return Window(lines, tokens, tuple(ends_T.tolist()), lines.index(line))
