"""The crosscoder's weights, and what a step of its training takes."""

from dfc.crosscoder.config import DfcConfig
from workers.cost.work import Work

TRAINING_BYTES = 16
"""Of one weight: float32, with its gradient and two moments."""
_ADAM_BYTES = 28
"""Read and written per weight and step: four numbers read, three written."""


def crosscoder_weights(config: DfcConfig, base: int, candidate: int) -> int:
    """Of a crosscoder between models of these widths."""
    decoders = base if config.form == "tied" else base + candidate
    shared = config.shared * (base + candidate + decoders)
    return shared + 2 * (config.base_exclusive * base + config.candidate_exclusive * candidate)


def training(config: DfcConfig, base: int, candidate: int) -> Work:
    """One seed. Every product counts in full, forward and twice back, though on a CPU those with
    few active latents leave out the zeros."""
    weights = crosscoder_weights(config, base, candidate)
    step = Work(flops=6 * config.batch * weights, traffic=_ADAM_BYTES * weights)
    return step.times(config.steps)


def batch_bytes(config: DfcConfig, base: int, candidate: int) -> int:
    """Of one batch: states, codes and their gradients in float32."""
    return config.batch * 4 * (4 * (base + candidate) + 4 * config.latents)
