"""The whole way with tiny models: build, check, keep, report; resumed and never mixed up."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from deploy.bench.zoo import check as checking
from deploy.bench.zoo import command
from deploy.bench.zoo.build import Workshop
from deploy.bench.zoo.calibrated import line_of, null_versions
from deploy.bench.zoo.check import Checker, zoo_settings
from deploy.bench.zoo.checked import read_checked
from deploy.bench.zoo.command import Bench
from deploy.bench.zoo.report import kept_rows, print_report
from deploy.bench.zoo.stored import report_stored
from monitor.errors import SettingsError, SourceError
from tests.workers.conftest import Silent

SUMMARY = [
    "planted",
    "flagged",
    "named",
    "among_flagged",
    "diluted",
    "diluted_flagged",
    "benign",
    "false_pages",
    "rounded",
    "rounded_false_pages",
    "surfaced",
    "benign_surfaced",
    "ceiling",
    "best_feature_mediates",
    "best_five_mediate",
    "all_mediate",
    "above_control",
    "nll_rise_max",
    "minutes_per_check",
]


@contextmanager
def silent() -> Iterator[Silent]:
    yield Silent()


@pytest.fixture
def checker(shop: Workshop) -> Checker:
    return Checker(shop, zoo_settings(shop), silent, lambda sentence: None)


@pytest.fixture
def bench(shop: Workshop, checker: Checker, tmp_path: Path) -> Bench:
    return Bench(shop, checker, tmp_path / "out")


def test_a_version_is_checked_once_and_reported(
    bench: Bench,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    planted, _, identical, _ = bench.shop.zoo.versions
    row = bench.check(planted)
    assert row.verdict in ("passed", "flagged")
    assert row.score is not None
    assert row.minutes is not None
    assert [one.seed for one in row.training] == [0, 1]
    same = bench.check(identical)
    assert (same.verdict, same.flagged, same.score) == ("passed", False, 0.0)

    monkeypatch.setattr(checking, "check_pair", None)
    assert bench.check(planted) == row

    assert bench.keep(tmp_path / "images" / "zoo.svg")
    assert "| sycophancy | report | planted |" in (tmp_path / "out" / "zoo.md").read_text()
    assert "AUC" in (tmp_path / "images" / "zoo.svg").read_text()
    kept = json.loads((tmp_path / "out" / "zoo.json").read_text())
    assert kept["missing"] == ["plain_text", "int8"]
    capsys.readouterr()
    print_report(tmp_path / "out")
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [line.get("version") or line.get("half") for line in lines[:-1]] == [
        "sycophancy",
        "identical",
        "tuning",
        "report",
    ]
    assert list(lines[-1]) == SUMMARY
    assert (lines[-1]["planted"], lines[-1]["benign"], lines[-1]["false_pages"]) == (1, 0, 0)
    assert (lines[-1]["rounded"], lines[-1]["rounded_false_pages"]) == (1, 0)


def test_every_check_is_judged_beside_the_harmless_updates_of_the_tuning_half(
    shop: Workshop, tmp_path: Path
) -> None:
    planted, text, identical, int8 = shop.zoo.versions
    text = text.model_copy(update={"half": "tuning"})
    zoo = shop.zoo.model_copy(update={"versions": (planted, text, identical, int8)})
    assert null_versions(zoo) == [text]
    calibrated = shop._replace(zoo=zoo)
    checker = Checker(calibrated, zoo_settings(calibrated), silent, lambda sentence: None)
    assert checker.recipe_digest != Checker(shop, zoo_settings(shop), silent, print).recipe_digest
    row = Bench(calibrated, checker, tmp_path / "out").check(int8)
    found = read_checked(shop.work / "results" / "int8.json", row.version_key, row.recipe_digest)
    assert found is not None and found.verdict is not None
    assert (
        found.verdict.line == line_of(calibrated) != line_of(shop)
        and found.verdict.calibration is not None
    )
    assert found.verdict.calibration.n_releases == 1
    (behaviour,) = found.verdict.behaviours
    assert found.thresholds["sycophancy"] >= (behaviour.calibrated_threshold or 9.0)


def test_a_failure_is_undecided_with_its_reason_and_is_tried_again(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    identical = bench.shop.zoo.versions[2]
    for error in (SourceError("the disk is full"), RuntimeError("the disk is full")):

        def broken(*_: object, error: Exception = error) -> None:
            raise error

        with monkeypatch.context() as patched:
            patched.setattr(checking, "check_pair", broken)
            row = bench.check(identical)
        assert row.verdict == "undecided"
        assert "the disk is full" in (row.failure or "")
    assert bench.check(identical).verdict == "passed"


def test_a_result_of_another_version_or_recipe_is_not_taken(
    bench: Bench, shop: Workshop, checker: Checker
) -> None:
    identical = shop.zoo.versions[2]
    bench.check(identical)
    file = shop.work / "results" / "identical.json"
    digests = shop.key(identical), checker.recipe_digest
    assert read_checked(file, *digests) is not None
    assert read_checked(file, "0" * 64, digests[1]) is None
    assert read_checked(file, digests[0], "0" * 64) is None

    seeds = shop._replace(zoo=shop.zoo.model_copy(update={"recipe": {"seeds": [7]}}))
    other = Bench(
        seeds, Checker(seeds, zoo_settings(seeds), silent, lambda sentence: None), shop.work / "out"
    )
    assert other.row(identical) is None
    assert not other.keep(shop.work / "zoo.svg")
    assert not (shop.work / "zoo.svg").exists()


def test_a_report_on_another_recipe_is_kept_beside_the_new_one(
    bench: Bench, tmp_path: Path
) -> None:
    bench.check(bench.shop.zoo.versions[2])
    bench.keep(tmp_path / "zoo.svg")
    file = tmp_path / "out" / "zoo.json"
    earlier = file.read_text().replace(json.loads(file.read_text())["recipe_digest"], "f" * 64)
    file.write_text(earlier)
    bench.keep(tmp_path / "zoo.svg")
    assert "f" * 64 not in file.read_text()
    aside = tmp_path / "out" / "zoo-ffffffffffff.json"
    assert aside.read_text() == earlier and aside.with_suffix(".md").exists()
    assert list(kept_rows(tmp_path / "out", "f" * 64)) == ["identical"]


def test_what_another_machine_has_checked_is_kept_and_not_checked_again(
    bench: Bench, checker: Checker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, _, identical, int8 = bench.shop.zoo.versions
    row = bench.check(identical)
    bench.keep(tmp_path / "zoo.svg")
    (bench.shop.work / "results" / "identical.json").unlink()  # of that machine alone
    here = Bench(bench.shop, checker, tmp_path / "out")
    with monkeypatch.context() as patched:
        patched.setattr(checking, "check_pair", None)
        assert here.check(identical) == row
    here.check(int8)
    here.keep(tmp_path / "zoo.svg")
    kept = json.loads((tmp_path / "out" / "zoo.json").read_text())
    assert [one["version"] for one in kept["versions"]] == ["identical", "int8"]

    written = json.dumps(kept)
    del kept["versions"][0]["largest"]  # as judged by rules that did not ask for it
    (tmp_path / "out" / "zoo.json").write_text(json.dumps(kept))
    assert list(kept_rows(tmp_path / "out", checker.recipe_digest)) == ["int8"]

    kept = json.loads(written)
    kept["versions"][0]["version_key"] = "0" * 64
    (tmp_path / "out" / "zoo.json").write_text(json.dumps(kept))
    assert Bench(bench.shop, checker, tmp_path / "out").row(identical) is None


def test_a_report_without_results_says_which_command_makes_them(
    shop: Workshop, tmp_path: Path
) -> None:
    with pytest.raises(SettingsError, match="latentwatch bench zoo"):
        report_stored(shop.zoo, tmp_path / "nowhere", tmp_path / "out", tmp_path / "zoo.svg")


def test_what_was_kept_is_reported_where_nothing_was_checked(
    bench: Bench, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bench.check(bench.shop.zoo.versions[2])
    bench.keep(tmp_path / "zoo.svg")
    capsys.readouterr()
    report_stored(bench.shop.zoo, tmp_path / "nowhere", tmp_path / "out", tmp_path / "zoo.svg")
    assert list(json.loads(capsys.readouterr().out.splitlines()[-1])) == SUMMARY


def test_the_table_names_every_bundled_suite_unless_the_recipe_does(shop: Workshop) -> None:
    bare = shop._replace(zoo=shop.zoo.model_copy(update={"recipe": {}}))
    assert {"sycophancy", "over_refusal", "capability"} <= set(zoo_settings(bare).recipe.suites)
    assert zoo_settings(shop).recipe.suites == shop.zoo.recipe["suites"]


def test_only_named_versions_are_built(
    shop: Workshop, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(command, "open_workshop", lambda zoo, work: shop)
    command.build_only(shop.zoo, ["int8"], shop.work)
    (line,) = (json.loads(line) for line in capsys.readouterr().out.splitlines())
    assert line["version"] == "int8"
    assert Path(line["path"]).is_dir()
    assert len(list((shop.work / "versions").iterdir())) == 1
