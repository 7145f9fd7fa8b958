"""Encode and select in one pass: of all codes of a batch only the selected ones are ever kept.

The codes of some tokens at a time are made, looked through and forgotten; a whole batch of them
would be written to memory and read again several times.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from dfc.crosscoder import replicas
from dfc.crosscoder.active import Entries
from dfc.crosscoder.alike import Bounds, bounds
from dfc.crosscoder.batch_topk import threshold_of, wanted_of_all
from dfc.crosscoder.sparse_products import Active, read
from dfc.engines.precision import native_dtype

TOKENS_AT_ONCE = 1024
GUESSED_BY = 128
"""Of the first tokens about so many tell what the largest scores may be."""
SAMPLE_SLACK = 1.3
"""How many more than its share of the largest scores the first tokens' guess keeps."""
BELOW = 0.999
"""By how much the bound on codes is lower than that on scores, for what a division rounds, and the
products behind a code that was bounded."""
BOUNDED_BELOW = 0.01
"""Share of wanted codes from which on none is bounded first: too many would be computed again."""


class Reader(NamedTuple):
    """What one block of latents reads, and by what its codes are weighed."""

    parts: Sequence[tuple[Tensor, Tensor]]
    """States ``[B, d]`` and encoder ``[F, d]`` of every model that it reads."""
    bias_F: Tensor
    norm_F: Tensor
    """A code times this is its score."""

    def some(self, index_K: Tensor) -> Reader:
        """Of these latents alone."""
        parts = [(x_BD, encoder_FD[index_K]) for x_BD, encoder_FD in self.parts]
        return Reader(parts, self.bias_F[index_K], self.norm_F[index_K])


class Selected(NamedTuple):
    """The codes of every reader, which have gradients, and the one threshold of their scores."""

    codes: list[Active]
    threshold: Tensor


class _Found(NamedTuple):
    row_N: Tensor
    column_N: Tensor
    value_N: Tensor
    score_N: Tensor


def select(readers: Sequence[Reader], k: float) -> Selected:
    """BatchTopK over the latents of all ``readers``: those of the ``round(k * B)`` largest scores,
    as `batch_topk_threshold` would have it."""
    with torch.no_grad():
        tokens = len(readers[0].parts[0][0])
        wanted = wanted_of_all(k, tokens)
        found = _candidates(readers, wanted)
        scores = torch.cat([part.score_N for part in found])
        threshold = threshold_of(replicas.among_largest(scores, wanted), wanted)
        kept = [_from(part, threshold) for part in found]
    codes = [
        read(
            reader.parts,
            reader.bias_F,
            Active(Entries((tokens, len(reader.bias_F)), part.row_N, part.column_N), part.value_N),
        )
        for reader, part in zip(readers, kept, strict=True)
    ]
    return Selected(codes, threshold)


