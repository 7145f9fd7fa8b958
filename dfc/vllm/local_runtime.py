"""Starts vLLM on a local checkpoint and runs batches in it.

vLLM runs in processes of its own, with nothing of a checkpoint executed, no plugins, no pickle from
this process, no telemetry and no network.
"""

import os
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from dfc.engines.engine import Progress
from dfc.errors import ModelError
from dfc.vllm.batch import Answer, Batch, Facts, Outcome, Runtime
from dfc.vllm.settings import CPU_CACHE_BYTES, VllmSettings
from dfc.vllm.submission import (
    LOGITS_PROCESSOR,
    answer_of,
    preparations,
    prompt_of,
    sampling_of,
)
from dfc.vllm.version import installed_version
from dfc.vllm.wire import Packed, from_bytes, to_bytes

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


class LocalRuntime(Runtime):
    """vLLM in processes of this host.

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
            logits_processors=[LOGITS_PROCESSOR],
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

    def facts(self) -> Facts:
        return Facts.of(self._engine.collective_rpc("latentwatch_facts")[0])

    def run(self, batch: Batch, progress: Progress | None = None) -> Outcome:
        for method, *args in preparations(batch):
            self.call(method, *args)
        answers = self._answers(batch, progress)
        # First what can't fail: nothing of this batch may be left for the next one.
        reached = tuple((row, last) for row, last in self.call("take_reached"))
        recorded = tuple((row, layer, Packed(*x)) for row, layer, x in self.call("take_states"))
        return Outcome(answers, reached, recorded)

    def unembed(self, x_ND: Tensor) -> Tensor:
        return from_bytes(*self.call("unembed", *to_bytes(x_ND)))

    def close(self) -> None:
        """End vLLM's processes and free their memory."""
        self._engine.engine_core.shutdown()

    def call(self, method: str, *args: Any) -> Any:
        """Call the instrument of every worker; returns the answer of the first.

        Raises ModelError with what the worker says went wrong.
        """
        try:
            return self._engine.collective_rpc("latentwatch", args=(method, *args))[0]
        except Exception as error:  # of any kind, from another process
            raise ModelError(f"{method} failed in vLLM's worker: {error}") from error

    def _answers(self, batch: Batch, progress: Progress | None) -> tuple[Answer, ...]:
        self._calls += 1
        names = {f"{self._calls}-{number}": number for number in range(len(batch.requests))}
        answers: dict[int, Answer] = {}
        try:
            for name, number in names.items():
                request = batch.requests[number]
                self._engine.add_request(name, prompt_of(request), sampling_of(request))
            while self._engine.has_unfinished_requests():
                for output in self._engine.step():
                    if output.finished:
                        answers[names[output.request_id]] = answer_of(output)
                        if progress is not None:
                            progress(len(answers), len(batch.requests))
        except Exception as error:  # of any kind, from another process
            self.close()  # some of the rows may still be in it
            raise ModelError(
                f"vLLM stopped while it ran {len(batch.requests)} rows: {error}; the first error "
                "of its own process stands above in the log"
            ) from error
        return tuple(answers[number] for number in range(len(batch.requests)))
