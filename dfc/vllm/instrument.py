"""Hooks on the blocks of a model that read and change its residual stream as each row's plan says.

Knows torch alone. Whoever runs the model says with ``begin`` which rows lie where in the next
batch. At one layer states are replaced first, then edited, then recorded.
"""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from dfc.errors import InputError
from dfc.vllm.edit_table import EditTable
from dfc.vllm.plans import Segment, Step
from dfc.vllm.recorder import Recorder
from dfc.vllm.residual import Convention, convention_of, find_blocks
from dfc.vllm.wire import from_bytes, to_bytes

NOTHING = Step()
SURFACE = frozenset(
    {"load_bank", "load_states", "take_states", "take_reached", "unembed", "conventions"}
)
"""Methods that another process may call."""


class Instrument:
    """One model's hooks. ``records`` is false where another process keeps the states, since all
    ranks of a tensor-parallel model see the same ones."""

    def __init__(self, model: nn.Module, n_layers: int, d_model: int, *, records: bool) -> None:
        self._model = model
        self._decoder, self._blocks = find_blocks(model, n_layers)
        self._d_model = d_model
        self._records = records
        self._device = next(model.parameters()).device
        self._edits = EditTable(d_model, self._device)
        self._recorder = Recorder()
        self._loaded: dict[int, Tensor] = {}
        self._reached: dict[int, int] = {}
        self._step = NOTHING
        self._after: list[str] = []
        self._passed = False
        self._watching: list[RemovableHandle] = []
        for layer, block in enumerate(self._blocks):
            block.register_forward_hook(self._hook(layer, convention_of(block)))
        self._watch_order()

    def begin(self, step: Step) -> None:
        """The next forward pass runs these rows."""
        self._step = step
        editing = step.editing()
        if editing:
            self._edits.fill(editing[-1].stop, editing)

    def end(self) -> None:
        """The pass is over; whatever runs without a ``begin`` is left alone."""
        self._step = NOTHING
        if self._passed:
            for handle in self._watching:
                handle.remove()
            self._watching = []

    # What the engine calls, from another process: numbers, text and bytes only.

    def load_bank(self, layer: int, parts: Sequence[Sequence[Any]]) -> None:
        """Exchange the features that plans name by number."""
        self._edits.load(layer, [from_bytes(*part) for part in parts])

    def load_states(self, row: int, *packed: Any) -> None:
        """States of ``row``, which its plan puts in place of the model's own."""
        self._loaded[row] = from_bytes(*packed)

    def take_states(self) -> list[list[Any]]:
        """All recorded states as [row, layer, packed]."""
        return [
            [row, layer, list(to_bytes(x))] for (row, layer), x in self._recorder.take().items()
        ]

    def take_reached(self) -> list[list[int]]:
        """[row, positions that its edits reached]; forgotten thereafter, as are loaded states."""
        taken, self._reached, self._loaded = self._reached, {}, {}
        return [[row, last] for row, last in taken.items()]

    @torch.inference_mode()
    def unembed(self, *packed: Any) -> list[Any] | None:
        """Logits, float32, of states after the last block; None where another rank has them."""
        weight = next(self._model.parameters())
        x_ND = from_bytes(*packed).to(self._device, weight.dtype)
        for name in self._after:
            x_ND = getattr(self._decoder, name)(x_ND)
        logits_NV = self._model.compute_logits(x_ND)  # type: ignore[operator]
        return None if logits_NV is None else list(to_bytes(logits_NV.float()))

    def conventions(self) -> list[bool]:
        """Per block whether its stream is the sum of two outputs."""
        return [convention_of(block).summed for block in self._blocks]

    def _hook(self, layer: int, convention: Convention) -> Callable[..., Any]:
        def hook(block: nn.Module, args: tuple[Any, ...], output: Any) -> Any:
            step = self._step
            patching, recording = step.patching(layer), step.recording(layer)
            editing = step.editing() if layer == self._edits.layer else []
            for segment in patching:
                output = self._patched(convention, output, segment)
            if editing:
                output = convention.add(output, self._edits.delta(convention.read(output)))
                self._count(editing)
            if recording and self._records:
                x_TD = convention.read(output).cpu()
                for segment in recording:
                    self._record(segment, layer, x_TD)
            return output

        return hook

    def _patched(self, convention: Convention, output: Any, segment: Segment) -> Any:
        assert segment.plan is not None
        if segment.plan.row not in self._loaded:
            raise InputError(
                f"no states were loaded for row {segment.plan.row}, whose plan asks so"
            )
        lines, positions = segment.within_length()
        x_ND = self._loaded[segment.plan.row][positions]
        if len(x_ND) != lines.stop - lines.start:
            raise InputError(
                f"row {segment.plan.row} patches {segment.plan.length} positions and loaded "
                f"states of {len(self._loaded[segment.plan.row])}"
            )
        lines_N = torch.arange(lines.start, lines.stop, device=self._device)
        return convention.replace(output, lines_N, x_ND.to(self._device))

    def _record(self, segment: Segment, layer: int, x_TD: Tensor) -> None:
        assert segment.plan is not None
        lines, positions = segment.within_length()
        plan = segment.plan
        self._recorder.keep(plan.row, layer, plan.length, positions, x_TD[lines])

    def _count(self, editing: Sequence[Segment]) -> None:
        """Position 0 is not edited, so the last position is the number of those that were."""
        for segment in editing:
            assert segment.plan is not None
            last = segment.position + segment.stop - segment.start - 1
            row = segment.plan.row
            self._reached[row] = max(self._reached.get(row, 0), last)

    def _watch_order(self) -> None:
        """Learn from the first passes what the decoder runs after its blocks: the final norm."""

        def last_block(*ignored: Any) -> None:
            self._after = []
            self._passed = True

        def note(name: str) -> Callable[..., None]:
            def noted(*ignored: Any) -> None:
                if self._passed:
                    self._after.append(name)

            return noted

        self._watching = [self._blocks[-1].register_forward_hook(last_block)]
        self._watching += [
            child.register_forward_hook(note(name))
            for name, child in self._decoder.named_children()
            if not isinstance(child, nn.ModuleList)
        ]
