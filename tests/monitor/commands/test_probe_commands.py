"""What the commands about probe suites say to names and figures that can't be used."""

from pathlib import Path

import pytest
from typer.testing import CliRunner

from monitor.cli import app


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_the_name_of_a_bundled_suite_is_said_to_be_taken() -> None:
    taken = CliRunner().invoke(app, ["probes", "new", "sycophancy"])
    assert taken.exit_code == 0 and "is the name of a bundled suite too" in taken.stderr
    free = CliRunner().invoke(app, ["probes", "new", "overpromising"])
    assert free.exit_code == 0 and "bundled" not in free.stderr


def test_a_name_that_no_recipe_takes_is_refused() -> None:
    result = CliRunner().invoke(app, ["probes", "new", "own_words"])
    assert result.exit_code == 2 and "choose another" in result.stderr
    assert not Path("own_words.json").exists()


@pytest.mark.parametrize("effect", ["inf", "nan", "0"])
def test_a_least_effect_that_is_no_number_is_refused(effect: str) -> None:
    given = ["model-written-evals", "x.jsonl", "-o", "x.json", "--minimum-effect", effect]
    refused = CliRunner().invoke(app, ["probes", "import", *given])
    assert refused.exit_code == 2 and "must be above 0" in refused.stderr
