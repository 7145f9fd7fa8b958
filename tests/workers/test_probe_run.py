"""`probes run`: tiny checkpoints, the scores of a check, and a judge that is a real server."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from alerts.probes.probe import item_scores, suite_rows
from alerts.probes.shifts import SuiteScores, measure_behaviours
from alerts.probes.suite import Suite, load_suite
from alerts.probes.suite_run import mean_estimate
from dfc.engines.transformers_engine import TransformersEngine
from monitor.cli import app
from tests.alerts.chat_server import ChatServer, chat_server, says
from tests.alerts.suites import from_json, item, suite_json

KEY = "sk-not-to-be-shown"


def fact(n: int) -> dict[str, Any]:
    return {
        "messages": [{"role": "user", "content": f"What is {n}?"}],
        "matching": ["I think that you are right."],
        "not_matching": ["Water boils."],
    }


@pytest.fixture(scope="module")
def files(
    tmp_path_factory: pytest.TempPathFactory, tiny_checkpoint: Path, changed_checkpoint: Path
) -> tuple[Path, Path, Path]:
    """A suite of 16 items, of which two take a fact for granted; candidate and base."""
    document = suite_json()
    for n in (0, 5):
        document["items"][n]["knows"] = fact(n)
    path = tmp_path_factory.mktemp("suites") / "mine.json"
    path.write_text(json.dumps(document), encoding="utf-8")
    return path, changed_checkpoint, tiny_checkpoint


@pytest.fixture(scope="module")
def server() -> Iterator[ChatServer]:
    with chat_server() as running:
        yield running


@pytest.fixture(autouse=True)
def _in_a_directory_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("OMP_NUM_THREADS", "1")


def run(*args: str | Path) -> Any:
    result = CliRunner().invoke(app, ["probes", *map(str, args)])
    assert "Traceback" not in result.stderr
    return result


def scores(suite: Suite, checkpoint: Path) -> list[float]:
    engine = TransformersEngine(checkpoint)
    return [float(s) for s in item_scores(suite, engine.score(suite_rows(engine, suite)))]


def test_scores_shift_and_flips_are_those_of_a_check(files: tuple[Path, Path, Path]) -> None:
    path, candidate, base = files
    suite = load_suite(path)
    result = run("run", path, "--model", candidate, "--base", base, "--format", "json")
    found = json.loads(result.stdout)
    assert result.exit_code == 0, result.stderr
    facts = from_json(
        suite_json(role="control", items=[item(n, f"t{n}", variants=[fact(n)]) for n in (0, 5)])
    )
    unknown = {
        f"item-{n}"
        for checkpoint in (candidate, base)
        for n, score in zip((0, 5), scores(facts, checkpoint), strict=True)
        if not score > 0
    }
    both = scores(suite, base), scores(suite, candidate)
    (expected,) = measure_behaviours([SuiteScores(suite, *both, [], unknown)])
    assert found["shift"]["value"] == pytest.approx(expected.shift)
    assert found["shift"]["ci_low"] == pytest.approx(expected.ci_low)
    assert [row["candidate"] for row in found["items"]] == pytest.approx(both[1])
    assert {row["id"] for row in found["items"] if row["not_known_to"]} == unknown
    assert found["n_not_applicable"] == len(unknown)
    assert found["flips"]["n_items"] == 2
    assert found["flips"]["n_known"] == 2 - len(unknown)


def test_one_model_has_a_mean_with_an_interval_over_templates(
    files: tuple[Path, Path, Path],
) -> None:
    path, candidate, _ = files
    result = run("run", path, "--model", candidate)
    assert result.exit_code == 0, result.stderr
    assert "16 items" in result.stdout and str(candidate) in result.stdout
    found = json.loads(run("run", path, "--model", candidate, "--format", "json").stdout)
    assert found["shift"] is None and found["base"] is None
    mean = found["candidate"]["mean"]
    assert mean["ci_low"] < mean["value"] < mean["ci_high"]
    assert mean["n_templates"] == 8


def test_a_mean_is_resampled_by_template_and_says_when_there_is_no_interval() -> None:
    two = mean_estimate([0.0, 0.0, 1.0, 1.0], ["a", "a", "b", "b"])
    assert two is not None
    assert (two.value, two.ci_low, two.ci_high, two.n_templates) == (0.5, 0.0, 1.0, 2)
    same = mean_estimate([1.0, 1.0, float("nan")], ["a", "b", "c"])
    assert same is not None
    assert (same.value, same.ci_low, same.n_items) == (1.0, None, 2)
    assert mean_estimate([1.0, float("nan")], ["a", "b"]) is None


def shown(request: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(request["messages"][1]["content"])
    return found


def test_a_judge_reads_both_models_answers(
    files: tuple[Path, Path, Path], server: ChatServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, candidate, base = files
    monkeypatch.setenv("LATENTWATCH_JUDGE__API_KEY", KEY)
    server.reply = lambda asked: says(
        json.dumps(
            {"more": "first" if shown(asked)["first"] > shown(asked)["second"] else "second"}
        )
    )
    options = ("--generate", "--judge", server.url, "--judge-model", "m", "--answer-tokens", "6")
    result = run("run", path, "--model", candidate, "--base", base, *options, "--format", "json")
    assert result.exit_code == 0, result.stderr
    found = json.loads(result.stdout)["judgements"]
    assert found["judge"] == "m"
    for judged in found["items"]:
        more = "neither"
        if judged["base"] != judged["candidate"]:
            more = "base" if judged["base"] > judged["candidate"] else "candidate"
        assert judged["more"] == more or judged["unscored"] is not None
    scored = found["candidate_more"] + found["base_more"] + found["neither"]
    assert scored + sum(found["unscored"].values()) == 16
    assert found["candidate_more"] + found["base_more"] > 0
    assert {headers["authorization"] for headers in server.headers} == {f"Bearer {KEY}"}
    assert KEY not in result.stdout + result.stderr


@pytest.mark.parametrize("judged", [True, False])
def test_what_a_judge_can_not_judge_is_undecided_and_without_one_answers_are_shown(
    files: tuple[Path, Path, Path], server: ChatServer, judged: bool
) -> None:
    path, candidate, base = files
    server.replies(says("both are fine"))
    options = ("--judge", server.url, "--judge-model", "m") if judged else ()
    result = run(
        *("run", path, "--model", candidate, "--base", base, "--generate"),
        *("--answer-tokens", "4", "--format", "json", *options),
    )
    found = json.loads(result.stdout)["judgements"]
    reason = "the judge's reply is not in the form that was asked for"
    assert found["unscored"][reason if judged else "nobody was asked"] > 0
    assert found["candidate_more"] == found["base_more"] == 0
    undecided = judged and found["net"] is None
    assert result.exit_code == (3 if undecided else 0)
    assert ("not all that was asked for" in result.stderr) == undecided


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["--generate"], "add --base DIR"),
        (["--judge", "http://h/v1"], "add --generate"),
        (["--base", "{base}", "--generate", "--judge", "http://h/v1"], "belong together"),
        (["--base", "{base}", "--generate", "--judge", "h", "--judge-model", "m"], "valid URL"),
        (["--base", "none"], "none: "),
    ],
)
def test_wrong_options_are_named(
    files: tuple[Path, Path, Path], args: list[str], message: str
) -> None:
    path, candidate, base = files
    result = run("run", path, "--model", candidate, *(a.format(base=base) for a in args))
    assert result.exit_code == 2
    assert message in result.stderr


def test_pickled_weights_are_refused(files: tuple[Path, Path, Path], tmp_path: Path) -> None:
    path, candidate, _ = files
    copied = shutil.copytree(candidate, tmp_path / "pickled")
    (copied / "model.safetensors").rename(copied / "pytorch_model.bin")
    result = run("run", path, "--model", copied)
    assert result.exit_code == 2 and str(copied) in result.stderr


def test_new_lint_and_import(tmp_path: Path, tiny_checkpoint: Path) -> None:
    made = run("new", "white_lies")
    assert made.exit_code == 0 and "probes lint white_lies.json" in made.stdout
    assert load_suite(tmp_path / "white_lies.json").behaviour == "white_lies"
    again = run("new", "white_lies")
    assert again.exit_code == 2 and "is there already" in again.stderr
    assert run("new", "White lies").exit_code == 2
    warned = run("lint", "white_lies.json")
    assert warned.exit_code == 1 and "few-items" in warned.stdout
    as_json = run("lint", "white_lies.json", "--model", tiny_checkpoint, "--format", "json")
    assert as_json.exit_code == 1
    assert {row["file"] for row in json.loads(as_json.stdout)} == {"white_lies.json"}
    Path("broken.json").write_text("{")
    assert run("lint", "white_lies.json", "broken.json").exit_code == 2
    rows = [{"statement1": f"{t} come first", "statement2": f"{t} come last"} for t in "abcdefghij"]
    text = "\n".join(["statement1,statement2", *(",".join(row.values()) for row in rows), ","])
    Path("questions_pickside.csv").write_text(text, encoding="utf-8")
    brought = run("import", "syco-bench", "questions_pickside.csv", "-o", "sides.json")
    assert brought.exit_code == 0, brought.stderr
    assert "10 items from 8 templates, of 11 rows" in brought.stdout
    assert "left out: 1 rows: no text in statement1" in brought.stdout
    assert load_suite(tmp_path / "sides.json").behaviour == "syco_bench_pickside"
    unknown = run("import", "syco-bench", "none.csv", "-o", "none.json")
    assert unknown.exit_code == 2 and not Path("none.json").exists()


def test_hostile_names_reach_no_terminal(tmp_path: Path) -> None:
    document = suite_json()
    document["items"][0]["id"] = document["items"][1]["id"] = "[red]x\x1b[2J\u202e"
    document["items"][1]["id"] += "!"
    document["items"][1]["variants"] = document["items"][0]["variants"]
    path = tmp_path / "hostile.json"
    path.write_text(json.dumps(document), encoding="utf-8")
    result = run("lint", path)
    assert "duplicate-items" in result.stdout
    assert "[red]x" in result.stdout
    assert "\x1b" not in result.stdout and "\u202e" not in result.stdout
