"""vLLM and transformers in float32: the same states, scores and words, under any edit.

Runs with ``make test-vllm``.
"""

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest
import torch
from torch import Tensor

from dfc.engines.engine import Edit, FeatureBank, ScoreRow
from dfc.engines.transformers_engine import TransformersEngine
from dfc.vllm.engine import VllmEngine
from tests.dfc import naive
from tests.vllm import cases

ROUNDING = 8
"""An engine may be so many times as far from float64 as transformers itself is in float32, where
that is more than 1e-5: on some texts a model multiplies what float32 rounds."""


class Both(NamedTuple):
    """One model in both engines."""

    path: Path
    vllm: VllmEngine
    reference: TransformersEngine
    bank: FeatureBank


@pytest.fixture(scope="module", params=["tiny", "real"])
def both(request: pytest.FixtureRequest) -> Both:
    named: Callable[[str], Path] = request.getfixturevalue
    path, vllm = named(f"{request.param}_path"), named(request.param)
    reference = named(f"{request.param}_reference")
    assert isinstance(vllm, VllmEngine) and isinstance(reference, TransformersEngine)
    return Both(path, vllm, reference, cases.bank(reference, reference.info.n_layers // 2))


def test_info_is_equal(both: Both) -> None:
    assert both.vllm.info == both.reference.info


def test_states_are_equal_at_the_first_the_middle_and_the_last_layer(both: Both) -> None:
    model, exact = naive.load(both.path), cases.in_float64(naive.load(both.path))
    tokens = cases.texts(both.reference.tokenizer.size)
    rows = [ScoreRow(text[:-1], text[-1:]) for text in tokens]
    for layer in (0, both.bank.layer, both.vllm.info.n_layers - 1):
        captured = both.vllm.capture(rows, layer)
        for text, x_TD in zip(tokens, captured.states, strict=True):
            plain_TD, exact_TD = (cases.states(m, text[:-1], layer) for m in (model, exact))
            assert x_TD.shape == exact_TD.shape
            bound = max(1e-5, ROUNDING * _distance(plain_TD, exact_TD))
            assert _distance(x_TD, exact_TD) <= bound


def _distance(x_TD: Tensor, exact_TD: Tensor) -> float:
    """Largest difference, as a part of the largest number."""
    return ((x_TD - exact_TD).abs().max() / exact_TD.abs().max()).item()


def test_harvest_is_equal(both: Both) -> None:
    tokens = cases.texts(both.reference.tokenizer.size)
    found = both.vllm.harvest(tokens, both.bank.layer)
    expected = both.reference.harvest(tokens, both.bank.layer)
    assert all(torch.equal(a, b) for a, b in zip(found[1:], expected[1:], strict=True))
    cases.expect_equal_in_bfloat16(found.x_TD, expected.x_TD)


def test_words_are_equal_under_eight_kinds_of_edit_in_one_batch(both: Both) -> None:
    prompts = cases.texts(both.reference.tokenizer.size)
    asked = {"bank": both.bank, "edits": cases.EDITS}
    found = both.vllm.generate(prompts, 24, **asked)  # type: ignore[arg-type]
    assert found == both.reference.generate(prompts, 24, **asked)  # type: ignore[arg-type]
    assert both.vllm.n_steered_positions == both.reference.n_steered_positions
    plain = both.reference.generate(prompts, 24)
    assert both.vllm.generate(prompts, 24) == plain
    changed = [a != b for a, b in zip(found, plain, strict=True)]
    assert not changed[0] and sum(changed) >= 5


def test_scores_are_equal_under_eight_kinds_of_edit_in_one_batch(both: Both) -> None:
    rows = cases.rows(both.reference.tokenizer.size)
    expected = both.reference.score(rows, bank=both.bank, edits=cases.EDITS)
    found = both.vllm.score(rows, bank=both.bank, edits=cases.EDITS)
    assert found == pytest.approx(expected, abs=1e-3, rel=0)
    plain = both.vllm.score(rows)
    assert plain == pytest.approx(both.reference.score(rows), abs=1e-3, rel=0)
    moved = [abs(a - b) for a, b in zip(found, plain, strict=True)]
    assert moved[0] <= 1e-4 and sum(m > 0.05 for m in moved) >= 5


def test_hundreds_of_combinations_share_a_batch(both: Both) -> None:
    prompts = cases.texts(both.reference.tokenizer.size, (6, 9, 13))
    combined = [
        (prompt, [Edit(feature, offset=strength)])
        for prompt in prompts
        for feature in range(8)
        for strength in (-1.5, -1.0, -0.75, -0.5, -0.25, 0.25, 0.5, 0.75, 1.0, 1.5)
    ]
    asked = {"bank": both.bank, "edits": [edits for _, edits in combined]}
    rows = [prompt for prompt, _ in combined]
    found = both.vllm.generate(rows, 3, **asked)  # type: ignore[arg-type]
    assert found == both.reference.generate(rows, 3, **asked)  # type: ignore[arg-type]
    assert len(set(found)) > 30


def test_a_row_alone_is_the_row_among_others(both: Both) -> None:
    prompts = cases.texts(both.reference.tokenizer.size) * 4
    edits = cases.EDITS * 4
    scored = [ScoreRow(prompt[:-1], prompt[-1:]) for prompt in prompts]
    among = both.vllm.generate(prompts, 8, bank=both.bank, edits=edits)
    scores = both.vllm.score(scored, bank=both.bank, edits=edits)
    for row in (4, 15):
        alone = {"bank": both.bank, "edits": [edits[row]]}
        assert both.vllm.generate([prompts[row]], 8, **alone) == [among[row]]  # type: ignore[arg-type]
        [score] = both.vllm.score([scored[row]], **alone)  # type: ignore[arg-type]
        assert score == pytest.approx(scores[row], abs=1e-3, rel=0)


def test_unembedding_is_equal(both: Both) -> None:
    x_ND = both.reference.harvest([cases.texts(300)[3]], both.vllm.info.n_layers - 1).x_TD.float()
    found, expected = both.vllm.unembed(x_ND), both.reference.unembed(x_ND)
    assert found.shape == expected.shape
    assert (found - expected).abs().max() <= 1e-4 * expected.abs().max()


def test_states_of_another_text_are_patched_in(both: Both) -> None:
    """As those of another model: what the blocks above say is what they say of these states."""
    rows = cases.rows(both.reference.tokenizer.size)
    layer = both.bank.layer
    others = [row._replace(prompt=row.prompt[::-1]) for row in rows]
    captured = both.vllm.capture(others, layer)
    as_others = type(captured)(layer, tuple(rows), "another model", captured.states)
    for edits in ([], cases.EDITS[6]):
        expected = both.reference.score_from(
            both.reference.capture(others, layer), bank=both.bank, edits=edits
        )
        found = both.vllm.score_from(as_others, bank=both.bank, edits=edits)
        assert found == pytest.approx(expected, abs=1e-3, rel=0)


def test_samples_are_equal(both: Both) -> None:
    prompts = cases.texts(both.reference.tokenizer.size)
    sampled = both.vllm.generate(prompts, 12, temperature=1.0, seed=4)
    assert sampled == both.reference.generate(prompts, 12, temperature=1.0, seed=4)
    assert both.vllm.generate(prompts[:2], 12, temperature=1.0, seed=4) == sampled[:2]
    assert both.vllm.generate(prompts, 12, temperature=1.0, seed=5) != sampled
