"""Per-token KL(candidate, base): where the two models part, and which tokens the candidate
prefers there. Needs logits alone: no training, no suite."""

from typing import NamedTuple

import torch
from torch import Tensor

from deploy.bench.rivals.rival import Case, Look
from dfc.engines.engine import Activations, Engine
from workers.stages.answers import Answers, Tokens

ANSWERS, TEXTS = 64, 48
"""Answers per model and texts of the corpus on which the divergence is taken."""
CHUNK = 256
"""Positions whose whole vocabulary is in memory at once."""
NAMED = 12


class Divergence(NamedTuple):
    """KL(candidate, base) in nats at every position, and what each token of the vocabulary adds
    over all of them."""

    kl_T: Tensor
    by_token_V: Tensor


class TokenDivergence:
    """Mean KL on both models' own answers; benign updates set the threshold."""

    name = "per-token KL"
    stages = ("answers",)

    def look(self, case: Case) -> Look:
        own = [*_answers(case.answers.base), *_answers(case.answers.candidate)]
        found = divergence(case, [p + a for p, a in own], [len(p) for p, _ in own])
        texts = case.harvest.documents["corpus"][:TEXTS]
        neutral = divergence(case, texts, [1] * len(texts))
        decode = case.context.models["candidate"].decode
        preferred = found.by_token_V.topk(NAMED).indices.tolist()
        return Look(
            score=float(found.kl_T.mean()),
            flagged=None,
            names=[decode([token]) for token in preferred],
            figures={
                "answers": float(found.kl_T.mean()),
                "answers_p99": float(found.kl_T.quantile(0.99)),
                "neutral": float(neutral.kl_T.mean()),
                "neutral_p99": float(neutral.kl_T.quantile(0.99)),
            },
        )


@torch.no_grad()
def divergence(case: Case, documents: list[Tokens], starts: list[int]) -> Divergence:
    """Over the predictions of every token from ``starts`` on (at least 1) of each document.

    The prediction after a document's first token is left out: its state is never read.
    """
    base, candidate = case.context.models["base"], case.context.models["candidate"]
    read = [engine.harvest(documents, engine.info.n_layers - 1) for engine in (base, candidate)]
    chosen = _predicting(read[0], documents, starts).nonzero()[:, 0]
    kl: list[Tensor] = []
    by_token_V = torch.zeros(base.info.vocabulary)
    for rows in chosen.split(CHUNK):
        base_NV, candidate_NV = (
            _log_probabilities(engine, states.x_TD[rows])
            for engine, states in zip((base, candidate), read, strict=True)
        )
        added_NV = candidate_NV.exp() * (candidate_NV - base_NV)
        kl.append(added_NV.sum(1))
        by_token_V += added_NV.sum(0)
    return Divergence(torch.cat(kl), by_token_V)


def _predicting(states: Activations, documents: list[Tokens], starts: list[int]) -> Tensor:
    """Lines whose state predicts a token from ``starts`` on."""
    first_D = torch.tensor([max(start - 1, 1) for start in starts])
    last_D = torch.tensor([len(document) - 2 for document in documents])
    position_T = states.position_T
    return (position_T >= first_D[states.document_T]) & (position_T <= last_D[states.document_T])


def _log_probabilities(engine: Engine, x_ND: Tensor) -> Tensor:
    return engine.unembed(x_ND).log_softmax(1)


def _answers(own: Answers) -> list[tuple[Tokens, Tokens]]:
    spoken = [pair for pair in zip(own.prompts, own.answers, strict=True) if pair[1]]
    return spoken[:ANSWERS]
