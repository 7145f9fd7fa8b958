"""What is said of every method, from hand-made results."""

import json
from pathlib import Path

import pytest

from deploy.bench.rivals.record import OURS
from deploy.bench.rivals.report import Row, rows, summary, threshold
from deploy.bench.rivals.stored import keep_version, stored
from deploy.bench.rivals.tables import cause_table, finding_table, names_table
from monitor.errors import SettingsError
from tests.deploy.rivals.findings import finding, version, zoo


def row(method: str) -> Row:
    return next(one for one in rows(zoo()) if one.method == method)


def test_a_threshold_is_the_highest_score_of_the_tuning_half_s_benign_versions() -> None:
    assert threshold("kl", zoo()) == (1.0, 2)


def test_only_what_exceeds_the_threshold_is_flagged_and_only_the_report_half_counts() -> None:
    kl = row("kl")
    assert (kl.planted, kl.flagged) == (4, 3)  # the score of "weak" is the threshold itself
    assert (kl.diluted, kl.diluted_flagged) == (1, 0)
    assert (kl.benign, kl.false_flags) == (2, 1)
    assert (kl.without_suite, kl.without_suite_flagged) == (1, 1)


def test_without_nulls_nothing_is_said_of_a_score() -> None:
    kl = next(one for one in rows(zoo()[2:]) if one.method == "kl")
    assert kl.threshold is None
    assert kl.flagged is None and kl.false_flags is None


def test_an_own_rule_needs_no_threshold_and_names_behaviours() -> None:
    ours = row(OURS)
    assert ours.threshold is None
    assert (ours.flagged, ours.named, ours.without_suite_flagged) == (2, 2, 0)


def test_a_method_that_steers_names_what_its_directions_remove_beyond_the_control() -> None:
    assert row("sae").named == 1  # "void" is not measured, "weak" is not flagged
    assert row("kl").named is None


def test_causal_figures_are_parts_of_the_ceiling_and_a_void_edit_explains_nothing() -> None:
    sae = row("sae")
    assert sae.best == pytest.approx(0.25)
    assert sae.five == pytest.approx(0.05 / 0.8)  # of 0.5, 0 and 0.0625
    assert sae.above_control == pytest.approx(1 / 3)
    assert row("kl").five is None and row("kl").above_control is None


def test_cost_counts_the_steering_and_is_a_part_of_ours() -> None:
    assert row("sae").seconds == 50.0
    assert row("sae").cost == pytest.approx(0.5)
    assert row("kl").cost == pytest.approx(0.1)


def test_a_version_on_which_a_method_has_no_score_leaves_the_count_open() -> None:
    lost = version("lost", "planted", "report")
    kl = next(one for one in rows([*zoo(), lost]) if one.method == "kl")
    assert kl.flagged is None


def test_the_summary_is_json_with_every_method() -> None:
    told = json.loads(json.dumps(summary(zoo()), allow_nan=False))
    assert told["versions"] == 10
    assert set(told["methods"]) == {OURS, "kl", "sae"}


def test_tables_tell_what_is_not_measured_and_leave_out_methods_without_directions() -> None:
    found = rows(zoo())
    assert "| kl | 3 of 4 | 1 of 1 | not measured |" in finding_table(found)
    causes = cause_table(found)
    assert "| sae | 25 % | 6 % |" in causes
    assert "kl" not in causes


def test_a_comparison_is_kept_with_its_tables_and_read_again(tmp_path: Path) -> None:
    for one in zoo():
        found = keep_version(tmp_path, one, recipe_digest="r1", code="c1")
    assert found == zoo()
    assert stored(tmp_path) == summary(zoo())
    assert "3 versions of the tuning half, 7 of the report half" in (
        (tmp_path / "compare.md").read_text()
    )


def test_what_another_recipe_or_code_has_compared_is_set_aside(tmp_path: Path) -> None:
    one, two, three, *_ = zoo()
    again = two.model_copy(update={"version": "1" * 64})
    keep_version(tmp_path, one, recipe_digest="r1", code="c1")
    assert keep_version(tmp_path, two, recipe_digest="r1", code="c1") == [one, two]
    assert keep_version(tmp_path, again, recipe_digest="r1", code="c1") == [one, again]
    assert keep_version(tmp_path, two, recipe_digest="r2", code="c1") == [two]
    assert keep_version(tmp_path, three, recipe_digest="r2", code="c2") == [three]
    names = {"compare", "compare-r1-c1", "compare-r2-c1"}
    assert {file.stem for file in tmp_path.glob("*.json")} == names
    assert keep_version(tmp_path, three, recipe_digest="r1", code="c1") == [one, again, three]
    assert {file.stem for file in tmp_path.glob("*.json")} == names - {"compare-r1-c1"} | {
        "compare-r2-c2"
    }


def test_a_comparison_from_before_it_told_its_recipe_is_set_aside(tmp_path: Path) -> None:
    (tmp_path / "compare.json").write_text('{"versions": []}')
    one, *_ = zoo()
    assert keep_version(tmp_path, one, recipe_digest="r1", code="c1") == [one]
    assert (tmp_path / "compare-unknown-unknown.json").exists()


def test_a_report_without_results_names_the_command(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="run `latentwatch bench compare` first"):
        stored(tmp_path)


def test_names_are_shown_per_planted_version() -> None:
    seen = version("moral", "planted", "report", 4.0)
    seen.findings["kl"] = finding(score=4.0, names=[" moral", "story"])
    assert "| moral | `moral`, `story` |" in names_table([seen], "kl")
