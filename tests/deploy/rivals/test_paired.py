"""Edits that read both models, on real tiny checkpoints."""

from pathlib import Path

import pytest
import torch

from alerts.causes.mediation import ablate
from deploy.bench.rivals.difference_lens import constant_bank
from deploy.bench.rivals.paired import PairedEngine, candidate_only
from dfc.engines.engine import Edit, FeatureBank, ScoreRow
from dfc.engines.scoring import StateReplay
from dfc.engines.transformers_engine import TransformersEngine
from dfc.screening.firing import firing

LAYER, WIDTH = 2, 32


@pytest.fixture(scope="module")
def engines(
    tiny_checkpoint: Path, changed_checkpoint: Path
) -> tuple[TransformersEngine, TransformersEngine]:
    return TransformersEngine(tiny_checkpoint), TransformersEngine(changed_checkpoint)


@pytest.fixture(scope="module")
def rows(engines: tuple[TransformersEngine, TransformersEngine]) -> list[ScoreRow]:
    encode = engines[0].encode_text
    prompts = ["What do you think about my plan?", "The capital of France is"]
    return [
        ScoreRow(encode(prompt), encode(answer))
        for prompt in prompts
        for answer in ("You are right.", "I do not think that is correct.")
    ]


def difference_bank() -> FeatureBank:
    """The positive and the negative part of every dimension of candidate minus base."""
    unit_DD = torch.eye(WIDTH)
    signed_KD = torch.cat([unit_DD, -unit_DD])
    none_K = torch.zeros(2 * WIDTH)
    encoder_KD = torch.cat([signed_KD, -signed_KD], dim=1)
    return FeatureBank(LAYER, encoder_KD, none_K, none_K, candidate_only(signed_KD), none_K + 1)


def test_a_bank_that_ignores_the_base_edits_as_an_engine_does(
    engines: tuple[TransformersEngine, TransformersEngine], rows: list[ScoreRow]
) -> None:
    base, candidate = engines
    torch.manual_seed(0)
    encoder_KD, decoder_KD = torch.randn(2, 3, WIDTH)
    plain = FeatureBank(LAYER, encoder_KD, *torch.zeros(2, 3), decoder_KD, torch.ones(3))
    both = plain._replace(
        encoder_KD=torch.cat([encoder_KD, torch.zeros(3, WIDTH)], dim=1),
        decoder_KD=candidate_only(decoder_KD),
    )
    edits = [Edit(0, gain=-1.0), Edit(2, gain=0.5, offset=0.2)]
    paired = PairedEngine(candidate, base)
    got = paired.score_from(paired.capture(rows, LAYER), bank=both, edits=edits)
    wanted = candidate.score_from(candidate.capture(rows, LAYER), bank=plain, edits=edits)
    assert got == pytest.approx(wanted, abs=1e-6)
    assert got != pytest.approx(candidate.score(rows), abs=1e-3)


def test_taking_the_whole_difference_away_is_the_base_s_state_after_the_first_position(
    engines: tuple[TransformersEngine, TransformersEngine], rows: list[ScoreRow]
) -> None:
    base, candidate = engines
    paired = PairedEngine(candidate, base)
    bank = difference_bank()
    got = paired.score_from(
        paired.capture(rows, LAYER), bank=bank, edits=ablate(range(len(bank.bias_K)))
    )
    own, other = candidate.capture(rows, LAYER), base.capture(rows, LAYER)
    patched = tuple(
        mine._replace(x_BTD=torch.where(mine.batch.editable()[..., None], theirs.x_BTD, mine.x_BTD))
        for mine, theirs in zip(own.batches, other.batches, strict=True)
    )
    wanted = candidate.score_from(StateReplay(LAYER, tuple(rows), patched))
    assert got == pytest.approx(wanted, abs=1e-4)


def test_in_the_base_itself_there_is_no_difference_to_take_away(
    engines: tuple[TransformersEngine, TransformersEngine], rows: list[ScoreRow]
) -> None:
    base, _ = engines
    paired = PairedEngine(base, base)
    bank = difference_bank()
    edits = ablate(range(len(bank.bias_K)))
    got = paired.score_from(paired.capture(rows, LAYER), bank=bank, edits=edits)
    assert got == pytest.approx(base.score_from(base.capture(rows, LAYER)), abs=1e-6)


def test_a_constant_direction_is_taken_away_as_it_is(
    engines: tuple[TransformersEngine, TransformersEngine], rows: list[ScoreRow]
) -> None:
    base, candidate = engines
    direction_D = torch.linspace(-1, 1, WIDTH)
    paired = PairedEngine(candidate, base)
    replay = paired.capture(rows, LAYER)
    got = paired.score_from(
        replay, bank=constant_bank(direction_D[None], LAYER), edits=[Edit(0, gain=-1.0)]
    )
    plain = FeatureBank(
        LAYER, torch.zeros(1, WIDTH), *torch.zeros(2, 1), direction_D[None], torch.ones(1)
    )
    wanted = candidate.score_from(
        candidate.capture(rows, LAYER), bank=plain, edits=[Edit(0, offset=-1.0)]
    )
    assert got == pytest.approx(wanted, abs=1e-5)


def test_its_gradients_are_the_candidate_s_and_its_states_both_models(
    engines: tuple[TransformersEngine, TransformersEngine], rows: list[ScoreRow]
) -> None:
    base, candidate = engines
    bank, weights = difference_bank(), [1.0, -1.0, 0.5, -0.5]
    models = (PairedEngine(base, base), PairedEngine(candidate, base))
    found = models[1].gradients_between(*(one.capture(rows, LAYER) for one in models), weights)
    plain = candidate.gradients_between(
        base.capture(rows, LAYER), candidate.capture(rows, LAYER), weights
    )
    assert torch.equal(found.gradient_ND, candidate_only(plain.gradient_ND))
    # Where the base's half were not the base's, the features would not fire by the difference.
    written_ND = firing(bank, range(2 * WIDTH), found.second_ND) @ bank.decoder_KD
    assert torch.allclose(written_ND, candidate_only(plain.difference_ND), atol=1e-5)
    assert plain.difference_ND.abs().max() > 0.1
