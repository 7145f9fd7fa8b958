"""A stage's result lies under a key that names all it depends on, and nothing else."""

import re
from collections.abc import Mapping
from dataclasses import replace
from importlib import metadata
from pathlib import Path
from typing import Any, TypeVar

import pytest

from dfc.crosscoder.config import ScreenConfig, config_of
from monitor.settings import Settings
from tests.workers.conftest import changed
from workers import diff
from workers.context import Context
from workers.corpora import Corpora
from workers.inputs import Inputs, load_inputs
from workers.job import Job, side_of
from workers.keeping import sources
from workers.keeping.sources import sources_digest, what_is_run
from workers.keeping.stage_keys import STAGES, stage_digest
from workers.keeping.store import LocalStore
from workers.recipe import Recipe, code_version

ROOT = Path(__file__).parents[3]
T = TypeVar("T")


MADE_OF_HARVEST = {"train", "screen", "steer", "side_by_side", "describe"}
STALE: dict[str, tuple[object, set[str]]] = {
    "corpus": ("other", {"harvest", *MADE_OF_HARVEST}),
    "prompts": ("other", set(STAGES) - {"probe"}),
    "suites": (("other",), {"probe", "attribute", *MADE_OF_HARVEST}),
    "policy": ("other", set()),  # decisions may change, and no model is asked again
    "maximum_nll_rise": (0.07, {"steer", "side_by_side"}),
    "layer": (1, {"profile", "attribute", "harvest", *MADE_OF_HARVEST}),
    "dfc": (config_of("tied", {"steps": 13}), {"attribute", *MADE_OF_HARVEST}),
    "dfc_across": (config_of("strict", {"steps": 13}), MADE_OF_HARVEST),
    "screen": (ScreenConfig.model_validate({"exclusivity": 0.1}), MADE_OF_HARVEST - {"train"}),
    "seeds": ((5,), MADE_OF_HARVEST),
    "tokens": (601, {"harvest", *MADE_OF_HARVEST}),
    "max_prompts": (3, set(STAGES) - {"probe"}),
    "answer_tokens": (7, set(STAGES) - {"probe"}),
    "engine": ("vllm", set(STAGES) - {"probe"}),
    "code": ("other", set()),
}
"""By field another value, and the stages whose results it makes stale."""


def digests(recipe: Recipe) -> dict[str, str]:
    return {stage: stage_digest(stage, recipe, ["sycophancy"]) for stage in STAGES}


