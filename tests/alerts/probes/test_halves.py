from alerts.probes.halves import evenly, halves, thinned
from tests.alerts.suites import suite


def test_rows_are_taken_from_the_first_to_the_last_quarter_alike() -> None:
    assert evenly(range(10), 4) == [0, 2, 5, 7]
    assert evenly("abc", 5) == ["a", "b", "c"]
    assert evenly([], 3) == []


def test_a_thinned_half_still_has_every_template() -> None:
    whole = suite(templates=8, per_template=4)
    half = halves(whole).selection
    chosen = thinned(half, 8)
    assert len(chosen.items) == 8
    assert {item.template for item in chosen.items} == {item.template for item in whole.items}
