"""What the comparison of the two language models shows, against what was planted."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from deploy.bench.architectures.comparison import Compared
from deploy.bench.architectures.corpus import FLATTERED, orders
from deploy.bench.architectures.held_out import HeldOut, codes_of, read_held_out
from deploy.bench.architectures.premise import orders_read
from deploy.bench.architectures.recall import (
    RECALLED,
    TRUE_SHARE,
    Best,
    Rows,
    alive_rows,
    best_feature,
    decoder_of,
    true_share,
    variance_explained,
)
from deploy.bench.architectures.transfer import Transfer, direction_bank, transfers
from deploy.bench.toy.crosscoders import StandardConfig
from dfc.crosscoder.model import Codes, Dfc
from dfc.crosscoder.train import train
from dfc.engines.engine import Progress
from dfc.screening.screen import natural_maximum

FEATURES = 12
"""Of the exclusive and of the shared block that are tried in both models."""

Figures = dict[str, Any]


def measure(compared: Compared, progress: Progress) -> Figures:
    """Everything but wall times, as plain JSON values."""
    held_out = read_held_out(*compared.models, compared.harvest.base_layer, compared.layer)
    code = codes_of(compared.trained, held_out.pair)
    premise = orders_read(held_out)
    return {
        "premise": premise,
        "recall": _recall(compared, held_out, code, premise["candidate"]),
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


def _recall(
    compared: Compared, held_out: HeldOut, code: Codes, orders_told: Sequence[float]
) -> Figures:
    """How well the best feature of each block tells what was planted from the rest.

    The topic are its orders, told from each other; the behaviour is what makes the candidate
    flatter, told from other opinions before the answer. That a text is about the island at all is
    asked too: the names are rare for the base, so both models may know that. Of an order no more is
    asked than a read-out of all the candidate's states can tell, ``orders_told``.
    """
    orders_N = [held_out.order(number) for number in orders()]
    island_N, plain_N = held_out.island, ~held_out.opinion
    questions = {
        "topic": [(island_N & plain_N, order_N) for order_N in orders_N],
        "behaviour": [(held_out.opinion, orders_N[FLATTERED])],
        "island": [(plain_N, island_N)],
    }
    blocks = {
        "listed": (code.candidate_BF, _rows(compared, "candidate", listed=True)),
        "candidate": (code.candidate_BF, alive_rows(code.candidate_BF)),
        "base": (code.base_BF, alive_rows(code.base_BF)),
        "shared": (code.shared_BF, alive_rows(code.shared_BF)),
    }
    found: Figures = {}
    for question, tests in questions.items():
        for block, (block_TK, rows) in blocks.items():
            best = _best(held_out.means(block_TK), tests, rows)
            found[f"{question}_{block}"] = [one._asdict() for one in best]
        told = orders_told if question == "topic" else [1.0]
        listed = found[f"{question}_listed"]
        found[f"{question}_recalled"] = bool(listed) and all(
            one["area"] >= min(RECALLED, most) for one, most in zip(listed, told, strict=True)
        )
    return found


def _best(
    means_NK: NDArray[np.float64],
    tests: list[tuple[NDArray[np.bool_], NDArray[np.bool_]]],
    rows: Rows,
) -> list[Best]:
    """The best feature of every test (among which, which of them); none without rows."""
    found = [best_feature(means_NK[among], positive[among], rows) for among, positive in tests]
    return [one for one in found if one is not None]


def least_area(found: list[Figures]) -> float | None:
    """Of several concepts the one that was found worst; None where there was no feature."""
    return min((one["area"] for one in found), default=None)


def _variance(compared: Compared, held_out: HeldOut, code: Codes, progress: Progress) -> Figures:
    """Of all held-out states, and of the candidate's on the island and in the valley."""
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
    parts = {"island": held_out.island, "valley": ~held_out.island}
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
    """Exclusive features that stand for nothing that only their model has seen: for the base, which
    has seen nothing alone, all."""
    alone = {
        "candidate": (held_out.island, code.candidate_BF),
        "base": (np.zeros_like(held_out.island), code.base_BF),
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
