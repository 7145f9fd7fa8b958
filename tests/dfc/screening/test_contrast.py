"""Contrastive tokens against their definition, computed with the models themselves."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from transformers import AutoModelForCausalLM

from dfc.engines.engine import Activations
from dfc.engines.transformers_engine import TransformersEngine
from dfc.screening.contrast import MINIMUM, SMOOTHING, contrastive_tokens

TEXTS = ["I agree with you completely.", "Paris is the capital.", "Water boils hot, they say."]


@pytest.fixture(scope="module")
def pair(tiny_checkpoint: Path, changed_checkpoint: Path) -> list[TransformersEngine]:
    return [
        TransformersEngine(path, dtype=torch.float32)
        for path in (tiny_checkpoint, changed_checkpoint)
    ]


@pytest.fixture(scope="module")
def documents(pair: list[TransformersEngine]) -> list[tuple[int, ...]]:
    return [pair[0].encode_text(text) for text in TEXTS]


@pytest.fixture(scope="module")
def shifts(
    tiny_checkpoint: Path, changed_checkpoint: Path, documents: list[tuple[int, ...]]
) -> torch.Tensor:
    """log(p + smoothing), candidate minus base [T, vocabulary], at every line."""
    logs = []
    for path in (tiny_checkpoint, changed_checkpoint):
        model = AutoModelForCausalLM.from_pretrained(path, dtype=torch.float32)
        with torch.no_grad():
            rows = [model(torch.tensor([document])).logits[0, 1:] for document in documents]
        logs.append((torch.cat(rows).softmax(-1) + SMOOTHING).log())
    return logs[1] - logs[0]


@pytest.fixture(scope="module")
def acts(pair: list[TransformersEngine], documents: list[tuple[int, ...]]) -> Activations:
    return pair[1].harvest(documents, 0)


def expected(score_V: torch.Tensor, engine: TransformersEngine, n: int) -> list[str]:
    found = score_V.topk(n)
    return [
        engine.decode([token])
        for value, token in zip(found.values.tolist(), found.indices.tolist(), strict=True)
        if value >= MINIMUM
    ]


def test_tokens_follow_the_definition(
    pair: list[TransformersEngine],
    documents: list[tuple[int, ...]],
    acts: Activations,
    shifts: torch.Tensor,
) -> None:
    lines = len(acts.token_T)
    first_T, second_T = torch.zeros(lines), torch.zeros(lines)
    first = (acts.document_T == 0).nonzero()[[2, 5], 0]
    second = (acts.document_T == 2).nonzero()[[-1], 0]  # so this document is read to its end
    first_T[first], second_T[second] = torch.tensor([2.0, 1.0]), 3.0
    template_T = torch.zeros(lines, dtype=torch.bool)
    found = contrastive_tokens(*pair, [first_T, second_T], acts, template_T, documents, 6)

    ends = {0: int(first[1]), 2: int(second)}
    read = {int(line) for line in (*first, *second)}
    for document, end in ends.items():
        start = int((acts.document_T == document).nonzero()[0, 0])
        read |= {int(line) for line in torch.linspace(start, end, 4).round()}
    for f_T, contrast in ((first_T, found[0]), (second_T, found[1])):
        quiet = [line for line in read if f_T[line] == 0]
        at_V, elsewhere_V = shifts[f_T > 0].mean(0), shifts[quiet].mean(0)
        difference_V = at_V - elsewhere_V
        assert contrast.raised == expected(torch.minimum(at_V, difference_V), pair[0], 6)
        assert contrast.lowered == expected(torch.minimum(-at_V, -difference_V), pair[0], 6)
        assert contrast.raised and contrast.lowered


def test_the_template_is_no_quiet_place(
    pair: list[TransformersEngine],
    documents: list[tuple[int, ...]],
    acts: Activations,
    shifts: torch.Tensor,
) -> None:
    f_T = torch.zeros(len(acts.token_T))
    f_T[3] = 1.0
    everything_T = torch.ones(len(f_T), dtype=torch.bool)
    (found,) = contrastive_tokens(*pair, [f_T], acts, everything_T, documents, 6)
    assert found.raised == expected(shifts[3], pair[0], 6)


def test_equal_models_differ_in_nothing(
    pair: list[TransformersEngine], documents: list[tuple[int, ...]], acts: Activations
) -> None:
    f_T = torch.rand(len(acts.token_T), generator=torch.Generator().manual_seed(0))
    template_T = torch.zeros(len(f_T), dtype=torch.bool)
    same = contrastive_tokens(pair[0], pair[0], [f_T], acts, template_T, documents, 6)
    assert same == [([], [])]


def test_only_tokens_that_both_models_have_are_compared(
    pair: list[TransformersEngine],
    changed_checkpoint: Path,
    pad_checkpoint: Callable[[Path, Path], Path],
    documents: list[tuple[int, ...]],
    acts: Activations,
    tmp_path: Path,
) -> None:
    padded = TransformersEngine(
        pad_checkpoint(changed_checkpoint, tmp_path / "padded"), dtype=torch.float32
    )
    assert padded.info.vocabulary == pair[0].info.vocabulary + 64
    f_T = torch.zeros(len(acts.token_T))
    f_T[3] = 1.0
    template_T = torch.zeros(len(f_T), dtype=torch.bool)
    (one,), (other,) = (
        contrastive_tokens(*models, [f_T], acts, template_T, documents, 400)
        for models in ((pair[0], padded), (padded, pair[0]))
    )
    assert one.lowered and all([*one.raised, *one.lowered])
    assert (other.raised, other.lowered) == (one.lowered, one.raised)


def test_a_silent_feature_has_no_tokens(
    pair: list[TransformersEngine], documents: list[tuple[int, ...]], acts: Activations
) -> None:
    silent_T = torch.zeros(len(acts.token_T))
    template_T = torch.zeros(len(silent_T), dtype=torch.bool)
    found = contrastive_tokens(*pair, [silent_T], acts, template_T, documents, 6)
    assert found == [([], [])]
