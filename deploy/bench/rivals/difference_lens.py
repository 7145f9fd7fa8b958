"""The activation difference lens: the mean difference over the first positions of unrelated text.

Minder et al., ICLR 2026 (arXiv 2510.13900): a narrow update leaves a constant trace that can be
read with the logit lens on texts that have nothing to do with it. Here at the diff's layer and on
its corpus, from the states that it has harvested: no model is run.
"""

import torch
from torch import Tensor

from deploy.bench.rivals.paired import candidate_only
from deploy.bench.rivals.reading import tokens_of
from deploy.bench.rivals.rival import Case, Directions, Look
from dfc.corpus import Text, encode_corpus
from dfc.engines.engine import FeatureBank

POSITIONS = 5
"""The first ones that are harvested: position 0, an attention sink, never is."""


class DifferenceLens:
    """One direction; its edit is constant, since it says nothing of where the update acts."""

    name = "activation difference lens"
    stages = ("answers", "profile", "harvest")

    def look(self, case: Case) -> Look:
        """Score: norm of the mean difference as a part of the median norm of the base's states."""
        chosen_T = _opening_of_texts(case)
        if not chosen_T.any():
            return Look(None, None, [], {})
        base_ND = case.states.base.x_TD[chosen_T].float()
        difference_D = (case.states.candidate.x_TD[chosen_T].float() - base_ND).mean(0)
        score = float(difference_D.norm() / base_ND.norm(dim=1).median())
        if score == 0:
            return Look(0.0, None, [], {})
        return Look(
            score=score,
            flagged=None,
            names=tokens_of(case, difference_D[None]),
            figures={"positions": float(chosen_T.sum())},
            directions=Directions(constant_bank(difference_D[None], case.layer)),
        )


def constant_bank(directions_KD: Tensor, layer: int) -> FeatureBank:
    """Features that are 1 in every state, so that ablating one takes its direction away as it
    is."""
    n = len(directions_KD)
    return FeatureBank(
        layer=layer,
        encoder_KD=torch.zeros(n, 2 * directions_KD.shape[1]),
        bias_K=torch.ones(n),
        threshold_K=torch.zeros(n),
        decoder_KD=candidate_only(directions_KD),
        unit_K=torch.ones(n),
    )


def _opening_of_texts(case: Case) -> Tensor:
    """Which lines are the first positions of the corpus' plain texts; chats all open with the same
    tokens of their template."""
    texts = case.context.corpora.texts
    documents = encode_corpus(case.context.models["base"], texts, POSITIONS + 1)
    read = [text for text, document in zip(texts, documents, strict=True) if len(document) > 1]
    n_corpus = len(case.harvest.documents["corpus"])
    n_all = sum(map(len, case.harvest.documents.values()))
    plain = [isinstance(text, Text) for text in read[:n_corpus]]
    plain_D = torch.tensor(plain + [False] * (n_all - n_corpus))
    base = case.states.base
    return plain_D[base.document_T] & (base.position_T <= POSITIONS)
