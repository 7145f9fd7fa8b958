"""The edit formula against numbers worked out by hand."""

import pytest
import torch

from dfc.engines.engine import Edit, FeatureBank
from dfc.engines.steering import add_delta, check_read_back, count_steered, edit_delta, plan_edits
from dfc.errors import SteeringError

CPU = torch.device("cpu")
BANK = FeatureBank(
    layer=0,
    encoder_KD=torch.tensor([[1.0, 0.0], [0.0, 2.0]]),
    bias_K=torch.tensor([-1.0, 0.0]),
    threshold_K=torch.tensor([1.5, 0.0]),
    decoder_KD=torch.tensor([[0.0, 10.0], [1.0, 0.0]]),
    unit_K=torch.tensor([4.0, 8.0]),
)
# Feature 0 has p = 1 (below its threshold) and 3 (above); feature 1 has p = 0 and 2.
X_BTD = torch.tensor([[[9.0, 9.0], [2.0, -1.0], [4.0, 1.0]]])
EDITABLE_BT = torch.tensor([[False, True, True]])


@pytest.mark.parametrize(
    ("edits", "delta"),
    [
        ([Edit(0, gain=-1.0)], [[0.0, 0.0], [0.0, -30.0]]),
        ([Edit(0, gain=1.0)], [[0.0, 0.0], [0.0, 30.0]]),
        ([Edit(1, gain=0.5)], [[0.0, 0.0], [1.0, 0.0]]),
        ([Edit(0, offset=1.0)], [[0.0, 40.0], [0.0, 40.0]]),
        ([Edit(1, gain=-1.0, offset=0.5), Edit(0, gain=-1.0)], [[4.0, 0.0], [2.0, -30.0]]),
    ],
)
def test_edits_add_what_the_formula_says(edits: list[Edit], delta: list[list[float]]) -> None:
    plan = plan_edits(BANK, [edits], CPU)
    assert plan is not None
    found = edit_delta(X_BTD, plan, EDITABLE_BT)
    assert found[0].tolist() == [[0.0, 0.0], *delta]


def test_rows_differ_and_unedited_rows_stay_bit_for_bit() -> None:
    x_BTD = torch.randn(3, 5, 2, generator=torch.Generator().manual_seed(0)).bfloat16()
    editable_BT = torch.ones(3, 5, dtype=torch.bool)
    edits = [[Edit(1, offset=1.0)], [], [Edit(0, offset=1.0), Edit(1, gain=1.0)]]
    plan = plan_edits(BANK, edits, CPU)
    assert plan is not None
    together = edit_delta(x_BTD, plan, editable_BT)
    for row in (0, 2):
        alone = plan_edits(BANK, [edits[row]], CPU)
        assert alone is not None
        torch.testing.assert_close(
            together[row : row + 1], edit_delta(x_BTD[row : row + 1], alone, editable_BT[:1])
        )
    assert torch.equal(add_delta(x_BTD, together)[1], x_BTD[1])
    kept = plan.of_rows(torch.tensor([2]))
    assert torch.equal(edit_delta(x_BTD[2:], kept, editable_BT[2:]), together[2:])


def test_no_edits_are_no_plan() -> None:
    assert plan_edits(BANK, [[], []], CPU) is None


def test_counting_refuses_an_edit_without_positions() -> None:
    assert count_steered([[Edit(0)], [], [Edit(1)]], [3, 0, 2]) == 5
    with pytest.raises(SteeringError, match="touches no position"):
        count_steered([[Edit(0)], [Edit(1)]], [3, 0])


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_read_back_tolerates_rounding_only(dtype: torch.dtype) -> None:
    generator = torch.Generator().manual_seed(0)
    x_BTD = (torch.randn(2, 30, 16, generator=generator) * 50).to(dtype)
    delta_BTD = torch.randn(2, 30, 16, generator=generator)
    check_read_back(x_BTD, add_delta(x_BTD, delta_BTD), delta_BTD)
    for wrong in (x_BTD, add_delta(x_BTD, 1.5 * delta_BTD), x_BTD * float("nan")):
        with pytest.raises(SteeringError, match="did not arrive"):
            check_read_back(x_BTD, wrong, delta_BTD)
