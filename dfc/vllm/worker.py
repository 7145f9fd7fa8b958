"""vLLM's worker with hooks on its model. Imported by vLLM alone, by the name in the settings.

Hooks are there before vLLM runs the model for the first time. Nothing but the names of
``instrument.SURFACE`` can be called from outside, with numbers, text and bytes.
"""

from typing import Any

import torch
from vllm.distributed import get_tensor_model_parallel_rank
from vllm.platforms import current_platform

from dfc.vllm.instrument import SURFACE, Instrument
from dfc.vllm.runners import announce_steps

if current_platform.is_cpu():
    from vllm.v1.worker.cpu_worker import CPUWorker as Worker
else:
    from vllm.v1.worker.gpu_worker import Worker


class InstrumentedWorker(Worker):
    """Reads and edits the residual stream of the model that it runs."""

    def load_model(self, **kwargs: Any) -> None:
        super().load_model(**kwargs)
        self.instrument = Instrument(
            self.model_runner.get_model(),
            self.model_config.get_total_num_hidden_layers(),
            self.model_config.get_hidden_size(),
            records=get_tensor_model_parallel_rank() == 0,
        )
        self.runner_surface = announce_steps(
            self.model_runner, lambda step: self.instrument.begin(step)
        )

    def execute_model(self, *args: Any, **kwargs: Any) -> Any:
        try:
            return super().execute_model(*args, **kwargs)
        finally:
            self.instrument.end()

    def latentwatch(self, method: str, *args: Any) -> Any:
        """Call a method of the instrument."""
        if method not in SURFACE:
            raise ValueError(f"{method} can't be called from outside")
        with torch.inference_mode():
            return getattr(self.instrument, method)(*args)

    def latentwatch_facts(self) -> dict[str, Any]:
        """What was found at start, for the engine and the log."""
        return {
            "runner": self.runner_surface,
            "architecture": self.model_config.architectures[0],
            "n_layers": self.model_config.get_total_num_hidden_layers(),
            "d_model": self.model_config.get_hidden_size(),
            "vocabulary": self.model_config.get_vocab_size(),
            "dtype": str(self.model_config.dtype).removeprefix("torch."),
            "context": self.model_config.max_model_len,
        }
