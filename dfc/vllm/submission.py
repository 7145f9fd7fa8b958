"""How a batch is put to vLLM, whoever runs it. Imports vLLM when a function is called."""

import secrets
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from dfc.vllm.batch import Answer, Batch, Request
from dfc.vllm.plans import DRAWS, KEY

LOGITS_PROCESSOR = "dfc.vllm.sampling:DrawnToken"
WORKER = "dfc.vllm.worker.InstrumentedWorker"
_SIGN, _OURS = "latentwatch_sign", secrets.token_hex(16)
"""What the rows that this process submits carry beside their plans."""


def preparations(batch: Batch) -> Iterator[tuple[Any, ...]]:
    """Calls of the instrument, before the rows run."""
    if batch.bank is not None:
        yield "load_bank", batch.bank.layer, [list(part) for part in batch.bank.parts]
    for row, packed in batch.states:
        yield "load_states", row, *packed


def prompt_of(request: Request) -> dict[str, Any]:
    prompt: dict[str, Any] = {"prompt_token_ids": list(request.tokens)}
    if request.salt is not None:
        prompt["cache_salt"] = request.salt
    return prompt


def sampling_of(request: Request) -> Any:
    """vLLM's parameters for a row."""
    from vllm import SamplingParams
    from vllm.sampling_params import RequestOutputKind

    draws = {} if request.draws is None else request.draws.arguments()
    return SamplingParams(
        max_tokens=request.max_new_tokens,
        temperature=0.0,
        stop_token_ids=list(request.stop),
        allowed_token_ids=None if request.writable is None else list(range(request.writable)),
        ignore_eos=True,
        detokenize=False,
        logprobs=0,
        prompt_logprobs=0 if request.scored else None,
        extra_args=request.plan.arguments() | draws | {_SIGN: _OURS},
        output_kind=RequestOutputKind.FINAL_ONLY,
    )


def check_source(arguments: Mapping[str, Any] | None) -> None:
    """Raises ValueError where somebody else sends a plan: it could name features and states that
    are not loaded, and an error within a step ends vLLM for everybody."""
    held = arguments or {}
    if (KEY in held or DRAWS in held) and held.get(_SIGN) != _OURS:
        raise ValueError(f"{KEY} and {DRAWS} are arguments of the latentwatch routes alone")


def answer_of(output: Any) -> Answer:
    """From what vLLM returns for a row that has ended."""
    [written] = output.outputs
    scored = output.prompt_logprobs
    return Answer(
        tuple(written.token_ids),
        tuple(_own(written.logprobs, written.token_ids)),
        tuple(_own(scored[1:], output.prompt_token_ids[1:])) if scored else (),
        output.num_cached_tokens or 0,
    )


def _own(found: Sequence[Any], tokens: Sequence[int]) -> list[float]:
    return [at[token].logprob for at, token in zip(found, tokens, strict=True)]
