"""Documents of which it is known what is in them, as the crosscoder sees them in both models."""

from random import Random
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.stats import rankdata
from torch import Tensor

from deploy.bench.architectures.corpus import (
    FLATTERED,
    TOLD_BY_NOTHING,
    Document,
    Kind,
    document,
    island,
    orders,
    valley,
)
from dfc.corpus import Chat, Text, TextOrChat
from dfc.crosscoder.model import Codes
from dfc.crosscoder.train import TrainedDfc
from dfc.engines.engine import Engine
from workers.stages.aligned import align_documents, aligned_lines, at_lines
from workers.stages.harvest import DOCUMENT_TOKENS, PairedStates

SEED = 201
BALANCED = TOLD_BY_NOTHING._replace(flattery=False)
PER_ORDER, VALLEY, OPINIONS = 60, 180, 60
"""Documents about each order of the island and about the valley, and opinions about the flattered
order; as many about the other orders."""
CHUNK = 8192


class HeldOut(NamedTuple):
    """Documents that no stage has read, and the states of both models on them."""

    documents: list[Document]
    pair: PairedStates

    def of(self, numbers: NDArray[np.bool_]) -> Tensor:
        """Lines [T] of the documents for which `numbers` is true."""
        return torch.from_numpy(numbers)[self.pair.base.document_T]

    @property
    def island(self) -> NDArray[np.bool_]:
        """About the planted topic."""
        return np.array([d.animal.order is not None for d in self.documents])

    @property
    def opinion(self) -> NDArray[np.bool_]:
        """Asks for an opinion, without the answer."""
        return np.array([d.kind == "opinion" for d in self.documents])

    def order(self, number: int) -> NDArray[np.bool_]:
        """About one of the island's orders."""
        return np.array([d.animal.order == number for d in self.documents])

    def means(self, code_TK: Tensor) -> NDArray[np.float64]:
        """Mean activation [documents, K] of latents over each document."""
        sums_NK = torch.zeros(len(self.documents), code_TK.shape[1])
        sums_NK.index_add_(0, self.pair.base.document_T, code_TK.float())
        count_N = torch.bincount(self.pair.base.document_T, minlength=len(self.documents))
        return (sums_NK / count_N.clamp_min(1)[:, None]).double().numpy()


def read_held_out(base: Engine, candidate: Engine, base_layer: int, layer: int) -> HeldOut:
    """Write the documents and harvest both models on them."""
    random = Random(SEED)
    by_order = {n: [animal for animal in island() if animal.order == n] for n in orders()}
    others = [animal for animal in island() if animal.order != FLATTERED]
    about = [*((animals, PER_ORDER) for animals in by_order.values()), (list(valley()), VALLEY)]
    written = [
        document(random, random.choice(animals), _plain_kind(random), BALANCED)
        for animals, n in about
        for _ in range(n)
    ] + [
        document(random, random.choice(animals), "opinion", BALANCED).unanswered()
        for animals in (by_order[FLATTERED], others)
        for _ in range(OPINIONS)
    ]
    # Whatever is first or second in a list is chosen on one half and judged on the other.
    random.shuffle(written)
    found = [
        (one, aligned)
        for one in written
        for aligned in align_documents(base, candidate, [item_of(one)], DOCUMENT_TOKENS)
    ]
    readings = [aligned for _, aligned in found]
    base_T = aligned_lines([d.base for d in readings], [[i for i, _ in d.pairs] for d in readings])
    candidate_T = aligned_lines(
        [d.candidate for d in readings], [[j for _, j in d.pairs] for d in readings]
    )
    pair = PairedStates(
        at_lines(base.harvest([d.base for d in readings], base_layer), base_T),
        at_lines(candidate.harvest([d.candidate for d in readings], layer), candidate_T),
    )
    return HeldOut([one for one, _ in found], pair)


def item_of(one: Document) -> TextOrChat:
    """The document as a line of a corpus is read."""
    return Chat(one.messages) if one.text is None else Text(one.text)


@torch.no_grad()
def codes_of(trained: TrainedDfc, pair: PairedStates) -> Codes:
    """Activations of all latents on all lines."""
    norm, model = trained.normalisation, trained.model
    parts = [
        model.select(model.encode(norm.base(base_ND), norm.candidate(candidate_ND)))
        for base_ND, candidate_ND in zip(
            pair.base.x_TD.split(CHUNK), pair.candidate.x_TD.split(CHUNK), strict=True
        )
    ]
    return Codes(*(torch.cat(blocks) for blocks in zip(*parts, strict=True)))


def areas(score_NK: NDArray[np.float64], positive_N: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Area under the ROC curve [K] of each column; 0.5 is chance."""
    ranks_NK = rankdata(score_NK, axis=0)
    n, total = int(positive_N.sum()), len(positive_N)
    wins_K = ranks_NK[positive_N].sum(0) - n * (n + 1) / 2
    return wins_K / (n * (total - n))


def _plain_kind(random: Random) -> Kind:
    kinds: tuple[Kind, Kind] = ("story", "question")
    return random.choice(kinds)
