"""Where two models' next-token distributions differ, position by position."""

from collections.abc import Sequence

import torch
from torch import Tensor

from dfc.batching import token_budget_batches
from dfc.engine import Engine, Progress
from dfc.errors import InputError

TOKENS_AT_ONCE = 8192
"""Tokens whose final states are held at a time."""
POSITIONS_AT_ONCE = 128
"""Positions whose logits are held at a time, for both models."""


def token_divergence(
    base: Engine,
    candidate: Engine,
    documents: Sequence[tuple[int, ...]],
    progress: Progress | None = None,
) -> list[Tensor]:
    """KL(candidate || base) of the next-token distribution after every position, in nats.

    One float32 tensor [tokens] per document, position 0 included. Vocabularies that differ only in
    padded embeddings are compared on the ids that both have. Raises InputError when the models do
    not share a tokenizer.
    """
    if base.info.tokenizer_digest != candidate.info.tokenizer_digest:
        raise InputError(
            "base and candidate have different tokenizers, so their next-token distributions "
            "cannot be compared id by id"
        )
    shared = min(base.info.vocabulary, candidate.info.vocabulary)
    divergence: list[Tensor] = [torch.empty(0)] * len(documents)
    done = 0
    for batch in token_budget_batches([len(d) for d in documents], TOKENS_AT_ONCE):
        texts = [documents[n] for n in batch]
        base_TD = torch.cat(base.final_states(texts))
        candidate_TD = torch.cat(candidate.final_states(texts))
        parts = [
            _divergence(candidate.unembed(c_ND)[:, :shared], base.unembed(b_ND)[:, :shared])
            for b_ND, c_ND in zip(
                base_TD.split(POSITIONS_AT_ONCE), candidate_TD.split(POSITIONS_AT_ONCE), strict=True
            )
        ]
        lengths = [len(text) for text in texts]
        for number, kl_T in zip(batch, torch.cat(parts).cpu().split(lengths), strict=True):
            divergence[number] = kl_T
        done += len(batch)
        if progress is not None:
            progress(done, len(documents))
    return divergence


def _divergence(logits_NV: Tensor, reference_NV: Tensor) -> Tensor:
    log_p_NV = logits_NV.log_softmax(1)
    log_q_NV = reference_NV.to(logits_NV.device).log_softmax(1)
    # Rounding can push a divergence of zero just below it.
    return (log_p_NV.exp() * (log_p_NV - log_q_NV)).sum(1).clamp_min(0)
