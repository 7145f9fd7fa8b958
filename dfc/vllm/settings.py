"""How vLLM is run: sizes and precautions, as data."""

from typing import NamedTuple

from dfc.vllm.submission import WORKER

CPU_CACHE_BYTES = 1 << 30
"""On a CPU vLLM would reserve nearly all memory for its key-value cache."""


class VllmSettings(NamedTuple):
    """Sizes of one engine."""

    tokens_at_once: int = 8192
    """Tokens of a step, over all rows; longer prompts come in several steps."""
    rows_at_once: int = 256
    """Rows that run together; the others wait."""
    context: int = 4096
    """Longest row in tokens, unless the model itself sees less."""
    memory_share: float = 0.42
    """Part of a GPU's memory for weights and cache: base and candidate run side by side."""
    cache_bytes: int | None = None
    """Size of the key-value cache; None for what ``memory_share`` leaves, or 1 GiB on a CPU."""
    tensor_parallel: int = 1
    """GPUs over which every matrix is split."""
    prefix_caching: bool = False
    """Rows of equal beginning and equal edits share it."""
    worker: str = WORKER
    """The class that holds the hooks."""


DEFAULT = VllmSettings()
BESIDE_TRANSFORMERS = VllmSettings(memory_share=0.25)
"""Each of the two models is on the GPU a second time, and training needs room as well."""
