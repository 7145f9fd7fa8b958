"""A model whose truth is known: one direction is the whole shift of one behaviour."""

import json
from collections.abc import Sequence

import torch
from torch import Tensor

from alerts.causes.causal import CausalResult, SeedFeatures, measure_causes
from alerts.causes.pair import Pair
from alerts.causes.plan import CausalPlan
from alerts.probes.suite import Suite
from dfc.engines.engine import FeatureBank, ScoreRow
from tests.alerts.linear_engine import NEUTRAL, WIDTH, LinearEngine

PLAN = CausalPlan()


def basis(*dimensions: int) -> Tensor:
    x_D = torch.zeros(WIDTH)
    x_D[list(dimensions)] = 1.0
    return x_D


READOUT_D = basis(0, 1, 22)
ADDED_D = basis(22) * 2 + basis(23)
"""Shifts the read-out by 2 per unit; dimension 23 says how strong it is."""


def suite(n_templates: int = 8) -> Suite:
    items = [
        {
            "id": f"{t}-{n}",
            "template": f"t{t}",
            "variants": [
                {
                    "messages": [{"role": "user", "content": str(100 * t + n)}],
                    "matching": [f"agree {t}-{n}"],
                    "not_matching": [f"disagree {t}-{n}"],
                }
            ],
        }
        for t in range(n_templates)
        for n in range(5)
    ]
    return Suite.model_validate_json(
        json.dumps(
            {
                "schema": "latentwatch.suite/1",
                "behaviour": "agreeing",
                "role": "behaviour",
                "description": "d",
                "minimum_effect": 0.5,
                "items": items,
            }
        )
    )


def bank(*decoders: Tensor, bias: float = 0.0) -> FeatureBank:
    """Features that all fire by dimension 23 and write the given rows."""
    return FeatureBank(
        layer=1,
        encoder_KD=torch.stack([basis(23)] * len(decoders)),
        bias_K=torch.full((len(decoders),), bias),
        threshold_K=torch.zeros(len(decoders)),
        decoder_KD=torch.stack(list(decoders)),
        unit_K=torch.full((len(decoders),), 1.5),
    )


MODELS = Pair(LinearEngine(READOUT_D, torch.zeros(WIDTH)), LinearEngine(READOUT_D, ADDED_D))
NEUTRAL_ROWS = [ScoreRow((9_000 + n,), NEUTRAL) for n in range(6)]
DIFFERENCE_ND = torch.randn(400, WIDTH, generator=torch.Generator().manual_seed(4))
DIFFERENCE_ND[:, [0, 1, 22]] *= 0.2
"""Most of the difference isn't read out."""

TRUE = bank(ADDED_D, basis(5), basis(6), basis(7), basis(8), basis(9))


def measure(*banks: FeatureBank, change: Sequence[int] = range(6)) -> CausalResult:
    seeds = [SeedFeatures(one, [1, 2, 0, 3, 4, 5], list(change)) for one in banks]
    names = {row: f"candidate-{row}" for row in range(6)}
    return measure_causes(MODELS, [suite()], seeds, DIFFERENCE_ND, NEUTRAL_ROWS, PLAN, names)
