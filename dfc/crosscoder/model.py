"""The Dedicated Feature Crosscoder: shared, base-exclusive and candidate-exclusive latents.

Jiralerspong & Bricken 2026 (arXiv 2602.11729) section 2.2. The three partitions are three
parameter blocks, so a weight that would let one model drive or use the other's features does
not exist: there is no mask to forget and nothing for weight decay or an auxiliary loss to leak
into.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn

from dfc.crosscoder.batch_topk import batch_topk_threshold, keep_above
from dfc.crosscoder.config import DfcConfig
from dfc.crosscoder.selection import Reader, select
from dfc.crosscoder.sparse_products import Active, is_sparse, write
from dfc.crosscoder.strongest import strongest, strongest_masked, strongest_plainly
from dfc.engines.precision import native_dtype

SHARED, BASE, CANDIDATE = 0, 1, 2
"""Order of the blocks in concatenated codes, in ``threshold`` and in reports."""


class Codes(NamedTuple):
    """Latent activations of one batch, one tensor per block."""

    shared_BF: Tensor
    base_BF: Tensor
    candidate_BF: Tensor


class Kept(NamedTuple):
    """As ``Codes``, after selection: blocks of which few entries are active hold those alone."""

    shared_BF: Tensor | Active
    base_BF: Tensor | Active
    candidate_BF: Tensor | Active


class Chosen(NamedTuple):
    """What BatchTopK leaves of a batch, with gradients, and the threshold of each block."""

    kept: Kept
    threshold: Tensor


class Misread(NamedTuple):
    """What the first latents of the exclusive blocks read when shown the other model's
    activations."""

    base_BF: Tensor
    candidate_BF: Tensor


class Reconstruction(NamedTuple):
    """What the codes say each model's activations are, in normalised units."""

    base_BD: Tensor
    candidate_BD: Tensor


class ExclusiveBlock(nn.Module):
    """Latents of one model only: encoded from and decoded to that model's activations."""

    def __init__(self, latents: int, width: int, decoder_norm: float) -> None:
        super().__init__()
        directions_FD = _unit_rows(latents, width)
        self.encoder = nn.Parameter(directions_FD.clone())
        self.bias = nn.Parameter(torch.zeros(latents))
        self.decoder = nn.Parameter(directions_FD * decoder_norm)

    def encode(self, x_BD: Tensor, first: int | None = None) -> Tensor:
        """All latents, or the ``first`` ones alone."""
        return torch.relu(x_BD @ self.encoder[:first].T + self.bias[:first])


