"""Divergence of next-token distributions equals the definition on full logits."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

import dfc.divergence
from dfc.divergence import token_divergence
from dfc.errors import InputError
from dfc.transformers_engine import TransformersEngine
from tests.dfc import naive

DOCUMENTS = [(5, 6, 7), tuple(range(10, 40)), (77,), tuple(range(60, 75))]


def test_divergence_equals_the_definition(
    engine: TransformersEngine,
    candidate_engine: TransformersEngine,
    tiny_checkpoint: Path,
    changed_checkpoint: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(dfc.divergence, "TOKENS_AT_ONCE", 40)
    monkeypatch.setattr(dfc.divergence, "POSITIONS_AT_ONCE", 7)
    base, candidate = naive.load(tiny_checkpoint), naive.load(changed_checkpoint)
    seen: list[tuple[int, int]] = []
    found = token_divergence(
        engine, candidate_engine, DOCUMENTS, lambda done, total: seen.append((done, total))
    )
    for document, kl_T in zip(DOCUMENTS, found, strict=True):
        log_p = naive.logits(candidate, document).double().log_softmax(-1)
        log_q = naive.logits(base, document).double().log_softmax(-1)
        expected = (log_p.exp() * (log_p - log_q)).sum(-1).float()
        torch.testing.assert_close(kl_T, expected, rtol=1e-3, atol=1e-4)
        assert kl_T.max() > 0.05
    assert seen[-1] == (4, 4)


def test_a_model_does_not_diverge_from_itself(engine: TransformersEngine) -> None:
    assert all((kl_T == 0).all() for kl_T in token_divergence(engine, engine, DOCUMENTS))


def test_padded_embeddings_are_left_out(
    engine: TransformersEngine, make_checkpoint: Callable[..., Path], tmp_path: Path
) -> None:
    padded = TransformersEngine(make_checkpoint(tmp_path, vocab_size=352), dtype=torch.float32)
    assert [len(kl_T) for kl_T in token_divergence(engine, padded, DOCUMENTS)] == [3, 30, 1, 15]


def test_different_tokenizers_are_refused(
    engine: TransformersEngine, make_checkpoint: Callable[..., Path], tmp_path: Path
) -> None:
    path = make_checkpoint(tmp_path)
    content = (path / "tokenizer.json").read_text()
    (path / "tokenizer.json").write_text(content.replace('"Ā"', '"Ȁ"'))
    other = TransformersEngine(path, dtype=torch.float32)
    with pytest.raises(InputError, match="different tokenizers"):
        token_divergence(engine, other, DOCUMENTS)
