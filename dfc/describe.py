"""What a feature writes and where it fires, as plain data for people to read."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from dfc.engine import Activations, Engine

CONTEXT = 16
"""Tokens shown on each side of the strongest one."""

RANDOM_DIRECTIONS = 128
"""Behind the spread of a token's logit; its error is then about 6 %."""

_UNFINISHED = "\ufffd"


class TokenActivation(NamedTuple):
    """A piece of text and the feature's activation on it."""

    text: str
    activation: float


class Example(NamedTuple):
    """The strongest activation in a document, with its surroundings."""

    document: int
    position: int
    activation: float
    tokens: tuple[TokenActivation, ...]
    peak: int
    """Index into ``tokens`` of the strongest one."""


def logit_lens(engine: Engine, direction_D: Tensor, k: int) -> list[str]:
    """The ``k`` tokens that ``direction_D`` [d_model] writes, read through final norm and head.

    Logits are divided by their spread over random directions: plain ones are led by rare tokens
    with long unembedding rows, whatever the direction.
    """
    generator = torch.Generator().manual_seed(0)
    random_RD = torch.randn(RANDOM_DIRECTIONS, len(direction_D), generator=generator)
    spread_V = engine.unembed(random_RD).std(0)
    logit_V = engine.unembed(direction_D[None].float())[0]
    return [engine.decode([token]) for token in (logit_V / spread_V).topk(k).indices.tolist()]


def top_examples(
    f_T: Tensor,
    activations: Activations,
    decode: Callable[[Sequence[int]], str],
    n: int,
) -> list[Example]:
    """The ``n`` documents where a feature fires strongest, strongest first.

    ``f_T`` [T] are the feature's activations on the lines of ``activations``. One example per
    document and per distinct text; documents where the feature is silent give none.
    """
    examples: list[Example] = []
    texts: set[tuple[str, ...]] = set()
    documents: set[int] = set()
    firing = (f_T > 0).nonzero()[:, 0]
    for line in firing[f_T[firing].argsort(descending=True)].tolist():
        if len(examples) == n:
            break
        document = int(activations.document_T[line])
        if document in documents:
            continue
        documents.add(document)
        example = _example(f_T, activations, decode, line)
        text = tuple(token.text for token in example.tokens)
        if text not in texts:
            texts.add(text)
            examples.append(example)
    return examples


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


def _example(
    f_T: Tensor, activations: Activations, decode: Callable[[Sequence[int]], str], line: int
) -> Example:
    first, last = max(0, line - CONTEXT), min(len(f_T), line + CONTEXT + 1)
    document = int(activations.document_T[line])
    lines = [i for i in range(first, last) if int(activations.document_T[i]) == document]
    chosen = torch.tensor(lines)
    pieces = text_pieces(activations.token_T[chosen].tolist(), decode)
    strengths = f_T[chosen].tolist()
    return Example(
        document,
        int(activations.position_T[line]),
        float(f_T[line]),
        tuple(TokenActivation(t, a) for t, a in zip(pieces, strengths, strict=True)),
        lines.index(line),
    )