def _candidates(readers: Sequence[Reader], wanted: int) -> list[_Found]:
    """All positive codes whose scores are among the ``wanted`` best of all processes, and some
    more."""
    bound, found = _above(readers, wanted // replicas.count(), None)
    # Above the highest of their bounds every process has all of its scores.
    bound = replicas.highest(bound)
    above = torch.stack([(part.score_N >= bound).sum() for part in found]).sum()
    if int(replicas.summed(above)) < wanted:
        _, found = _above(readers, wanted, torch.zeros(()))  # the first tokens misled
    return found


def _above(
    readers: Sequence[Reader], wanted: int, bound: Tensor | None
) -> tuple[Tensor, list[_Found]]:
    """A bound, and all codes with a positive score that reaches it; without one given, the first
    tokens tell it."""
    tokens, latents = len(readers[0].parts[0][0]), sum(len(r.bias_F) for r in readers)
    share = wanted / (tokens * latents)
    limits = [
        _bounds(reader) if bound is None and share < BOUNDED_BELOW else None for reader in readers
    ]
    seen = [
        reader if limit is None else reader._replace(parts=(limit.part,))
        for reader, limit in zip(readers, limits, strict=True)
    ]
    encoders = [side_by_side(one) for one in seen]
    parts: list[list[_Found]] = [[] for _ in readers]
    for start in range(0, tokens, TOKENS_AT_ONCE):
        rows = slice(start, start + TOKENS_AT_ONCE)
        codes = [encode(one, encoder, rows) for one, encoder in zip(seen, encoders, strict=True)]
        if bound is None:
            bound = _guess(readers, codes, limits, share)
        for reader, code_CF, out in zip(readers, codes, parts, strict=True):
            out.append(_look_through(code_CF, reader.norm_F, bound, start))
        del codes, code_CF  # before the next ones are made
    assert bound is not None
    found = [_Found(*map(torch.cat, zip(*out, strict=True))) for out in parts]
    return bound, [
        one if limit is None else _computed(reader, limit, one, bound)
        for reader, limit, one in zip(readers, limits, found, strict=True)
    ]


def _bounds(reader: Reader) -> Bounds | None:
    """None where that is not worth it."""
    if len(reader.parts) != 2 or native_dtype() is not torch.float32:
        return None
    return bounds(*reader.parts)


def _computed(reader: Reader, limit: Bounds, found: _Found, bound: Tensor) -> _Found:
    """Of codes that were bounded those whose scores reach ``bound``, with their values."""
    where = Entries((len(limit.x_BD), len(reader.bias_F)), found.row_N, found.column_N)
    value_N = limit.exactly(found.value_N, where)
    found = found._replace(value_N=value_N, score_N=value_N * reader.norm_F[found.column_N])
    return _from(found, bound)


def side_by_side(reader: Reader) -> Tensor:
    """The encoders of all that it reads as one, ``[F, D]``, in the format of the product."""
    encoders = [encoder_FD.to(native_dtype()) for _, encoder_FD in reader.parts]
    return torch.cat(encoders, dim=1) if len(encoders) > 1 else encoders[0]


def encode(reader: Reader, encoder_FD: Tensor, rows: slice) -> Tensor:
    """Codes ``[C, F]`` of some tokens, float32, before rectification."""
    x_CD = torch.cat([x_BD[rows] for x_BD, _ in reader.parts], dim=1).to(encoder_FD.dtype)
    if x_CD.dtype is torch.float32 and torch.backends.mkldnn.is_available():
        # By oneDNN. What torch multiplies float32 with otherwise took 1.5 times as long on an AMD
        # EPYC (docs/benchmarks.md); short formats are oneDNN's in any case.
        product: Tensor = torch.ops.mkldnn._linear_pointwise(
            x_CD, encoder_FD, reader.bias_F, "none", [], ""
        )
        return product
    return (x_CD @ encoder_FD.T).float().add_(reader.bias_F)


def _guess(
    readers: Sequence[Reader],
    codes: Sequence[Tensor],
    limits: Sequence[Bounds | None],
    share: float,
) -> Tensor:
    """A score that somewhat more than ``share`` of these codes reach, by some of the tokens, which
    are the first ones."""
    rows = slice(0, len(codes[0]), max(1, len(codes[0]) // GUESSED_BY))
    some = [
        code[rows] if limit is None else limit.means(code[rows], rows)
        for code, limit in zip(codes, limits, strict=True)
    ]
    scores = torch.cat(
        [(code * reader.norm_F).reshape(-1) for reader, code in zip(readers, some, strict=True)]
    )
    kept = min(len(scores), round(share * len(scores) * SAMPLE_SLACK) + 1)
    return threshold_of(scores, kept)


def _look_through(code_CF: Tensor, norm_F: Tensor, bound: Tensor, start: int) -> _Found:
    least_F = (BELOW * bound / norm_F).clamp_min(torch.finfo(code_CF.dtype).tiny)
    place_N = _places(code_CF >= least_F)
    row_N = place_N // len(norm_F)
    column_N = place_N - row_N * len(norm_F)
    value_N = code_CF[row_N, column_N]
    return _Found(row_N + start, column_N, value_N, value_N * norm_F[column_N])


def _places(mask: Tensor) -> Tensor:
    """Where a mask holds, counted through its rows. It holds at few places, so that eight at once
    are looked at first, as one number."""
    if mask.numel() % 8:
        return mask.reshape(-1).nonzero()[:, 0]
    eights = mask.view(-1).view(torch.int64)
    where = eights.nonzero()[:, 0]
    of, place = eights[where].view(torch.bool).view(-1, 8).nonzero(as_tuple=True)
    return 8 * where[of] + place


def _from(found: _Found, threshold: Tensor) -> _Found:
    index = (found.score_N >= threshold).nonzero()[:, 0]
    return _Found(*(part.index_select(0, index) for part in found))
