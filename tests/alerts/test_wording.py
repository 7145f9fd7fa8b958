"""What rounds to zero has no sign, and what was not measured is no number."""

import pytest

from alerts.wording import NOT_MEASURED, interval, number, percent, points, signed


@pytest.mark.parametrize("value", [-0.004, 0.0, -0.0, 0.004])
def test_what_rounds_to_zero_has_no_sign(value: float) -> None:
    assert number(value) == signed(value) == "0.00"
    assert percent(value) == "0\u202f%"
    assert points(value) == "0\u00a0points"


def test_what_does_not_round_to_zero_keeps_its_sign() -> None:
    assert (number(-0.006), signed(-0.006), signed(0.006)) == ("−0.01", "−0.01", "+0.01")
    assert (percent(-0.006), points(0.006)) == ("−1\u202f%", "+1\u00a0points")
    assert interval(-0.03, -0.001) == "−0.03 to 0.00"


def test_what_was_not_measured_is_called_that() -> None:
    assert {f(None) for f in (number, signed, percent, points)} == {NOT_MEASURED}
