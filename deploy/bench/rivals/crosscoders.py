"""The crosscoders of the literature, BatchTopK and L1, ranked by relative decoder norm.

BatchTopK: k latents per token over a batch, no penalty (Minder et al. 2025). L1: reconstruction
plus the latents' activations times the sum of their decoder norms (Lindsey et al. 2024); this sum,
a penalty per model, is what makes latents of one model only.
"""

from typing import NamedTuple

import torch
from torch import Tensor

from deploy.bench.rivals.dictionary import Dictionary, train_dictionary
from deploy.bench.rivals.paired import candidate_only
from deploy.bench.rivals.reading import tokens_of
from deploy.bench.rivals.rival import Case, Directions, Look
from deploy.bench.toy.crosscoders import StandardConfig
from dfc.crosscoder.config import DfcConfig
from dfc.crosscoder.model import SHARED, Dfc
from dfc.crosscoder.normalisation import Normalisation, fit_normalisation, outliers
from dfc.crosscoder.train import train
from dfc.engines.engine import FeatureBank
from dfc.screening.screen import natural_maximum

SEED = 0
CHUNK = 8192
MINIMUM_DENSITY = 5e-4
"""A latent that fires on fewer positions is not ranked: an untrained decoder leans anywhere."""


class Trained(NamedTuple):
    """A crosscoder on normalised states [candidate | base]."""

    dictionary: Dictionary
    normalisation: Normalisation


class _Crosscoder:
    """As many latents as ours, trained on the same states for as many steps."""

    name: str
    stages = ("answers", "profile", "harvest")

    def train(self, case: Case) -> Trained:
        raise NotImplementedError

    def look(self, case: Case) -> Look:
        """Score: the largest relative norm, 1/2 where no latent leans, 1 for one of the candidate
        only."""
        base_TD, candidate_TD = case.states.base.x_TD, case.states.candidate.x_TD
        trained = self.train(case)
        dictionary, norm = trained.dictionary, trained.normalisation
        codes, unexplained = [], []
        with torch.no_grad():
            for base_ND, candidate_ND in zip(
                base_TD.split(CHUNK), candidate_TD.split(CHUNK), strict=True
            ):
                x_ND = torch.cat([norm.candidate(candidate_ND), norm.base(base_ND)], dim=1)
                codes.append(dictionary.codes(x_ND))
                left = (x_ND - dictionary.decode(codes[-1])).pow(2).sum()
                unexplained.append(float(left / (x_ND - x_ND.mean(0)).pow(2).sum()))
            codes_TF = torch.cat(codes)
            leaning_F = relative_norm(dictionary)
            alive_F = (codes_TF > 0).float().mean(0) >= MINIMUM_DENSITY
            ranked = [k for k in leaning_F.argsort(descending=True).tolist() if alive_F[k]]
            rows = ranked[: case.context.inputs.recipe.dfc.candidate_exclusive]
            bank = crosscoder_bank(trained, codes_TF, rows, case.layer)
        return Look(
            score=float(leaning_F[rows[0]]) if rows else None,
            flagged=None,
            names=tokens_of(case, bank.decoder_KD[:, : base_TD.shape[1]]),
            figures={
                "variance_explained": 1 - sum(unexplained) / len(unexplained),
                "active": float((codes_TF > 0).sum(1).float().mean()),
                "alive": float(alive_F.float().mean()),
                "leaning_beyond_0.9": float((leaning_F[alive_F] > 0.9).sum()),
            },
            directions=Directions(bank) if rows else None,
        )


class BatchTopKCrosscoder(_Crosscoder):
    """Our own training with all latents shared and a decoder per model."""

    name = "BatchTopK crosscoder"

    def train(self, case: Case) -> Trained:
        ours = case.context.inputs.recipe.dfc
        kept = {"k", "steps", "batch", "learning_rate", "warmup", "decay", "decoder_norm"}
        kept |= {"k_initial_factor", "k_anneal", "aux_weight", "dead_after", "checkpoint_every"}
        config = StandardConfig(form="strict", shared=ours.latents, **ours.model_dump(include=kept))
        trained = train(
            case.states.base.x_TD,
            case.states.candidate.x_TD,
            config,
            seed=SEED,
            progress=case.context.steps(f"{self.name}: steps"),
            crosscoder=_alike,
        )
        return Trained(_dictionary(trained.model), trained.normalisation)


class L1Crosscoder(_Crosscoder):
    """The penalty's weight is led to as many active latents as BatchTopK has."""

    name = "L1 crosscoder"

    def train(self, case: Case) -> Trained:
        base_TD, candidate_TD = case.states.base.x_TD, case.states.candidate.x_TD
        norm = fit_normalisation(base_TD, candidate_TD, same_architecture=False)
        kept_T = ~(outliers(base_TD) | outliers(candidate_TD))
        both_ND = torch.cat([norm.candidate(candidate_TD[kept_T]), norm.base(base_TD[kept_T])], 1)
        dictionary = train_dictionary(
            both_ND,
            2,
            case.context.inputs.recipe.dfc,
            "l1",
            seed=SEED,
            progress=case.context.steps(f"{self.name}: steps"),
        )
        return Trained(dictionary, norm)


def relative_norm(dictionary: Dictionary) -> Tensor:
    """Per latent the candidate's part of its decoder norms [F], 0 to 1."""
    norms_FM = dictionary.norms()
    return norms_FM[:, 0] / norms_FM.sum(1)


def crosscoder_bank(trained: Trained, codes_TF: Tensor, rows: list[int], layer: int) -> FeatureBank:
    """Latents ``rows`` as features that read [candidate | base] and write into the candidate."""
    dictionary, norm = trained
    width = dictionary.width
    chosen = torch.tensor(rows, dtype=torch.long)
    encoder_KD = dictionary.encoder[chosen]
    encoder_KD = torch.cat(
        [encoder_KD[:, :width] / norm.candidate_scale, encoder_KD[:, width:] / norm.base_scale], 1
    )
    mean_D = torch.cat([norm.candidate_mean_D, norm.base_mean_D])
    decoder_KD = dictionary.decoder[chosen, :width] * norm.candidate_scale
    return FeatureBank(
        layer=layer,
        encoder_KD=encoder_KD,
        bias_K=dictionary.bias[chosen] - encoder_KD @ mean_D,
        threshold_K=dictionary.threshold / dictionary.norms().sum(1)[chosen],
        decoder_KD=candidate_only(decoder_KD),
        unit_K=natural_maximum(codes_TF[:, chosen]),
    )


def _alike(config: DfcConfig, d_base: int, d_candidate: int) -> Dfc:
    """Both models' weights equal at the start, as in the released crosscoders of model pairs."""
    model = Dfc(config, d_base, d_candidate)
    with torch.no_grad():
        model.encoder_candidate.copy_(model.encoder_base)
        model.decoder_candidate.copy_(model.decoder_base)
    return model


@torch.no_grad()
def _dictionary(model: Dfc) -> Dictionary:
    """The shared block alone, which is all there is."""
    latents, width = model.decoder_base.shape
    dictionary = Dictionary(latents, width, 2, 1.0)
    dictionary.encoder.copy_(torch.cat([model.encoder_candidate, model.encoder_base], dim=1))
    dictionary.decoder.copy_(torch.cat([model.decoder_candidate, model.decoder_base], dim=1))
    dictionary.bias.copy_(model.shared_bias)
    dictionary.output_bias.copy_(torch.cat([model.bias_candidate, model.bias_base]))
    dictionary.threshold.copy_(model.threshold[SHARED])
    return dictionary
