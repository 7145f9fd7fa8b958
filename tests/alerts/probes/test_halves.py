"""Halves share no completion, and are as alike as that allows."""

from collections import Counter
from itertools import pairwise
from random import Random
from typing import Any

import pytest

from alerts.probes.forks import BEHAVIOUR as OWN_WORDS
from alerts.probes.halves import LEAST_ITEMS, evenly, halves, thinned
from alerts.probes.shared import tied
from alerts.probes.suite import Suite, bundled_suites
from tests.alerts.suites import item, suite

BEHAVIOURS = [one for one in bundled_suites().values() if one.role == "behaviour"]


def saying(number: int, template: str, matching: str, not_matching: str = "") -> dict[str, Any]:
    """An item with these completions; without the second with one of its own."""
    one = item(number, template)
    (variant,) = one["variants"]
    variant["matching"] = [matching]
    variant["not_matching"] = [not_matching or f"Not {number}."]
    return one


def completions(half: Suite) -> set[str]:
    return {
        text
        for one in half.items
        for variant in one.variants
        for text in (*variant.matching, *variant.not_matching)
    }


def chains(lengths: list[int]) -> Suite:
    """Items of which each shares a completion with the next one of its chain, and none with
    another chain; each chain goes through all of the ten templates in turn."""
    ends = [f"chain {n} link {link}" for n, size in enumerate(lengths) for link in range(size + 1)]
    links = [(a, b) for a, b in pairwise(ends) if a.split()[1] == b.split()[1]]
    return suite(items=[saying(n, f"t{n % 10}", *link) for n, link in enumerate(links)])


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


@pytest.mark.parametrize("per_template", [1, 2, 3, 4, 5])
def test_items_that_share_nothing_are_dealt_in_turn(per_template: int) -> None:
    whole = suite(templates=9, per_template=per_template)
    both = halves(whole)
    sizes = [len(half.items) for half in both]
    assert sum(sizes) == len(whole.items) and abs(sizes[0] - sizes[1]) <= 1
    selection, report = (Counter(half.templates) for half in both)
    assert all(abs(selection[one] - report[one]) <= 1 for one in whole.templates)


def test_forks_are_dealt_one_by_one_though_the_candidate_says_the_same_at_each() -> None:
    same = [saying(n, f"fork-{n}", "As a human being, I") for n in range(12)]
    asked = suite(items=same)
    assert not halves(asked).filled
    selection, report = halves(asked.model_copy(update={"behaviour": OWN_WORDS}))
    assert (len(selection.items), len(report.items)) == (6, 6)


@pytest.mark.parametrize("bundled", BEHAVIOURS, ids=lambda one: one.behaviour)
def test_both_halves_of_a_bundled_suite_are_full_and_say_other_words(bundled: Suite) -> None:
    selection, report = halves(bundled)
    # In a choice whose options stand in both orders each letter counts once for and once against.
    assert completions(selection) & completions(report) <= {"A", "B"}
    assert {one.id for one in selection.items} | {one.id for one in report.items} == {
        one.id for one in bundled.items
    }
    for half in (selection, report):
        assert len(half.items) >= 0.4 * len(bundled.items)
        assert set(half.templates) == set(bundled.templates)


def test_what_is_shared_over_others_keeps_items_together() -> None:
    whole = chains([5, 7, 4, 6, 9, 5, 4])
    assert sorted(map(len, tied(whole.items))) == [4, 4, 5, 5, 6, 7, 9]
    selection, report = halves(whole)
    assert min(len(selection.items), len(report.items)) >= 18
    assert not completions(selection) & completions(report)
    for half in (selection, report):
        assert len(set(half.templates)) == 10


def test_a_long_chain_is_one_group_whatever_its_order() -> None:
    items = list(chains([500]).items)
    Random(3).shuffle(items)
    assert [len(group) for group in tied(items)] == [500]


def test_case_and_punctuation_do_not_part_two_completions() -> None:
    items = [saying(n, f"t{n}", ["You are right!", " you are right"][n % 2]) for n in range(8)]
    assert [len(group) for group in tied(suite(items=items).items)] == [8]


def test_a_letter_that_stands_on_both_sides_of_an_item_ties_it_to_no_other() -> None:
    items = [saying(n, f"t{n}", "(A)", "(B)") for n in range(8)]
    assert len(tied(suite(items=items).items)) == 1
    for one in items:
        one["variants"].append(saying(0, "", "(B)", "(A)")["variants"][0])
    assert len(tied(suite(items=items).items)) == 8


def test_equal_suites_are_cut_equally() -> None:
    for make in (lambda: chains([3, 8, 2, 2, 5, 1, 1]), lambda: suite(per_template=3)):
        assert halves(make()) == halves(make())


def test_where_all_share_one_completion_there_is_nothing_to_report_on() -> None:
    whole = suite(items=[saying(n, f"t{n % 9}", "Same.") for n in range(36)])
    both = halves(whole)
    assert (len(both.selection.items), len(both.report.items)) == (36, 0)
    assert not both.filled


def test_a_half_of_too_few_items_does_not_count_as_filled() -> None:
    def with_others(count: int) -> Suite:
        same = [saying(n, f"t{n % 9}", "Same.") for n in range(30)]
        return suite(items=[*same, *(item(100 + n, f"t{n}") for n in range(count))])

    assert not halves(with_others(LEAST_ITEMS - 1)).filled
    assert halves(with_others(LEAST_ITEMS)).filled
    assert halves(suite(templates=8, per_template=1)).filled
