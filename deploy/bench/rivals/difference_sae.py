"""An SAE on the difference of the two models' states (Aranguri et al. 2025)."""

import torch
from torch import Tensor

from deploy.bench.rivals.dictionary import Dictionary, train_dictionary
from deploy.bench.rivals.paired import candidate_only
from deploy.bench.rivals.reading import tokens_of
from deploy.bench.rivals.rival import Case, Directions, Look
from dfc.crosscoder.normalisation import outliers
from dfc.engines.engine import FeatureBank
from dfc.screening.screen import natural_maximum

SEED = 0
CHUNK = 8192


class DifferenceSae:
    """BatchTopK on candidate minus base, as wide as our crosscoder and trained for as long.

    The encoder reads the difference in training and also when it is ablated, for which the base
    reads the same rows: an encoder taught to find the difference in the candidate's state alone
    would be another method, namely the exclusive block of our crosscoder.
    """

    name = "SAE on the difference"
    stages = ("answers", "profile", "harvest")

    def look(self, case: Case) -> Look:
        """Score: root mean square of what the strongest latent writes, as a part of the median
        norm of the base's states."""
        base_TD, candidate_TD = case.states.base.x_TD, case.states.candidate.x_TD
        config = case.context.inputs.recipe.dfc
        difference_TD = candidate_TD.float() - base_TD.float()
        kept_T = ~(outliers(base_TD) | outliers(candidate_TD))
        scale = float(difference_TD[kept_T].norm(dim=1).median()) / difference_TD.shape[1] ** 0.5
        if scale == 0:
            return Look(0.0, None, [], {})
        x_TD = difference_TD / scale
        dictionary = train_dictionary(
            x_TD[kept_T],
            1,
            config,
            "batch_topk",
            seed=SEED,
            progress=case.context.steps("difference steps"),
        )
        with torch.no_grad():
            codes_TF = torch.cat([dictionary.codes(x) for x in x_TD.split(CHUNK)])
            gain_F = explained_energy(dictionary, codes_TF, x_TD)
            rows = gain_F.argsort(descending=True)[: config.candidate_exclusive]
            bank = difference_bank(dictionary, scale, codes_TF, rows, case.layer)
            written = float(codes_TF[:, rows[0]].pow(2).mean().sqrt() * bank.decoder_KD[0].norm())
        return Look(
            score=written / float(base_TD.float().norm(dim=1).median()),
            flagged=None,
            names=tokens_of(case, bank.decoder_KD[:, : base_TD.shape[1]]),
            figures={
                "active": float((codes_TF > 0).sum(1).float().mean()),
                "alive": float((codes_TF > 0).any(0).float().mean()),
                "energy_of_best": float(gain_F[rows[0]] / x_TD.pow(2).sum()),
            },
            directions=Directions(bank),
        )


def explained_energy(dictionary: Dictionary, codes_TF: Tensor, x_TD: Tensor) -> Tensor:
    """Per latent the sum of 2 f <x, w> - f^2 |w|^2 over tokens: what it alone takes from x."""
    gain_F = torch.zeros(codes_TF.shape[1])
    for code_NF, x_ND in zip(codes_TF.split(CHUNK), x_TD.split(CHUNK), strict=True):
        gain_F += 2 * (code_NF * (x_ND @ dictionary.decoder.T)).sum(0)
        gain_F -= (code_NF.pow(2)).sum(0) * dictionary.decoder.pow(2).sum(1)
    return gain_F


def difference_bank(
    dictionary: Dictionary, scale: float, codes_TF: Tensor, rows: Tensor, layer: int
) -> FeatureBank:
    """Latents ``rows`` as features that read candidate minus base out of [candidate | base]."""
    encoder_KD = dictionary.encoder[rows] / scale
    return FeatureBank(
        layer=layer,
        encoder_KD=torch.cat([encoder_KD, -encoder_KD], dim=1),
        bias_K=dictionary.bias[rows],
        threshold_K=dictionary.threshold / dictionary.norms().sum(1)[rows],
        decoder_KD=candidate_only(dictionary.decoder[rows] * scale),
        unit_K=natural_maximum(codes_TF[:, rows]),
    )
