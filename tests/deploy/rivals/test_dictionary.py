"""Dictionaries of the literature, on states whose directions are known."""

import pytest
import torch
from torch import Tensor

from deploy.bench.rivals.crosscoders import relative_norm
from deploy.bench.rivals.dictionary import train_dictionary
from deploy.bench.rivals.difference_sae import difference_bank, explained_energy
from dfc.crosscoder.config import DfcConfig

WIDTH, TOKENS, CONCEPTS = 16, 4000, 8
CONFIG = DfcConfig(
    shared=30, base_exclusive=1, candidate_exclusive=1, k=2, k_exclusive=1, steps=300, batch=256
)


@pytest.fixture(scope="module")
def states() -> tuple[Tensor, Tensor, Tensor]:
    """Base and candidate states [T, d] of sparse common concepts, and the direction [d] that the
    candidate alone adds on one token in five."""
    generator = torch.Generator().manual_seed(0)
    directions, _ = torch.linalg.qr(torch.randn(WIDTH, WIDTH, generator=generator))
    codes = torch.rand(TOKENS, CONCEPTS, generator=generator)
    codes = 4 * codes * (torch.rand(TOKENS, CONCEPTS, generator=generator) < 0.2)
    base_TD = codes @ directions[:CONCEPTS]
    fires_T1 = torch.rand(TOKENS, 1, generator=generator) < 0.2
    new_D = directions[CONCEPTS]
    return base_TD, base_TD + 4 * fires_T1 * new_D, new_D


def test_a_penalty_per_model_gives_a_latent_of_the_candidate_alone(
    states: tuple[Tensor, Tensor, Tensor],
) -> None:
    base_TD, candidate_TD, new_D = states
    both_TD = torch.cat([candidate_TD, base_TD], dim=1)
    dictionary = train_dictionary(both_TD, 2, CONFIG, "l1", seed=0)
    with torch.no_grad():
        codes_TF = dictionary.codes(both_TD)
        leaning_F = relative_norm(dictionary)
    firing = (codes_TF > 0).float().mean(0) > 0.01
    best = int(torch.where(firing, leaning_F, 0.0).argmax())
    written_D = dictionary.decoder[best, :WIDTH].detach()
    assert leaning_F[best] > 0.8
    assert torch.cosine_similarity(written_D, new_D, dim=0) > 0.9
    active = (codes_TF > 0).sum(1).float().mean()
    assert CONFIG.k / 2 < active < 3 * CONFIG.k


def test_a_dictionary_on_the_difference_finds_what_was_added(
    states: tuple[Tensor, Tensor, Tensor],
) -> None:
    base_TD, candidate_TD, _ = states
    x_TD = candidate_TD - base_TD
    dictionary = train_dictionary(x_TD, 1, CONFIG, "batch_topk", seed=0)
    with torch.no_grad():
        codes_TF = dictionary.codes(x_TD)
        rows = explained_energy(dictionary, codes_TF, x_TD).argsort(descending=True)[:8]
        bank = difference_bank(dictionary, 1.0, codes_TF, rows, layer=1)
        # The bank reads the difference out of both states, as the dictionary did.
        both_TD = torch.cat([candidate_TD, base_TD], dim=1)
        p_TK = torch.relu(both_TD @ bank.encoder_KD.T + bank.bias_K)
        f_TK = p_TK * (p_TK > bank.threshold_K)
        left_TD = both_TD - f_TK @ bank.decoder_KD
    assert torch.allclose(f_TK, codes_TF[:, rows], atol=1e-4)
    assert (left_TD[:, WIDTH:] == base_TD).all()
    assert (left_TD[:, :WIDTH] - base_TD).pow(2).sum() < 0.1 * x_TD.pow(2).sum()