class Dfc(nn.Module):
    """A DFC between a base of width ``d_base`` and a candidate of width ``d_candidate``.

    ``config.form`` is the one switch. "strict" is the paper's form for different architectures:
    every latent competes in one BatchTopK and each model has its own decoder. "tied" is for two
    checkpoints of one architecture: a shared latent writes the same row into both models and
    there is one bias, so that whatever differs between them can only be written by the exclusive
    blocks, and each block selects with its own k.
    """

    threshold: Tensor

    def __init__(self, config: DfcConfig, d_base: int, d_candidate: int) -> None:
        super().__init__()
        if config.form == "tied" and d_base != d_candidate:
            raise ValueError(
                f"form 'tied' needs equal widths, got {d_base} and {d_candidate}; use form 'strict'"
            )
        self.config = config
        norm = config.decoder_norm
        directions_FD = _unit_rows(config.shared, d_base)
        self.shared_bias = nn.Parameter(torch.zeros(config.shared))
        self.encoder_base = nn.Parameter(directions_FD / 2)
        self.decoder_base = nn.Parameter(directions_FD * norm)
        self.bias_base = nn.Parameter(torch.zeros(d_base))
        if config.form == "tied":
            self.encoder_candidate = nn.Parameter(directions_FD / 2)
            self.register_parameter("decoder_candidate", None)
            self.register_parameter("bias_candidate", None)
        else:
            other_FD = _unit_rows(config.shared, d_candidate)
            self.encoder_candidate = nn.Parameter(other_FD / 2)
            self.decoder_candidate = nn.Parameter(other_FD * norm)
            self.bias_candidate = nn.Parameter(torch.zeros(d_candidate))
        self.base = ExclusiveBlock(config.base_exclusive, d_base, norm)
        self.candidate = ExclusiveBlock(config.candidate_exclusive, d_candidate, norm)
        self.register_buffer("threshold", torch.zeros(3))

    def encode(self, base_BD: Tensor, candidate_BD: Tensor) -> Codes:
        """Rectified pre-activations before any selection.

        The sum over models is the paper's average up to a factor that the weights absorb
        (section 2.1).
        """
        both_BD = torch.cat([base_BD, candidate_BD], dim=1)
        encoder_FD = torch.cat([self.encoder_base, self.encoder_candidate], dim=1)
        shared_BF = torch.relu(both_BD @ encoder_FD.T + self.shared_bias)
        return Codes(shared_BF, self.base.encode(base_BD), self.candidate.encode(candidate_BD))

    def readers(self, base_BD: Tensor, candidate_BD: Tensor) -> tuple[Reader, Reader, Reader]:
        """What each block reads, for who encodes only a part of it."""
        both = ((base_BD, self.encoder_base), (candidate_BD, self.encoder_candidate))
        base, candidate = self.base, self.candidate
        with torch.no_grad():
            norms = self.decoder_norms()
        return (
            Reader(both, self.shared_bias, norms.shared_BF),
            Reader(((base_BD, base.encoder),), base.bias, norms.base_BF),
            Reader(((candidate_BD, candidate.encoder),), candidate.bias, norms.candidate_BF),
        )

    def decoder_norms(self) -> Codes:
        """Per latent the norm that scales its score in the selection: the mean over the models that
        it writes to.

        The released code takes the sum, by which a concept of one model alone is worth twice as
        much in a shared latent as in that model's own block, and goes there.
        """
        shared_F = self.decoder_base.norm(dim=1)
        other = self.decoder_candidate
        shared_F = shared_F if other is None else (shared_F + other.norm(dim=1)) / 2
        return Codes(shared_F, self.base.decoder.norm(dim=1), self.candidate.decoder.norm(dim=1))

    def batch_thresholds(self, score: Codes, k: float) -> Tensor:
        """The three selection thresholds of this batch; in the strict form they are one."""
        if self.config.form == "strict":
            return batch_topk_threshold(torch.cat(score, dim=1), k).expand(3)
        k_exclusive = self.config.k_exclusive
        return torch.stack(
            [
                batch_topk_threshold(block, n)
                for block, n in zip(score, (k, k_exclusive, k_exclusive), strict=True)
            ]
        )

    def select(self, code: Codes, threshold: Tensor | None = None) -> Codes:
        """Keep what reaches ``threshold``; by default the running one, so that a latent's
        activation does not depend on the rest of its batch."""
        threshold = self.threshold if threshold is None else threshold
        blocks = zip(code, self.score(code), threshold, strict=True)
        return Codes(*(keep_above(c, s, t) for c, s, t in blocks))

    def choose(self, base_BD: Tensor, candidate_BD: Tensor, k: float) -> Chosen:
        """Encode and select by BatchTopK: in the strict form among all latents, in the tied form
        ``k`` of the shared ones and ``k_exclusive`` of each exclusive block."""
        config = self.config
        together = config.form == "strict"
        share = k / (config.latents if together else config.shared)
        if not is_sparse(share, base_BD, native_dtype(base_BD.device.type)):
            return self.choose_plainly(base_BD, candidate_BD, k)
        readers = self.readers(base_BD, candidate_BD)
        if together:
            selected = select(readers, k)
            return Chosen(Kept(*selected.codes), selected.threshold.expand(3))
        shared = select(readers[:1], k)
        blocks, thresholds = list[Tensor](), [shared.threshold]
        for block, x_BD in ((self.base, base_BD), (self.candidate, candidate_BD)):
            code_BF = block.encode(x_BD)
            score_BF = code_BF.detach().float() * block.decoder.detach().norm(dim=1)
            thresholds.append(batch_topk_threshold(score_BF, config.k_exclusive))
            blocks.append(keep_above(code_BF, score_BF, thresholds[-1]))
        return Chosen(Kept(shared.codes[0], *blocks), torch.stack(thresholds))

    def choose_plainly(self, base_BD: Tensor, candidate_BD: Tensor, k: float) -> Chosen:
        """As ``choose``, by way of all codes of the batch."""
        code = self.encode(base_BD, candidate_BD)
        threshold = self.batch_thresholds(self.score(code), k)
        return Chosen(Kept(*self.select(code, threshold)), threshold)

    def strongest(
        self, base_BD: Tensor, candidate_BD: Tensor, wanted_F: Tensor, limit: int
    ) -> Kept:
        """Of every token the codes of the ``limit`` strongest of the ``wanted_F`` latents. On a GPU
        there may be fewer than the limit."""
        readers = self.readers(base_BD, candidate_BD)
        if not base_BD.is_cpu:
            return Kept(*strongest_masked(readers, wanted_F, limit))
        share = limit / self.config.latents
        sparse = is_sparse(share, base_BD, native_dtype(base_BD.device.type))
        find = strongest if sparse else strongest_plainly
        return Kept(*find(readers, wanted_F, limit))

    def misread(
        self, base_BD: Tensor, candidate_BD: Tensor, threshold: Tensor, first: int
    ) -> Misread:
        """Show the ``first`` latents of each exclusive block the other model (tied form: the widths
        are equal)."""

        def kept(block: ExclusiveBlock, x_BD: Tensor, limit: Tensor) -> Tensor:
            code_BF = block.encode(x_BD, first)
            score_BF = code_BF.detach().float() * block.decoder.detach()[:first].norm(dim=1)
            return keep_above(code_BF, score_BF, limit)

        return Misread(
            kept(self.base, candidate_BD, threshold[BASE]),
            kept(self.candidate, base_BD, threshold[CANDIDATE]),
        )

    @torch.no_grad()
    def score(self, code: Codes) -> Codes:
        """By what the latents of a batch are selected: how much each writes."""
        norms = self.decoder_norms()
        return Codes(*(c.float() * n for c, n in zip(code, norms, strict=True)))

    def decode(
        self, code: Codes | Kept, bias: bool = True, learn_exclusive: bool = True
    ) -> Reconstruction:
        """Base from shared and base-exclusive latents, candidate from shared and candidate-
        exclusive ones (equation 2). Without ``learn_exclusive`` no gradient reaches the
        exclusive blocks."""
        other = self.decoder_candidate
        shared_base_BD = write(code.shared_BF, self.decoder_base)
        shared_candidate_BD = shared_base_BD if other is None else write(code.shared_BF, other)
        own_base_BD = write(code.base_BF, self.base.decoder)
        own_candidate_BD = write(code.candidate_BF, self.candidate.decoder)
        if not learn_exclusive:
            own_base_BD, own_candidate_BD = own_base_BD.detach(), own_candidate_BD.detach()
        base_BD = shared_base_BD + own_base_BD
        candidate_BD = shared_candidate_BD + own_candidate_BD
        if not bias:
            return Reconstruction(base_BD, candidate_BD)
        bias_candidate = self.bias_base if self.bias_candidate is None else self.bias_candidate
        return Reconstruction(base_BD + self.bias_base, candidate_BD + bias_candidate)


def _unit_rows(rows: int, width: int) -> Tensor:
    x = torch.randn(rows, width)
    return x / x.norm(dim=1, keepdim=True)
