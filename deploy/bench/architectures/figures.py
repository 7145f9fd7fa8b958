"""What the comparison of the two language models shows, against what was planted."""

from typing import Any

import numpy as np
import torch

from deploy.bench.architectures.comparison import Compared
from deploy.bench.architectures.held_out import HeldOut, codes_of, read_held_out
from deploy.bench.architectures.recall import (
    RECALLED,
    TRUE_SHARE,
    Best,
    alive_rows,
    best_feature,
    decoder_of,
    true_share,
    variance_explained,
)
from deploy.bench.architectures.transfer import Transfer, direction_bank, transfers
from deploy.bench.toy.crosscoders import StandardConfig
from dfc.engine import Progress
from dfc.model import Codes, Dfc
from dfc.screen import natural_maximum
from dfc.train import train

FEATURES = 12
"""Of the exclusive and of the shared block that are tried in both models."""

Figures = dict[str, Any]


def measure(compared: Compared, progress: Progress) -> Figures:
    """Everything but wall times, as plain JSON values."""
    held_out = read_held_out(*compared.models, compared.harvest.base_layer, compared.layer)
    code = codes_of(compared.trained, held_out.pair)
    return {
        "recall": _recall(compared, held_out, code),
        "variance": _variance(compared, held_out, code, progress),
        "filter": _filter(compared, held_out, code),
        "transfer": _transfer(compared, held_out, code),
        "causal": _causal(compared),
        "aligned_share": compared.harvest.aligned_share,
        "stitched": compared.screened.stitched,
        "positions": compared.harvest.tokens,
    }


def _rows(compared: Compared, side: str, listed: bool) -> list[int]:
    features = compared.screened.features
    return [f.row for f in features if f.side == side and (f.listed or not listed)]


def _recall(compared: Compared, held_out: HeldOut, code: Codes) -> Figures:
    """How well the best feature of each block tells what was planted from the rest."""
    opinions = held_out.flattering | held_out.balanced
    questions = {
        "topic": (~opinions, held_out.planted),
        "behaviour": (opinions, held_out.flattering),
    }
    blocks = {
        "listed": (code.candidate_BF, _rows(compared, "candidate", listed=True)),
        "candidate": (code.candidate_BF, alive_rows(code.candidate_BF)),
        "base": (code.base_BF, alive_rows(code.base_BF)),
        "shared": (code.shared_BF, alive_rows(code.shared_BF)),
    }
    found: Figures = {}
    for question, (among_N, positive_N) in questions.items():
        for block, (block_TK, rows) in blocks.items():
            best = best_feature(held_out.means(block_TK)[among_N], positive_N[among_N], rows)
            found[f"{question}_{block}"] = None if best is None else best._asdict()
        listed: Best | None = best_feature(
            held_out.means(code.candidate_BF)[among_N], positive_N[among_N], blocks["listed"][1]
        )
        found[f"{question}_recalled"] = listed is not None and listed.area >= RECALLED
    return found


def _variance(compared: Compared, held_out: HeldOut, code: Codes, progress: Progress) -> Figures:
    """Of all held-out states, and of the candidate's on the planted topic and beside it."""
    config = compared.trained.model.config
    standard = train(
        compared.pair.base.x_TD,
        compared.pair.candidate.x_TD,
        StandardConfig.model_validate(
            {**config.model_dump(exclude={"base_exclusive", "candidate_exclusive"})}
            | {"shared": config.latents}
        ),
        seed=compared.trained.seed,
        progress=progress,
        crosscoder=Dfc,
    )
    pair = held_out.pair
    ours = variance_explained(compared.trained, code, pair)
    theirs = variance_explained(standard, codes_of(standard, pair), pair)
    opinions = held_out.flattering | held_out.balanced
    parts = {
        "planted topic": held_out.planted & ~opinions,
        "other topics": ~held_out.planted & ~opinions,
        "flattering answers": held_out.flattering,
        "balanced answers": held_out.balanced,
    }
    by_part = {
        name: variance_explained(compared.trained, code, pair, held_out.of(numbers))["candidate"]
        for name, numbers in parts.items()
    }
    return {
        "shared": {side: explained.shared for side, explained in ours.items()},
        "everything": {side: explained.everything for side, explained in ours.items()},
        "standard": {side: explained.everything for side, explained in theirs.items()},
        "exclusive_gain": {name: e.everything - e.shared for name, e in by_part.items()},
    }


def _filter(compared: Compared, held_out: HeldOut, code: Codes) -> Figures:
    """Exclusive features that stand for nothing that only their model has seen."""
    alone = {
        "candidate": (held_out.planted | held_out.flattering, code.candidate_BF),
        "base": (held_out.balanced, code.base_BF),
    }
    found: Figures = {}
    for side, (own_N, block_TK) in alone.items():
        share_K = true_share(held_out, block_TK, own_N)
        alive = alive_rows(block_TK)
        listed = [row for row in _rows(compared, side, listed=True) if row in alive]
        found[side] = {
            "alive": len(alive),
            "false_alive": sum(bool(share_K[row] < TRUE_SHARE) for row in alive),
            "listed": len(listed),
            "false_listed": sum(bool(share_K[row] < TRUE_SHARE) for row in listed),
            "true_shares_listed": [float(share_K[row]) for row in listed],
        }
    return found


def _transfer(compared: Compared, held_out: HeldOut, code: Codes) -> Figures:
    """Exclusive features against the shared ones that write most, in both models."""
    model, norm = compared.trained.model, compared.trained.normalisation
    exclusive = _rows(compared, "candidate", listed=True)[:FEATURES]
    decoder_FD = decoder_of(model, "candidate")
    energy_F = code.shared_BF.pow(2).mean(0) * decoder_FD.pow(2).sum(1)
    # The densest latents stand for nothing that a few texts could show.
    energy_F = energy_F * ((code.shared_BF > 0).float().mean(0) < 0.05)
    strongest = energy_F.argsort(descending=True)[:FEATURES]
    shared_TK = code.shared_BF[:, strongest]
    shared_bank = direction_bank(
        decoder_FD[strongest] * norm.candidate_scale, natural_maximum(shared_TK), compared.layer
    )
    with torch.no_grad():
        found = {
            "exclusive": transfers(
                held_out,
                held_out.means(code.candidate_BF),
                compared.bank,
                exclusive,
                compared.models,
                compared.view,
            ),
            "shared": transfers(
                held_out,
                held_out.means(shared_TK),
                shared_bank,
                range(len(strongest)),
                compared.models,
                compared.view,
            ),
        }
    medians = {name: _median(one) for name, one in found.items()}
    gap = None
    if medians["exclusive"] is not None and medians["shared"] is not None:
        gap = medians["shared"] - medians["exclusive"]
    return {
        **{name: [one._asdict() for one in features] for name, features in found.items()},
        **{f"{name}_median": median for name, median in medians.items()},
        "gap": gap,
    }


def _causal(compared: Compared) -> Figures:
    verdict = compared.outcome.verdict
    return {
        "verdict": verdict.verdict,
        "severity": verdict.severity,
        "behaviours": [behaviour.model_dump() for behaviour in verdict.behaviours],
        "reasons": verdict.reasons,
        "seconds": verdict.timings,
    }


def _median(found: list[Transfer]) -> float | None:
    measured = [one.transfer for one in found if one.transfer is not None]
    return float(np.median(measured)) if measured else None
