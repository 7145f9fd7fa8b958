"""How much of a change passes through the residual stream at each depth.

The whole state of one model is put into the other after some block. What of the output difference
goes away is the ceiling for every feature found at that depth: an update of all blocks is only
partly visible in the middle of the stack.
"""

from collections.abc import Sequence
from typing import NamedTuple

from dfc.engines.engine import Engine, Progress, ScoreRow
from dfc.errors import InputError

SMALLEST_SHIFT = 1e-6
"""Shift of the weighted score, in nats, below which parts of it mean nothing."""


class PatchPoint(NamedTuple):
    """The exchange after block ``layer``; parts of the shift, None when there is no shift."""

    layer: int
    removed: float | None
    """By the base's state in the candidate."""
    induced: float | None
    """By the candidate's state in the base."""


def patch_profile(
    base: Engine,
    candidate: Engine,
    rows: Sequence[ScoreRow],
    weights: Sequence[float],
    layers: Sequence[int],
    progress: Progress | None = None,
) -> list[PatchPoint]:
    """Exchange states at each of ``layers`` and measure the weighted score.

    The score is the sum over rows of weight times mean log-probability: weights of +1/n and -1/n on
    two kinds of completions contrast them. Both models must have equal width and tokenizer.
    """
    _check(base, candidate, rows, weights)

    def weighted(log_probabilities: Sequence[float]) -> float:
        return sum(w * p for w, p in zip(weights, log_probabilities, strict=True))

    base_score = weighted(base.score(rows))
    candidate_score = weighted(candidate.score(rows))
    shift = candidate_score - base_score
    points = []
    for done, layer in enumerate(layers, start=1):
        if abs(shift) < SMALLEST_SHIFT:
            points.append(PatchPoint(layer, None, None))
        else:
            cured = weighted(candidate.score_from(base.capture(rows, layer)))
            infected = weighted(base.score_from(candidate.capture(rows, layer)))
            points.append(
                PatchPoint(
                    layer, (candidate_score - cured) / shift, (infected - base_score) / shift
                )
            )
        if progress is not None:
            progress(done, len(layers))
    return points


def choose_layer(points: Sequence[PatchPoint], minimum_ceiling: float = 0.75) -> int:
    """The earliest layer whose exchange removes ``minimum_ceiling`` of the shift, else the one that
    removes most. Raises InputError when no point was measured."""
    measured = [(p.removed, p.layer) for p in points if p.removed is not None]
    if not measured:
        raise InputError("the models do not differ on these rows, so they choose no depth")
    reaching = [layer for removed, layer in measured if removed >= minimum_ceiling]
    return min(reaching) if reaching else max(measured, key=lambda m: (m[0], -m[1]))[1]


def _check(
    base: Engine, candidate: Engine, rows: Sequence[ScoreRow], weights: Sequence[float]
) -> None:
    if len(rows) != len(weights):
        raise InputError(f"{len(weights)} weights for {len(rows)} rows; pass one per row")
    for field in ("n_layers", "d_model", "tokenizer_digest"):
        if getattr(base.info, field) != getattr(candidate.info, field):
            raise InputError(
                f"base and candidate differ in {field}; states can only be exchanged between "
                "checkpoints of one architecture and tokenizer"
            )
