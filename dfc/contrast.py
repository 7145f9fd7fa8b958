"""Which next tokens the candidate makes likelier or less likely where a feature fires.

For a model m, s_m(v | t) = log(p_m(v | tokens up to t) + SMOOTHING), and for a feature

    contrast(v) = mean over firing t of (s_candidate - s_base) - the same over quiet t.

Firing are the feature's strongest positions in the few documents where it is strongest, quiet are
the nearest positions before them where it is silent, if there are any outside the chat template. So
a change that is everywhere in the candidate cancels out. Without smoothing the largest differences
are those of tokens that neither model would ever write.
"""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from dfc.engine import Activations, Engine

SMOOTHING = 1e-4
DOCUMENTS = 3
"""Per feature."""
POSITIONS = 4
"""Per feature and document, of each kind."""
MINIMUM = 0.5
"""Nats; a smaller contrast is not worth a word."""
CHUNK = 128
"""Positions whose logits are in memory at a time."""


class Contrast(NamedTuple):
    """Tokens, the largest contrast first; both empty where nothing stands out."""

    raised: list[str]
    lowered: list[str]


class Positions(NamedTuple):
    """Lines of the activations at which one feature is contrasted."""

    firing: list[int]
    quiet: list[int]


def contrast_positions(f_T: Tensor, activations: Activations, template_T: Tensor) -> Positions:
    """Where to read both models for a feature with activations ``f_T`` [T].

    ``template_T`` [T] is true on tokens of the chat template: what a model would write in the
    middle of one means nothing, so it is no measure of a quiet place.
    """
    firing: list[int] = []
    quiet: list[int] = []
    for document in _strongest_documents(f_T, activations):
        lines = (activations.document_T == document).nonzero()[:, 0]
        f_N = f_T[lines]
        strongest = f_N.topk(min(POSITIONS, len(lines)))
        chosen = strongest.indices[strongest.values > 0]
        silent_N = (f_N == 0) & ~template_T[lines]
        before = silent_N[: int(chosen.max())].nonzero()[-POSITIONS:, 0]
        firing += lines[chosen].tolist()
        quiet += lines[before].tolist()
    return Positions(firing, quiet)


@torch.no_grad()
def contrastive_tokens(
    base: Engine,
    candidate: Engine,
    positions: Sequence[Positions],
    activations: Activations,
    documents: Sequence[tuple[int, ...]],
    n: int,
) -> list[Contrast]:
    """Up to ``n`` raised and ``n`` lowered tokens of each feature.

    Both models read the documents (token ids, numbered as in ``activations``) up to the last
    position needed, each different beginning once. They must share their token ids.
    """
    lines = sorted({line for each in positions for line in (*each.firing, *each.quiet)})
    if not lines:
        return [Contrast([], []) for _ in positions]
    column = {line: number for number, line in enumerate(lines)}
    weight_KN = torch.zeros(len(positions), len(lines))
    for row, each in enumerate(positions):
        for kind, sign in ((each.firing, 1.0), (each.quiet, -1.0)):
            for line in kind:
                weight_KN[row, column[line]] = sign / len(kind)
    contrast_KV = torch.zeros(len(positions), candidate.info.vocabulary)
    base_ND, candidate_ND = (
        _final_states(engine, lines, activations, documents) for engine in (base, candidate)
    )
    for start in range(0, len(lines), CHUNK):
        part = slice(start, start + CHUNK)
        shift_NV = _smoothed(candidate, candidate_ND[part]) - _smoothed(base, base_ND[part])
        contrast_KV += weight_KN[:, part] @ shift_NV
    return [
        Contrast(_tokens(candidate, row_V, n), _tokens(candidate, -row_V, n))
        for row_V in contrast_KV
    ]


def _strongest_documents(f_T: Tensor, activations: Activations) -> list[int]:
    peak = torch.zeros(int(activations.document_T.max()) + 1)
    peak.scatter_reduce_(0, activations.document_T, f_T.float(), "amax")
    found = peak.topk(min(DOCUMENTS, len(peak)))
    return found.indices[found.values > 0].tolist()


def _final_states(
    engine: Engine,
    lines: Sequence[int],
    activations: Activations,
    documents: Sequence[tuple[int, ...]],
) -> Tensor:
    """States [lines, D] after the last block."""
    places = [(int(activations.document_T[i]), int(activations.position_T[i])) for i in lines]
    last: dict[int, int] = {}
    for document, position in places:
        last[document] = max(position, last.get(document, 0))
    cut = {document: documents[document][: end + 1] for document, end in last.items()}
    distinct = list(dict.fromkeys(cut.values()))
    states = engine.harvest(distinct, engine.info.n_layers - 1)
    starts = torch.tensor([0, *(len(one) - 1 for one in distinct)]).cumsum(0).tolist()
    number = {one: start for one, start in zip(distinct, starts, strict=False)}
    rows = [number[cut[document]] + position - 1 for document, position in places]
    return states.x_TD[torch.tensor(rows)]


def _smoothed(engine: Engine, x_ND: Tensor) -> Tensor:
    """log(p + SMOOTHING) [N, vocabulary] of the next token."""
    return engine.unembed(x_ND).softmax(-1).add_(SMOOTHING).log_()


def _tokens(engine: Engine, contrast_V: Tensor, n: int) -> list[str]:
    found = contrast_V.topk(min(n, len(contrast_V)))
    return [
        engine.decode([token])
        for value, token in zip(found.values.tolist(), found.indices.tolist(), strict=True)
        if value >= MINIMUM
    ]
