"""Evidence: what a reviewer has to know about the figures."""

import pytest

from workers.evidence_records import attribution_caveats
from workers.stages.attribute import Attribution


def attribution(gained: float | None, attributed: float | None) -> Attribution:
    return Attribution(
        directions=16, rows=64, gained=gained, attributed=attributed, carried=1.0, energy=0.3
    )


@pytest.mark.parametrize(
    ("gained", "attributed"),
    [(1421.6, 1500.8), (100.0, 51.0), (0.1, 0.5), (-0.2, 0.1), (None, None)],
)
def test_gradients_that_account_for_the_gain_need_no_caveat(
    gained: float | None, attributed: float | None
) -> None:
    assert attribution_caveats(attribution(gained, attributed)) == []


@pytest.mark.parametrize(("gained", "attributed"), [(100.0, 40.0), (100.0, 160.0), (0.1, 0.7)])
def test_gradients_that_miss_the_gain_are_told(gained: float, attributed: float) -> None:
    (caveat,) = attribution_caveats(attribution(gained, attributed))
    assert "may not be those that move its words" in caveat


def test_nothing_attributed_is_nothing_to_tell() -> None:
    assert attribution_caveats(None) == []
