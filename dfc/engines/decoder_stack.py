"""A causal model from transformers taken apart: its lower blocks, its upper blocks, its head.

The parts share the model's weights and reuse the model's own forward code, so that embeddings,
rotary positions, masks, soft caps and logit scales are whatever the architecture says they are.
"""

import copy
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from torch import Tensor, nn
from transformers import PreTrainedModel
from transformers.modeling_outputs import BaseModelOutputWithPastAndCrossAttentions

from dfc.errors import ModelError


class DecoderStack:
    """Runs any contiguous part of ``model``.

    Blocks are found without a table of architectures: the only ModuleList of the decoder that is as
    long as the configuration says there are layers.
    """

    def __init__(self, model: PreTrainedModel) -> None:
        self.model = model
        self.decoder = model.get_decoder()
        config = model.config.get_text_config()
        self.n_layers = int(config.num_hidden_layers)
        reaches = [
            getattr(config, name, None) for name in ("sliding_window", "attention_chunk_size")
        ]
        self.window: int | None = min((reach for reach in reaches if reach), default=None)
        """Shortest reach of the attention in tokens, None when it is the whole context."""
        self._decoder_name = _only(
            (name for name, child in model.named_children() if child is self.decoder),
            f"{type(model).__name__} does not hold its decoder as a direct child",
        )
        self._list_name = _only(
            (
                name
                for name, child in self.decoder.named_children()
                if isinstance(child, nn.ModuleList) and len(child) == self.n_layers
            ),
            f"{type(self.decoder).__name__} does not hold one list of {self.n_layers} blocks",
        )
        self.blocks: list[nn.Module] = list(getattr(self.decoder, self._list_name))

    def lower(self, tokens_BT: Tensor, layer: int, **inputs: Any) -> Tensor:
        """States [B, T, D] after block ``layer``; no block above it is run."""
        states: list[Tensor] = []

        def keep(block: nn.Module, args: tuple[Any, ...], output: Any) -> None:
            if not isinstance(output, Tensor):
                raise ModelError(
                    f"blocks of {type(self.model).__name__} return {type(output).__name__}, not a "
                    "tensor; this architecture is not supported"
                )
            states.append(output)

        handle = self.blocks[layer].register_forward_hook(keep)
        try:
            self._with_blocks(self.blocks[: layer + 1])(tokens_BT, use_cache=False, **inputs)
        finally:
            handle.remove()
        return states[0]

    def upper(self, x_BTD: Tensor, layer: int, **inputs: Any) -> Tensor:
        """Normed final states [B, T, D] from those after ``layer``; no block up to it is run.

        The list of blocks keeps its length, because some architectures look up the kind of
        attention by the number of the block.
        """
        blocks = [_Given(x_BTD) for _ in range(layer + 1)] + self.blocks[layer + 1 :]
        decoder = self._with_blocks(blocks)
        return decoder(inputs_embeds=x_BTD, use_cache=False, **inputs).last_hidden_state

    @contextmanager
    def inputs_above(self, layer: int) -> Iterator[list[Tensor]]:
        """What the block above ``layer``, if there is one, receives in the passes made inside."""
        seen: list[Tensor] = []
        handles = [
            block.register_forward_pre_hook(lambda block, args: seen.append(args[0]))
            for block in self.blocks[layer + 1 : layer + 2]
        ]
        try:
            yield seen
        finally:
            for handle in handles:
                handle.remove()

    def logits(self, x_ND: Tensor) -> Tensor:
        """Logits [N, vocabulary] of normed final states, scaled and capped as the model does."""
        head = _with_modules(self.model, {self._decoder_name: _Passing()})
        return head(inputs_embeds=x_ND[None], use_cache=False).logits[0]

    def _with_blocks(self, blocks: list[Any]) -> Callable[..., Any]:
        return _with_modules(self.decoder, {self._list_name: nn.ModuleList(blocks)})


class _Given(nn.Module):
    """Stands for a block whose output is known."""

    def __init__(self, x_BTD: Tensor) -> None:
        super().__init__()
        self.x_BTD = x_BTD

    def forward(self, *args: Any, **kwargs: Any) -> Tensor:
        return self.x_BTD


class _Passing(nn.Module):
    """Stands for a decoder that has already run."""

    def forward(
        self, *args: Any, inputs_embeds: Tensor, **kwargs: Any
    ) -> BaseModelOutputWithPastAndCrossAttentions:
        return BaseModelOutputWithPastAndCrossAttentions(last_hidden_state=inputs_embeds)


def _with_modules(module: nn.Module, replaced: dict[str, nn.Module]) -> Callable[..., Any]:
    """A shallow copy of ``module``: same weights, some children exchanged."""
    other = copy.copy(module)
    other._modules = {**module._modules, **replaced}
    return other


def _only(names: Iterable[str], problem: str) -> str:
    found = list(names)
    if len(found) != 1:
        raise ModelError(f"{problem}; this architecture is not supported")
    return found[0]
