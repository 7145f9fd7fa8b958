"""One step of training."""

import pytest
import torch

from dfc.crosscoder.config import DfcConfig
from dfc.crosscoder.loss import Variance
from dfc.crosscoder.model import Dfc
from dfc.crosscoder.training_run import GRADIENT_NORM, TrainingRun

CONFIG = DfcConfig(
    form="strict", shared=24, base_exclusive=4, candidate_exclusive=4, k=3, steps=4, batch=16
)


def gradient_norm(variance: float) -> float:
    """After one step with losses in units of this variance."""
    torch.manual_seed(0)
    run = TrainingRun(Dfc(CONFIG, 8, 8), CONFIG, seed=0)
    x_BD = torch.randn(16, 8, generator=torch.Generator().manual_seed(1))
    run.update(x_BD, x_BD.flip(0), Variance(variance, variance, variance))
    return torch.nn.utils.get_total_norm([p.grad for p in run.model.parameters()]).item()


@pytest.mark.usefixtures("float32")
def test_only_gradients_that_are_too_large_together_are_scaled() -> None:
    small = gradient_norm(100.0)
    assert 0 < small < GRADIENT_NORM
    assert gradient_norm(200.0) == pytest.approx(small / 2, rel=1e-4)
    assert gradient_norm(0.01) == pytest.approx(GRADIENT_NORM, rel=1e-4)
