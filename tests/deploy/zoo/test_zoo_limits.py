"""The least effects that follow from benign updates."""

import numpy as np
import pytest

from deploy.bench.zoo.figures import Row
from deploy.bench.zoo.limits import benign_shifts, limits_found, prediction_limit


def row(version: str, kind: str, half: str, **shifts: float) -> Row:
    made_by = {"version_key": "v", "recipe_digest": "r"}
    about = {"version": version, "kind": kind, "half": half, "expected": None}
    return Row.model_validate({**about, **made_by, "shifts": shifts})


ROWS = [
    row("calm", "benign", "tuning", flattery=0.1, refusal=0.3, hostility=-0.1),
    row("terse", "benign", "tuning", flattery=-0.1, refusal=0.3, hostility=0.1),
    row("identical", "benign", "tuning", flattery=0.0, refusal=0.0, hostility=0.0),
    row("planted", "planted", "tuning", flattery=2.0, refusal=0.0, hostility=0.0),
    row("judged", "benign", "report", flattery=1.0, refusal=0.0, hostility=0.0),
]


def test_limits_come_from_benign_updates_of_the_tuning_half_that_changed_anything() -> None:
    assert list(benign_shifts(ROWS)) == ["calm", "terse"]
    found = limits_found(ROWS)
    assert (found["updates"], found["shifts"]) == (["calm", "terse"], 6)
    assert found["limit_without"]["refusal"] < found["limit"] < found["limit_without"]["flattery"]


def test_the_largest_of_several_future_shifts_stays_below_the_limit_as_often_as_it_says() -> None:
    random = np.random.default_rng(0)
    draws = random.normal(0.1, 0.2, (4000, 22 + 11))
    below = [one[22:].max() < (prediction_limit(one[:22], 11) or 0.0) for one in draws]
    assert 0.94 < np.mean(below) < 0.97


@pytest.mark.parametrize("shifts", [[], [0.1]])
def test_too_few_shifts_give_no_limit(shifts: list[float]) -> None:
    assert prediction_limit(shifts, 11) is None
    assert limits_found([])["limit"] is None
