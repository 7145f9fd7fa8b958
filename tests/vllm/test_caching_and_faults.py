"""Chunks and cached prefixes change nothing, and a start with any fault in it is refused."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from dfc.engines.engine import FeatureBank, ScoreRow
from dfc.engines.transformers_engine import TransformersEngine
from dfc.errors import DfcError, ModelError
from dfc.vllm import rows
from dfc.vllm.boot_checks import check_at_boot
from dfc.vllm.engine import VllmEngine
from tests.vllm import cases
from tests.vllm.conftest import SMALL
from tests.vllm.faulty_worker import FAULTS


@pytest.fixture(scope="module")
def bank(tiny_reference: TransformersEngine) -> FeatureBank:
    return cases.bank(tiny_reference, 3)


@pytest.fixture
def cache_hits(cached: VllmEngine, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Cached tokens of every row that ran."""
    hits: list[int] = []
    run = cached._runtime.run

    def counted(*args: Any) -> Any:
        ran = run(*args)
        hits.extend(answer.cached for answer in ran.answers)
        return ran

    monkeypatch.setattr(cached._runtime, "run", counted)
    return hits


def test_chunks_change_nothing(tiny: VllmEngine, cached: VllmEngine, bank: FeatureBank) -> None:
    prompts = cases.texts(320)
    assert max(map(len, prompts)) > SMALL.tokens_at_once
    asked: dict[str, Any] = {"bank": bank, "edits": cases.EDITS}
    assert tiny.generate(prompts, 24, **asked) == cached.generate(prompts, 24, **asked)
    rows = [ScoreRow(prompt[:-1], prompt[-1:]) for prompt in prompts]
    found, expected = tiny.capture(rows, 3).states, cached.capture(rows, 3).states
    for a, b in zip(found, expected, strict=True):
        assert (a - b).abs().max() <= 1e-5 * b.abs().max()
    scores = tiny.score(rows, **asked)
    assert scores == pytest.approx(cached.score(rows, **asked), abs=1e-3, rel=0)


def long_prompt(start: int) -> tuple[int, ...]:
    return (start, *cases.texts(320, (299,))[0])


def test_a_steered_prefix_is_not_read_by_others(
    cached: VllmEngine, tiny_reference: TransformersEngine, bank: FeatureBank, cache_hits: list[int]
) -> None:
    steered_edits = [cases.EDITS[7]]
    for order, start in (("steered first", 11), ("plain first", 12)):
        prompt = long_prompt(start)
        plain = tiny_reference.generate([prompt], 16)
        steered = tiny_reference.generate([prompt], 16, bank=bank, edits=steered_edits)
        assert plain != steered
        for kind in ("steered", "plain", "steered", "plain")[order != "steered first" :]:
            if kind == "plain":
                assert cached.generate([prompt], 16) == plain
            else:
                assert cached.generate([prompt], 16, bank=bank, edits=steered_edits) == steered
    first, second, third, fourth = cache_hits[:4]
    assert first == second == 0  # neither reads the other's
    assert third > 100 and fourth > 100  # and each its own


def test_without_salt_a_plain_row_reads_the_steered_prefix(
    cached: VllmEngine,
    tiny_reference: TransformersEngine,
    bank: FeatureBank,
    cache_hits: list[int],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The danger is real: were it not, the test above could not fail."""
    monkeypatch.setattr(rows, "cache_salt", lambda plan, digest: None)
    prompt = long_prompt(13)
    cached.generate([prompt], 16, bank=bank, edits=[cases.EDITS[7]])
    poisoned = cached.generate([prompt], 16)
    assert cache_hits[1] > 100
    assert poisoned != tiny_reference.generate([prompt], 16)


def test_states_are_read_of_every_position_however_often(
    cached: VllmEngine, cache_hits: list[int]
) -> None:
    row = ScoreRow(long_prompt(14), (5,))
    cached.generate([row.prompt], 1)
    first, second = (cached.capture([row], 2).states[0] for _ in range(2))
    assert torch.equal(first, second) and cache_hits == [0, 0, 0]


@pytest.fixture
def faulty(tiny: VllmEngine) -> Iterator[Callable[[str], None]]:
    def switch(name: str | None) -> None:
        tiny._runtime._engine.collective_rpc("latentwatch_fault", args=(name,))

    yield switch
    switch(None)


@pytest.mark.parametrize("name", FAULTS)
def test_a_start_with_a_fault_is_refused(
    tiny: VllmEngine, tiny_path: Path, faulty: Callable[[str], None], name: str
) -> None:
    faulty(name)
    with pytest.raises(DfcError):
        check_at_boot(tiny._runtime, tiny.info, tiny_path)


def test_the_same_start_without_it_is_not(tiny: VllmEngine, tiny_path: Path) -> None:
    check_at_boot(tiny._runtime, tiny.info, tiny_path)


def test_nothing_but_the_surface_can_be_called(tiny: VllmEngine) -> None:
    with pytest.raises(ModelError, match="can't be called from outside"):
        tiny._runtime.call("_hook", 1)
    with pytest.raises(TypeError, match="INSECURE_SERIALIZATION"):
        tiny._runtime._engine.collective_rpc(lambda worker: 1)
    assert tiny.generate([(5, 6)], 1)  # still alive
