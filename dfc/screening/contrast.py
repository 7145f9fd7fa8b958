"""Which next tokens the candidate makes likelier or less likely where a feature fires.

For a model m, s_m(v | t) = log(p_m(v | tokens up to t) + SMOOTHING), and for a feature

    shift(v, T) = mean over t in T of (s_candidate - s_base)
    raised(v)   = min(shift(v, firing), shift(v, firing) - shift(v, quiet))
    lowered(v)  = min(-shift(v, firing), shift(v, quiet) - shift(v, firing)).

Firing are the feature's strongest positions in the few documents where it is strongest. Quiet are
all positions that are read for any of the features and on which this one is silent, outside the
chat template: so what the candidate writes everywhere cancels out, and what it avoids elsewhere is
not taken for something that it writes here. Without smoothing the largest differences are those of
tokens that neither model would ever write. Where one model's embeddings are padded to more rows
than the other's, v runs over the tokens that both have.
"""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from dfc.engines.engine import Activations, Engine

SMOOTHING = 1e-4
DOCUMENTS = 3
"""Per feature."""
FIRING = 4
"""Per feature and document."""
SPREAD = 4
"""Per document, evenly up to its last firing position, to be quiet for whom it may."""
MINIMUM = 0.5
"""Nats; less is not worth a word."""
CHUNK = 128
"""Positions whose logits are in memory at a time."""


class Contrast(NamedTuple):
    """Tokens, the clearest first; both empty where nothing stands out."""

    raised: list[str]
    lowered: list[str]


@torch.no_grad()
def contrastive_tokens(
    base: Engine,
    candidate: Engine,
    f_KT: Sequence[Tensor],
    activations: Activations,
    template_T: Tensor,
    documents: Sequence[tuple[int, ...]],
    n: int,
) -> list[Contrast]:
    """Up to ``n`` raised and ``n`` lowered tokens of each feature with activations ``f_T`` [T].

    ``template_T`` [T] is true on tokens of the chat template: what a model would write in the
    middle of one means nothing. Both models read the documents (token ids, numbered as in
    ``activations``) up to the last position needed, each different beginning once. They must share
    their token ids.
    """
    firing = [_firing_lines(f_T, activations) for f_T in f_KT]
    everywhere = {line for lines in firing for line in lines}
    lines = sorted(everywhere | _spread(everywhere, activations))
    if not lines:
        return [Contrast([], []) for _ in f_KT]
    line_N = torch.tensor(lines)
    firing_KN = torch.stack(
        [_mean_over(torch.isin(line_N, torch.tensor(own, dtype=torch.long))) for own in firing]
    )
    quiet_KN = torch.stack([_mean_over((f_T[line_N] == 0) & ~template_T[line_N]) for f_T in f_KT])
    common = min(base.info.vocabulary, candidate.info.vocabulary)
    firing_KV = torch.zeros(len(f_KT), common)
    quiet_KV = torch.zeros_like(firing_KV)
    base_ND, candidate_ND = (
        _final_states(engine, lines, activations, documents) for engine in (base, candidate)
    )
    for start in range(0, len(lines), CHUNK):
        part = slice(start, start + CHUNK)
        base_NV, candidate_NV = (
            _smoothed(base, base_ND[part]),
            _smoothed(candidate, candidate_ND[part]),
        )
        shift_NV = candidate_NV[:, :common] - base_NV[:, :common]
        firing_KV += firing_KN[:, part] @ shift_NV
        quiet_KV += quiet_KN[:, part] @ shift_NV
    raised_KV = torch.minimum(firing_KV, firing_KV - quiet_KV)
    lowered_KV = torch.minimum(-firing_KV, quiet_KV - firing_KV)
    return [
        Contrast(_tokens(candidate, raised_V, n), _tokens(candidate, lowered_V, n))
        for raised_V, lowered_V in zip(raised_KV, lowered_KV, strict=True)
    ]


def _firing_lines(f_T: Tensor, activations: Activations) -> list[int]:
    """The strongest lines of the strongest documents."""
    found: list[int] = []
    for document in _strongest_documents(f_T, activations):
        lines = (activations.document_T == document).nonzero()[:, 0]
        strongest = f_T[lines].topk(min(FIRING, len(lines)))
        found += lines[strongest.indices[strongest.values > 0]].tolist()
    return found


def _spread(lines: set[int], activations: Activations) -> set[int]:
    """Lines spread evenly over the documents of ``lines``, each up to its last one."""
    last: dict[int, int] = {}
    for line in sorted(lines):
        last[int(activations.document_T[line])] = line
    first = {d: line - int(activations.position_T[line]) + 1 for d, line in last.items()}
    return {
        int(line)
        for document, end in last.items()
        for line in torch.linspace(first[document], end, SPREAD).round()
    }


def _mean_over(chosen_N: Tensor) -> Tensor:
    """Weights [N] that average over the chosen ones; all zero when there is none."""
    return chosen_N.float() / chosen_N.sum().clamp_min(1)


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


def _tokens(engine: Engine, score_V: Tensor, n: int) -> list[str]:
    found = score_V.topk(min(n, len(score_V)))
    return [
        engine.decode([token])
        for value, token in zip(found.values.tolist(), found.indices.tolist(), strict=True)
        if value >= MINIMUM
    ]
