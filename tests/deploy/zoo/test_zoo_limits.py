"""What the zoo's calibration says of every suite."""

from alerts.deciding.calibration import Calibration
from alerts.deciding.nulls import Null, score_nulls
from deploy.bench.zoo.limits import limits_of, limits_table


def test_the_shifts_of_the_updates_stand_beside_what_they_ask_for() -> None:
    shifts = {"calm": 0.1, "terse": -0.1}
    nulls = [Null(kind="release", of=name, score=score) for name, score in shifts.items()]
    copies = [Null(kind="perturbed", of="noise 0", score=-0.02)]
    made = Calibration(
        schema="latentwatch.calibration/1",
        line="zoo",
        base={"digest": "base", "locator": "/zoo/base"},
        recipe="recipe",
        created_at=0.0,
        alpha=0.05,
        scores={"flattery": score_nulls("suite", [*copies, *nulls], 0.05, None)},
        left_out=[],
    )
    found = limits_of(made)
    assert found["updates"] == ["calm", "terse"] and found["alpha"] == 0.05
    assert found["suites"]["flattery"] == {
        "shifts": shifts,
        "noise_floor": 0.02,
        "threshold": 0.1,
        "limit": None,
    }
    assert "| flattery | +0.10 | -0.10 | 0.02 | 0.10 | not measured |" in limits_table(found)
