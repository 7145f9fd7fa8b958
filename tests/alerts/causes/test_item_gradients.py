"""To first order, what an ablation takes off each item is known without reading the texts again."""

import numpy as np
import pytest
import torch

from alerts.causes.item_gradients import ItemGradients
from alerts.causes.pair import Pair
from alerts.causes.steering_bench import SteeringBench, ablate
from dfc.screening.base_view import BaseView
from tests.alerts.causes.agreeing import ADDED_D, MODELS, TRUE, bank, basis, suite

BANK = bank(ADDED_D, basis(0), 0.3 * basis(1) - basis(22), basis(5))
ROWS = [2, 0, 1, 3]


def test_where_a_model_is_linear_it_is_what_the_ablation_takes_off() -> None:
    bench = SteeringBench(MODELS, suite(), TRUE.layer)
    found_RI = bench.gradients.removed(BANK, ROWS)
    measured_RI = [bench.removed_of_items(BANK, ablate([row])) for row in ROWS]
    assert found_RI == pytest.approx(np.array(measured_RI), abs=1e-5)
    assert abs(found_RI[:3]).min() > 0.1 and not found_RI[3].any()


def test_another_direction_is_known_from_the_same_readings() -> None:
    bench = SteeringBench(MODELS, suite(), TRUE.layer)
    turned = BANK._replace(decoder_KD=torch.roll(BANK.decoder_KD, 1, 0))
    found_RI = bench.gradients.removed(turned, ROWS)
    measured_RI = [bench.removed_of_items(turned, ablate([row])) for row in ROWS]
    assert found_RI == pytest.approx(np.array(measured_RI), abs=1e-5)


def test_between_architectures_the_candidate_alone_is_read() -> None:
    nothing_of_the_base = Pair(None, MODELS.candidate, BaseView(0, None))  # type: ignore[arg-type]
    alone = ItemGradients(nothing_of_the_base, suite(), TRUE.layer)
    both = ItemGradients(MODELS, suite(), TRUE.layer)
    assert alone.removed(BANK, ROWS) == pytest.approx(both.removed(BANK, ROWS), abs=1e-5)
