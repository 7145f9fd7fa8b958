"""A model that does not run as its states say is refused at start, whatever is wrong with it."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from dfc.errors import DfcError
from dfc.vllm import engine as module
from dfc.vllm.edit_table import EditTable
from dfc.vllm.engine import VllmEngine
from dfc.vllm.instrument import Instrument
from dfc.vllm.plans import Plan, Segment, Step
from dfc.vllm.residual import Convention
from dfc.vllm.settings import VllmSettings
from tests.dfc.one_by_one import OneByOne


class Unhooked(OneByOne):
    """As a compiled model that was loaded from a cache: nothing that is asked happens."""

    def step(self, plan: Plan, n_tokens: int) -> Step:
        return Step()


class Unedited(OneByOne):
    """States are read, edits are lost."""

    def step(self, plan: Plan, n_tokens: int) -> Step:
        return super().step(plan._replace(edits=()), n_tokens)


class UneditedDecoding(OneByOne):
    """Edits are lost as soon as tokens are written, as in a captured graph."""

    def step(self, plan: Plan, n_tokens: int) -> Step:
        prompt = min(n_tokens, 12)
        return Step((Segment(plan, 0, prompt, 0), Segment(None, prompt, n_tokens, prompt)))


class EditedFirst(OneByOne):
    """Every step is taken to begin at some later position, so that position 0 is edited."""

    def step(self, plan: Plan, n_tokens: int) -> Step:
        if not plan.edits:
            return super().step(plan, n_tokens)
        return Step((Segment(plan, 0, n_tokens, 1),))


class Shifted(OneByOne):
    """Rows begin one line too late."""

    def step(self, plan: Plan, n_tokens: int) -> Step:
        return Step((Segment(plan, 1, n_tokens, 0),))


FAULTS = [Unhooked, Unedited, UneditedDecoding, EditedFirst, Shifted]


def start(path: Path, kind: type[OneByOne]) -> OneByOne:
    runtimes: list[OneByOne] = []

    def opened(*args: Any) -> OneByOne:
        runtimes.append(kind(*args))
        return runtimes[0]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "LocalRuntime", opened)
        try:
            VllmEngine(path, torch.float32, VllmSettings())
        except DfcError:
            assert runtimes[0].closed
            raise
    return runtimes[0]


def test_a_sound_model_starts(tiny_checkpoint: Path) -> None:
    assert not start(tiny_checkpoint, OneByOne).closed


@pytest.mark.parametrize("kind", FAULTS, ids=lambda kind: kind.__name__)
def test_faults_of_the_runner_are_found(tiny_checkpoint: Path, kind: type[OneByOne]) -> None:
    with pytest.raises(DfcError):
        start(tiny_checkpoint, kind)


def _doubled(self: Convention, output: Any) -> Tensor:
    return 2 * output.reshape(-1, output.shape[-1])


def _too_weak(original: Callable[..., Tensor]) -> Callable[..., Tensor]:
    return lambda self, x_TD: 0.98 * original(self, x_TD)


@pytest.mark.parametrize(
    ("owner", "name", "fault"),
    [
        (Convention, "read", _doubled),
        (Convention, "add", lambda self, output, delta_TD: output),
        (Convention, "replace", lambda self, output, lines_N, x_ND: output),
        (EditTable, "delta", _too_weak(EditTable.delta)),
        (Instrument, "_count", lambda self, editing: None),
    ],
    ids=["states read twice", "edits dropped", "patches dropped", "edits too weak", "not counted"],
)
def test_faults_of_the_hooks_are_found(
    tiny_checkpoint: Path, monkeypatch: pytest.MonkeyPatch, owner: type, name: str, fault: Any
) -> None:
    monkeypatch.setattr(owner, name, fault)
    with pytest.raises(DfcError):
        start(tiny_checkpoint, OneByOne)


def test_another_scale_than_that_of_transformers_is_found(
    tiny_checkpoint: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Reading half and writing double is consistent with itself: the final norm forgives it."""
    read, add, replace = Convention.read, Convention.add, Convention.replace
    monkeypatch.setattr(Convention, "read", lambda self, output: read(self, output) / 2)
    monkeypatch.setattr(Convention, "add", lambda self, output, d: add(self, output, 2 * d))
    monkeypatch.setattr(
        Convention, "replace", lambda self, output, n, x: replace(self, output, n, 2 * x)
    )
    with pytest.raises(DfcError, match="block 0 beside transformers"):
        start(tiny_checkpoint, OneByOne)
