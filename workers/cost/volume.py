"""What a diff keeps in memory at its fullest moments, and on disk when it has ended."""

from workers.cost.crosscoder import TRAINING_BYTES, batch_bytes, crosscoder_weights
from workers.cost.diff import PlannedDiff
from workers.cost.plan import EFFORT
from workers.cost.shape import STATE_BYTES

_INDEX_BYTES = 24
"""Document, position and token."""
_LOGIT_ROWS = 4096
"""Positions of a batch whose probabilities over all tokens are held in float32, at most."""


def position_bytes(width: int) -> int:
    """Of one position of one model's activations, in memory and in the cache."""
    return STATE_BYTES * width + _INDEX_BYTES


def memory_of(diff: PlannedDiff) -> dict[str, float]:
    """Bytes in memory at once, by the moments of a diff that fill it. Both models stay loaded, and
    where vLLM writes the answers it has a copy of each."""
    base, candidate = diff.models
    copies = 2 if diff.recipe.engine == "vllm" else 1
    weights = copies * (base.memory_bytes + candidate.memory_bytes)
    largest = max(diff.models, key=lambda model: model.cache_bytes)
    logits = _LOGIT_ROWS * max(model.vocabulary for model in diff.models) * 4
    states = diff.states * sum(position_bytes(model.width) for model in diff.models)
    normalised = diff.states * 4 * (base.width + candidate.width)
    crosscoder = crosscoder_weights(diff.dfc, base.width, candidate.width)
    batch = batch_bytes(diff.dfc, base.width, candidate.width)
    return {
        "answers: both models, keys and values": weights
        + EFFORT.decode_tokens * largest.cache_bytes,
        "probe: both models, a noisy copy, probabilities": weights + base.memory_bytes + logits,
        "train: both models, states twice, crosscoder with its optimiser": weights
        + states
        + normalised
        + TRAINING_BYTES * crosscoder
        + batch,
    }


def disk_of(diff: PlannedDiff) -> dict[str, float]:
    """Bytes on disk, by what lies there. Downloads count where the source is remote alone."""
    base, candidate = diff.models
    weights = crosscoder_weights(diff.dfc, base.width, candidate.width)
    exclusive = 2 * (
        diff.dfc.base_exclusive * base.width + diff.dfc.candidate_exclusive * candidate.width
    )
    kept = 4 * (weights + exclusive) * len(diff.recipe.seeds)
    return {
        "downloads": float(base.file_bytes + candidate.file_bytes),
        "activation cache": diff.states * sum(position_bytes(m.width) for m in diff.models),
        "stored results": float(kept),
        "training state, until it ends": 12.0 * weights,
    }
