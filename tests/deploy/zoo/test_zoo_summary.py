"""From hand-made rows to the summary."""

import pytest

from deploy.bench.zoo.causes import Causes
from deploy.bench.zoo.figures import row_of
from deploy.bench.zoo.roc import auc, roc
from deploy.bench.zoo.summary import more_of, rate, summarise
from deploy.bench.zoo.versions import Rewrite
from tests.alerts.samples import flagged_json
from tests.deploy.zoo.samples import a_check, a_row, a_version

MEDIATE = ("best_feature_mediates", "best_five_mediate", "all_mediate")
SURFACED = ("surfaced_rate", "without_suite_surfaced_rate", "benign_surfaced_rate")


def test_the_summary_counts_the_half_and_takes_medians_over_all_plants() -> None:
    strong = Causes(ceiling=0.8, best=0.2, five=0.4, five_low=0.1, every=0.6, control=0.1)
    weak = Causes(ceiling=0.4, best=0.1, five=0.1, every=0.4, control=0.2, nll_rise=0.04)
    missed = strong.model_copy(update={"nll_rise": 0.9})
    rows = [
        a_row("planted", flagged=True, named=True, causes=strong, minutes=10.0),
        a_row("planted", flagged=True, surfaced=True, causes=weak, minutes=20.0),
        a_row("planted", flagged=True, expected="a", behaviours=["b", "a"], causes=strong),
        a_row("planted", surfaced=True, causes=missed),
        a_row("planted", flagged=True, expected="a", behaviours=["b"]),
        a_row("diluted", flagged=True),
        a_row("diluted", surfaced=True),
        a_row("benign", flagged=True),
        a_row("benign", surfaced=True),
        a_row("benign"),
        a_row("planted", half="tuning", flagged=True, causes=missed),
    ]
    assert summarise(rows, "report") == {
        "planted": 5,
        "flagged": 4,
        "named": 1,
        "among_flagged": 1,
        "diluted": 2,
        "diluted_flagged": 1,
        "benign": 3,
        "false_pages": 1,
        "rounded": 0,
        "rounded_false_pages": 0,
        "surfaced": 2,
        "benign_surfaced": 1,
        "ceiling": pytest.approx(0.4),
        "best_feature_mediates": pytest.approx(0.25),
        "best_five_mediate": pytest.approx(0.25),
        "all_mediate": pytest.approx(0.75),
        "above_control": pytest.approx(2 / 5),
        "nll_rise_max": 0.04,
        "minutes_per_check": 15.0,
    }
    above = more_of(rows, "report")["above_control_rate"]
    assert (above["k"], above["n"]) == (2, 5)


@pytest.mark.parametrize(("how", "apart"), [("identical", True), ("bf16", True), ("int8", False)])
def test_an_update_that_changes_nothing_by_construction_stands_apart(how: str, apart: bool) -> None:
    version = a_version("benign", None).model_copy(
        update={"recipe": Rewrite(make="rewrite", how=how)}
    )
    paged = row_of(version, a_check(flagged_json()))
    assert paged.only_rounded is apart
    paged = paged.model_copy(update={"surfaced": True})
    rows = [paged, a_row("benign", score=1.0, surfaced=True), a_row("planted", score=2.0)]
    found, more = summarise(rows, "report"), more_of(rows, "report")
    counted = ("benign", "false_pages", "rounded", "rounded_false_pages", "benign_surfaced")
    assert [found[key] for key in counted] == ([1, 0, 1, 1, 1] if apart else [2, 1, 0, 0, 2])
    assert more["false_page_rate"]["n"] == more["benign_surfaced_rate"]["n"] == 2 - apart
    assert more["rounded_pages"] == ({"k": 1, "n": 1} if apart else None)
    assert more["auc"] == (1.0 if apart else 0.5)  # paged with a score of 6.9


def test_what_was_not_measured_is_null_in_the_summary() -> None:
    empty = summarise([], "report")
    assert {key for key, value in empty.items() if value is None} == {
        "ceiling",
        "best_feature_mediates",
        "best_five_mediate",
        "all_mediate",
        "above_control",
        "nll_rise_max",
        "minutes_per_check",
    }
    broken = [a_row("benign", verdict="undecided"), a_row("benign"), a_row("benign", flagged=True)]
    assert summarise(broken, "report")["false_pages"] is None
    found = more_of(broken, "report")["false_page_rate"]
    assert (found["k"], found["n"]) == (1, 2)


def test_rates_have_exact_intervals() -> None:
    assert rate([]) is None
    # All of six: the lower limit of Clopper and Pearson is 0.025 ** (1 / 6).
    found = rate([True] * 6)
    assert found == {"k": 6, "n": 6, "low": pytest.approx(0.025 ** (1 / 6)), "high": 1.0}


def test_auc_and_roc_of_hand_made_scores() -> None:
    assert auc([], [1.0]) is None
    assert auc([2.0, 1.0], [1.0, 0.0]) == pytest.approx(3.5 / 4)
    assert roc([2.0], []) == []
    assert roc([2.0, 1.0], [1.0, 0.0]) == [
        {"score": 2.0, "true_rate": 0.5, "false_rate": 0.0},
        {"score": 1.0, "true_rate": 1.0, "false_rate": 0.5},
        {"score": 0.0, "true_rate": 1.0, "false_rate": 1.0},
    ]


def test_beside_the_summary_stand_what_is_undecided_and_how_far_the_seeds_are_apart() -> None:
    training = [
        {"seed": 0, "difference_explained": 0.5},
        {"seed": 1, "difference_explained": 0.4},
    ]
    rows = [
        a_row("planted", expected="sycophancy", score=2.0, surfaced=True),
        a_row("planted", version="b", score=3.0, training=training, seed_agreement=0.8),
        a_row("benign", version="a", verdict="undecided", score=0.1, surfaced=True),
        a_row("benign", version="c", score=0.5),
    ]
    more = more_of(rows, "report")
    assert more["undecided"] == ["a"]
    assert {name: (more[name]["k"], more[name]["n"]) for name in SURFACED} == {
        "surfaced_rate": (1, 2),
        "without_suite_surfaced_rate": (0, 1),
        "benign_surfaced_rate": (1, 2),
    }
    assert more["diluted_surfaced_rate"] is None
    assert (more["auc_planted"], more["auc_diluted"]) == (1.0, None)
    unscored = more_of([*rows, a_row("benign", version="d", verdict="undecided")], "report")
    assert (unscored["auc_planted"], unscored["roc"]) == (None, [])
    assert more["seed_agreement"] == 0.8
    assert more["difference_explained_by_seeds_apart"] == pytest.approx(0.1)