@pytest.mark.parametrize("field", Recipe.model_fields)
def test_a_change_of_the_recipe_reaches_the_stages_after_it_only(
    settings: Settings, field: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("workers.keeping.stage_keys.installed_version", lambda: "0.32.0")
    value, stale = STALE[field]
    before = load_inputs(settings.recipe).recipe
    assert getattr(before, field) != value
    old, new = digests(before), digests(before.model_copy(update={field: value}))
    assert {stage for stage in STAGES if old[stage] != new[stage]} == stale


def test_what_has_shifted_reaches_the_training_and_what_follows_it(settings: Settings) -> None:
    recipe = load_inputs(settings.recipe).recipe
    old = digests(recipe)
    new = {stage: stage_digest(stage, recipe, []) for stage in STAGES}
    assert {stage for stage in STAGES if old[stage] != new[stage]} == {
        "attribute",
        *MADE_OF_HARVEST,
    }
    assert stage_digest("harvest", recipe, None) == new["harvest"]
    with pytest.raises(ValueError, match="attribute: not known yet which behaviours"):
        stage_digest("attribute", recipe, None)


@pytest.mark.parametrize("library", ["torch", "transformers"])
def test_another_version_of_a_library_makes_every_stage_stale(
    settings: Settings, library: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe, version = load_inputs(settings.recipe).recipe, metadata.version
    old = digests(recipe)
    monkeypatch.setattr(
        metadata, "version", lambda name: "0.0" if name == library else version(name)
    )
    new = digests(recipe)
    assert all(old[stage] != new[stage] for stage in STAGES)


class Reads:
    """Progress that tells which fields of a diff's inputs were read in which stage."""

    def __init__(self) -> None:
        self.of: dict[str, set[str]] = {}
        self._stage = "none"

    def begin(self, stage: str) -> None:
        self._stage = stage.replace(" ", "_")

    def step(self, what: str, done: int, total: int) -> None:
        pass

    def end(self, stage: str, seconds: float, reused: bool) -> None:
        self._stage = "none"

    def watched(self, kind: type[T], fields: Mapping[str, str]) -> type[T]:
        """`kind` whose `fields` are noted by the recipe's names for them."""

        def read(record: T, name: str) -> object:
            if name in fields:
                self.of.setdefault(self._stage, set()).add(fields[name])
            return kind.__getattribute__(record, name)

        return type(kind.__name__, (kind,), {"__getattribute__": read})


def test_a_diff_reads_in_no_stage_what_its_key_does_not_hold(
    tiny_checkpoint: Path,
    contrary_checkpoint: Path,
    contradiction_suite: Path,
    settings: Settings,
    store: LocalStore,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    reads, opened = Reads(), diff.open_context
    recipe_kind = reads.watched(Recipe, {name: name for name in Recipe.model_fields})
    inputs_kind = reads.watched(Inputs, {"suites": "suites", "policy": "policy"})
    corpora_kind = reads.watched(Corpora, {"texts": "corpus", "prompts": "prompts"})

    def watched(*given: Any) -> Context:
        context = opened(*given)
        recipe = recipe_kind(**dict(context.inputs.recipe))
        inputs = inputs_kind(*context.inputs)._replace(recipe=recipe)
        return replace(context, inputs=inputs, corpora=corpora_kind(*context.corpora))

    monkeypatch.setattr(diff, "open_context", watched)
    suites = [str(contradiction_suite), *settings.recipe.suites[1:]]
    dfc = settings.recipe.dfc | {"steps": 80}
    job = Job(None, side_of(tiny_checkpoint), side_of(contrary_checkpoint))
    found = diff.run_diff(job, changed(settings, suites=suites, seeds=[0], dfc=dfc), store, reads)
    assert found.failure is None and found.verdict.features
    for stage, inputs in STAGES.items():
        read = reads.of.get(stage, set())
        assert read <= held(stage), stage
        # One architecture needs no form across, and prompts are cut before the first stage.
        assert set(inputs.recipe) - {"dfc_across", "max_prompts"} <= read, stage


def held(stage: str) -> set[str]:
    """The fields of the recipe that are in the key of `stage`."""
    before = [held(other) for other in STAGES[stage].after]
    return set(STAGES[stage].recipe).union(*before)


def test_every_stage_names_the_fields_of_the_recipe_that_it_reads() -> None:
    reads = {"policy": r"inputs\.policy\b", "suites": r"inputs\.(?:suites|\w+_suites)\b"}
    reads |= {field: rf"recipe\.{field}\b" for field in Recipe.model_fields if field not in reads}
    reads["corpus"], reads["prompts"] = r"corpora\.texts\b", r"corpora\.prompts\b"
    for stage in STAGES:
        source = (ROOT / "workers" / "stages" / f"{stage}.py").read_text()
        used = {field for field, pattern in reads.items() if re.search(pattern, source)}
        assert used <= held(stage), stage


def test_only_the_code_that_a_module_can_reach_counts(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "a.py").write_text("from dfc import b\nfrom dfc.c import Thing\nimport torch\n")
    (tmp_path / "b.py").write_text("def f():\n    from dfc.d import later\n")
    for name in ("c", "d", "e"):
        (tmp_path / f"{name}.py").write_text(f"{name} = 1\n")
    monkeypatch.setattr(sources.resources, "files", lambda package: tmp_path)

    def digest(name: str = "dfc.a") -> str:
        sources_digest.cache_clear()
        sources._file.cache_clear()
        return sources_digest(name)

    first = digest()
    (tmp_path / "e.py").write_text("e = 2\n")
    assert digest() == first
    for name in ("b", "c", "d"):
        file = tmp_path / f"{name}.py"
        file.write_text(file.read_text() + "more = 2\n")
        assert digest() != first
        first = digest()
    with pytest.raises(ModuleNotFoundError, match=r"dfc\.f is not a module"):
        digest("dfc.f")
    monkeypatch.undo()
    sources_digest.cache_clear()
    sources._file.cache_clear()


SOURCE = '''"""What it is."""
# Why it is so.

LIMIT = 5  # tokens
"""What the limit is of."""


def prompt(name: str) -> str:
    """As it is put."""
    return f"""Dear {name},

# No comment.
"""
'''


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("What it is.", "What it is,\n\nand more."),
        ("# Why it is so.\n", ""),
        ("What the limit is of.", "Of what."),
        ("As it is put.", "So."),
        ("\n\n\ndef", "\n\n\n\n\ndef"),
    ],
)
def test_what_is_only_read_does_not_count(old: str, new: str) -> None:
    changed = SOURCE.replace(old, new)
    assert what_is_run(changed.encode()) == what_is_run(SOURCE.encode())


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("5", "6"),
        ("# No comment.", "# no comment."),
        ("Dear {name},\n\n", "Dear {name},\n"),
        ("Dear", "dear"),
        ("return f", "return"),
    ],
)
def test_what_is_run_counts(old: str, new: str) -> None:
    assert old in SOURCE
    changed = SOURCE.replace(old, new)
    assert what_is_run(changed.encode()) != what_is_run(SOURCE.encode())


def test_modules_that_carry_results_are_there_and_do_not_count() -> None:
    missing = [m for m in sources.CARRIERS if not (ROOT / f"{m.replace('.', '/')}.py").is_file()]
    assert missing == []
    closure = sources._closure(("workers.diff",))
    assert {"dfc.crosscoder.train", "alerts.deciding.policy", "workers.stages.steer"} <= set(
        closure
    )
    assert not set(closure) & sources.CARRIERS
    assert len(code_version()) == 64
