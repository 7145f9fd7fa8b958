"""Starts vLLM on a local checkpoint and runs requests in it. The one file that calls vLLM.

vLLM runs in processes of its own, with nothing of a checkpoint executed, no plugins, no pickle from
this process, no telemetry and no network.
"""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor

from dfc.engine import Progress
from dfc.errors import ModelError, ParityError
from dfc.vllm.plans import Draws, Plan
from dfc.vllm.settings import CPU_CACHE_BYTES, VllmSettings
from dfc.vllm.version import installed_version
from dfc.vllm.wire import from_bytes

ALWAYS = {
    "VLLM_PLUGINS": "",
    "VLLM_ALLOW_INSECURE_SERIALIZATION": "0",
    "VLLM_ENABLE_V1_MULTIPROCESSING": "1",
    "VLLM_NO_USAGE_STATS": "1",
    "VLLM_DO_NOT_TRACK": "1",
    "HF_HUB_OFFLINE": "1",
    "TRANSFORMERS_OFFLINE": "1",
}
UNLESS_SET = {
    "VLLM_LOGGING_LEVEL": "WARNING",
    # Two workers bound to the same core would take turns.
    "VLLM_CPU_OMP_THREADS_BIND": "nobind",
    # The first runner is the one whose surface was run; the boot checks guard the second.
    "VLLM_USE_V2_MODEL_RUNNER": "0",
    # Triton's attention multiplies float32 in TF32 otherwise, 1000 times less exact.
    "TRITON_F32_DEFAULT": "ieee",
}


class Request(NamedTuple):
    """One row: tokens in, and how to go on from them."""

    tokens: tuple[int, ...]
    plan: Plan
    max_new_tokens: int = 1
    draws: Draws | None = None
    """None for greedy writing."""
    stop: tuple[int, ...] = ()
    writable: tuple[int, ...] | None = None
    """Tokens that may be written; None for all."""
    scored: bool = False
    """Log-probabilities of the row's own tokens are wanted."""
    salt: str | None = None


class Answer(NamedTuple):
    """What became of one row."""

    tokens: tuple[int, ...]
    """Written tokens, with the one that ended them."""
    written: tuple[float, ...]
    """Log-probability of each written token, in nats."""
    scored: tuple[float, ...]
    """Of each of the row's own tokens but the first; empty unless asked for."""
    cached: int = 0
    """Tokens whose keys and values were taken from another row."""


class Runtime:
    """vLLM with one model.

    Raises ModelError when vLLM is missing, of another version, or can't load the checkpoint.
    """

    def __init__(
        self, path: Path, dtype: torch.dtype, settings: VllmSettings, context: int
    ) -> None:
        installed_version()
        os.environ.update(ALWAYS)
        for name, value in UNLESS_SET.items():
            os.environ.setdefault(name, value)
        from vllm import EngineArgs
        from vllm.platforms import current_platform
        from vllm.v1.engine.llm_engine import LLMEngine

        self.is_cpu = current_platform.is_cpu()
        cache = settings.cache_bytes or (CPU_CACHE_BYTES if self.is_cpu else None)
        arguments = EngineArgs(
            model=str(path),
            skip_tokenizer_init=True,
            trust_remote_code=False,
            load_format="safetensors",
            generation_config="vllm",
            dtype=str(dtype).removeprefix("torch."),
            max_model_len=context,
            max_num_batched_tokens=max(settings.tokens_at_once, settings.rows_at_once),
            max_num_seqs=settings.rows_at_once,
            gpu_memory_utilization=settings.memory_share,
            kv_cache_memory_bytes=cache,
            tensor_parallel_size=settings.tensor_parallel,
            enable_prefix_caching=settings.prefix_caching,
            worker_cls=settings.worker,
            logits_processors=["dfc.vllm.sampling:DrawnToken"],
            # Compiled code and captured graphs would run without the hooks.
            enforce_eager=True,
            # One step at a time: the next one's edits are not yet known while a step runs.
            async_scheduling=False,
            disable_log_stats=True,
            seed=0,
        )
        try:
            self._engine = LLMEngine.from_engine_args(arguments, enable_multiprocessing=True)
        except Exception as error:  # of any kind, from another process
            raise ModelError(
                f"vLLM can't start on {path}: {error}; the first error of its own process stands "
                "above in the log"
            ) from error
        self._calls = 0

    def run(self, requests: Sequence[Request], progress: Progress | None = None) -> list[Answer]:
        """Run all rows together; the order of the answers is that of the requests."""
        from vllm import SamplingParams
        from vllm.sampling_params import RequestOutputKind

        self._calls += 1
        names = {f"{self._calls}-{number}": number for number in range(len(requests))}
        answers: dict[int, Answer] = {}
        try:
            for name, number in names.items():
                request = requests[number]
                prompt: dict[str, Any] = {"prompt_token_ids": list(request.tokens)}
                if request.salt is not None:
                    prompt["cache_salt"] = request.salt
                draws = {} if request.draws is None else request.draws.arguments()
                sampling = SamplingParams(
                    max_tokens=request.max_new_tokens,
                    temperature=0.0,
                    stop_token_ids=list(request.stop),
                    allowed_token_ids=None if request.writable is None else list(request.writable),
                    ignore_eos=True,
                    detokenize=False,
                    logprobs=0,
                    prompt_logprobs=0 if request.scored else None,
                    extra_args=request.plan.arguments() | draws,
                    output_kind=RequestOutputKind.FINAL_ONLY,
                )
                self._engine.add_request(name, prompt, sampling)
            while self._engine.has_unfinished_requests():
                for output in self._engine.step():
                    if output.finished:
                        answers[names[output.request_id]] = _answer(output)
                        if progress is not None:
                            progress(len(answers), len(requests))
        except Exception as error:  # of any kind, from another process
            self.close()  # some of the rows may still be in it
            raise ModelError(
                f"vLLM stopped while it ran {len(requests)} rows: {error}; the first error of its "
                "own process stands above in the log"
            ) from error
        return [answers[number] for number in range(len(requests))]

    def call(self, method: str, *args: Any) -> Any:
        """Call the instrument of every worker; returns the answer of the first.

        Raises ModelError with what the worker says went wrong.
        """
        try:
            return self._engine.collective_rpc("latentwatch", args=(method, *args))[0]
        except Exception as error:  # of any kind, from another process
            raise ModelError(f"{method} failed in vLLM's worker: {error}") from error

    def facts(self) -> dict[str, Any]:
        return self._engine.collective_rpc("latentwatch_facts")[0]

    def close(self) -> None:
        """End vLLM's processes and free their memory."""
        self._engine.engine_core.shutdown()


def recorded_states(runtime: Runtime, plans: Sequence[Plan]) -> dict[tuple[int, int], Tensor]:
    """States by (row, layer) that rows with these plans have left behind.

    Raises ParityError when some are missing.
    """
    found = {
        (row, layer): from_bytes(*packed) for row, layer, packed in runtime.call("take_states")
    }
    missing = {(plan.row, layer) for plan in plans for layer in plan.records} - set(found)
    if missing:
        row, layer = min(missing)
        raise ParityError(
            f"row {row} did not pass the hook on layer {layer}; vLLM ran without its hooks"
        )
    return found


def _answer(output: Any) -> Answer:
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
