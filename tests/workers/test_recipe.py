"""The recipe's digest names everything that determines a result."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from monitor.settings import Settings
from monitor.settings.recipe import RecipeSettings
from tests.alerts.suites import suite_json
from tests.workers.conftest import changed
from workers.dispatch.claim import present_recipe
from workers.errors import InputsError
from workers.inputs import Inputs, load_inputs
from workers.recipe import recipe_digest


def digest(settings: RecipeSettings) -> str:
    return recipe_digest(load_inputs(settings).recipe)


def test_equal_recipes_have_equal_digests(settings: Settings) -> None:
    assert digest(settings.recipe) == digest(settings.recipe.model_copy(deep=True))


@pytest.mark.parametrize(
    "change",
    [
        {"seeds": [1, 0]},
        {"tokens": 601},
        {"answer_tokens": 7},
        {"max_prompts": 7},
        {"layer": 2},
        {"dfc": {"steps": 13}},
        {"screen": {"exclusivity": 0.6}},
        {"policy": {"minimum_reach": 0.3}},
        {"corpus": None},
        {"prompts": None},
        {"suites": ["sycophancy"]},
    ],
    ids=lambda change: next(iter(change)),
)
def test_every_setting_counts(settings: Settings, change: dict[str, object]) -> None:
    assert digest(settings.recipe) != digest(settings.recipe.model_copy(update=change))


def test_the_content_of_a_file_counts_and_its_place_does_not(
    settings: Settings, tmp_path: Path
) -> None:
    assert settings.recipe.corpus is not None
    copy = tmp_path / "elsewhere.jsonl"
    copy.write_bytes(settings.recipe.corpus.read_bytes())
    moved = settings.recipe.model_copy(update={"corpus": copy})
    assert digest(settings.recipe) == digest(moved)
    copy.write_bytes(copy.read_bytes() + b'\n{"text": "One more."}')
    assert digest(settings.recipe) != digest(moved)


def test_the_files_of_a_recipe_are_read_again_when_they_change_and_only_then(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[RecipeSettings] = []

    def noted(recipe: RecipeSettings) -> Inputs:
        read.append(recipe)
        return load_inputs(recipe)

    monkeypatch.setattr("workers.dispatch.claim.load_inputs", noted)
    assert settings.recipe.corpus is not None
    corpus = tmp_path / "corpus.jsonl"
    corpus.write_bytes(settings.recipe.corpus.read_bytes())
    settings = changed(settings, corpus=corpus)
    first = present_recipe(settings)
    assert first == digest(settings.recipe)
    assert present_recipe(settings.model_copy(deep=True)) == first and len(read) == 1
    corpus.write_bytes(corpus.read_bytes() + b'\n{"text": "One more."}')
    assert present_recipe(settings) == digest(settings.recipe) != first
    assert present_recipe(changed(settings, tokens=601)) != first and len(read) == 3
    corpus.unlink()
    for _ in range(2):
        with pytest.raises(InputsError, match="can't be read"):
            present_recipe(settings)


def test_the_control_plane_gets_the_digest_without_torch() -> None:
    script = (
        "import sys; from monitor.settings.recipe import RecipeSettings\n"
        "from workers.inputs import load_inputs; from workers.recipe import recipe_digest\n"
        "print(recipe_digest(load_inputs(RecipeSettings()).recipe), 'torch' in sys.modules)"
    )
    found = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert found.stdout.split() == [digest(RecipeSettings()), "False"], found.stderr


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"suites": ["syco"]}, "no bundled suite 'syco' .*sycophancy"),
        ({"suites": ["missing.json"]}, "missing.json: cannot be read"),
        ({"suites": ["sycophancy", "sycophancy"]}, "two suites are named 'sycophancy'"),
        ({"corpus": Path("no/corpus.jsonl")}, "no/corpus.jsonl: can't be read"),
        ({"prompts": Path("no/prompts.jsonl")}, "no/prompts.jsonl: can't be read"),
    ],
)
def test_an_unusable_input_is_named(
    settings: Settings, change: dict[str, object], message: str
) -> None:
    with pytest.raises(InputsError, match=message):
        load_inputs(settings.recipe.model_copy(update=change))


def test_a_wrong_suite_names_file_and_field(settings: Settings, tmp_path: Path) -> None:
    path = tmp_path / "ours.json"
    path.write_text(json.dumps({"schema": "latentwatch.suite/1", "behavior": "x"}))
    with pytest.raises(InputsError, match=r"ours\.json(.|\n)*behavior: "):
        load_inputs(settings.recipe.model_copy(update={"suites": [str(path)]}))


def test_the_name_of_what_the_candidate_says_unasked_is_no_behaviour(
    settings: Settings, tmp_path: Path
) -> None:
    path = tmp_path / "ours.json"
    path.write_text(json.dumps(suite_json(behaviour="own_words")))
    named = r"ours\.json: behaviour: 'own_words' is kept .*; give the behaviour another name"
    with pytest.raises(InputsError, match=named):
        load_inputs(settings.recipe.model_copy(update={"suites": ["sycophancy", str(path)]}))
