"""Samples that are those of the transformers engine: of equal seed, row and step.

vLLM's own seeded sampling fails on a CPU when a prompt comes in chunks, and draws other numbers.
Here every row brings its stream of draws, and all that is left to vLLM is to take the likeliest
token.
Imported by vLLM alone, by its name.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from vllm import SamplingParams
from vllm.v1.sample.logits_processor import AdapterLogitsProcessor

from dfc.engines.generation import sampler
from dfc.vllm.plans import Draws
from dfc.vllm.submission import check_source


class DrawnToken(AdapterLogitsProcessor):
    """Leaves of a row's logits only the token that its draws choose."""

    def is_argmax_invariant(self) -> bool:
        return False

    def new_req_logits_processor(
        self, params: SamplingParams
    ) -> Callable[[list[int], Tensor], Tensor] | None:
        draws = Draws.of(params.extra_args)
        if draws is None:
            return None
        choose = sampler(draws.temperature, draws.seed, [draws.row], int(params.max_tokens or 1))

        def only_chosen(written: list[int], logits_V: Tensor) -> Tensor:
            chosen = choose(logits_V[None, : draws.size].float(), [0], len(written))
            only_V = torch.full_like(logits_V, float("-inf"))
            only_V[chosen] = 0
            return only_V

        return only_chosen

    @classmethod
    def validate_params(cls, sampling_params: Any) -> None:
        check_source(sampling_params.extra_args)
