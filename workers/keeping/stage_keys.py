"""Under which key the result of a stage lies: all that it depends on, and nothing else.

So a changed training asks no model again. A changed suite or policy trains again, because the
behaviours that have shifted have a say in what the first features must hold.
"""

from importlib import metadata
from typing import NamedTuple

from dfc.canonical import digest_of
from dfc.engines.device import native_device
from dfc.engines.precision import native_dtype
from dfc.vllm.version import installed_version
from workers.keeping.sources import sources_digest
from workers.recipe import EngineName, Recipe

LIBRARIES = ("tokenizers", "torch", "transformers")
"""By whose version a figure may differ in its last digits, or an answer in its words."""


class StageInputs(NamedTuple):
    """What the result of a stage depends on besides the two checkpoints and its code."""

    after: tuple[str, ...]
    """Stages whose results it reads."""
    recipe: tuple[str, ...]
    """Fields of the recipe that it reads itself."""


STAGES = {
    "answers": StageInputs((), ("prompts", "max_prompts", "answer_tokens", "engine")),
    "stock_phrases": StageInputs(("answers",), ("engine",)),
    "forks": StageInputs(("answers",), ()),
    "probe": StageInputs((), ("suites",)),
    "profile": StageInputs(("answers",), ("layer",)),
    "harvest": StageInputs(("answers", "profile"), ("corpus", "tokens")),
    "attribute": StageInputs(("answers", "forks", "probe", "profile"), ("dfc", "policy")),
    "train": StageInputs(("attribute", "harvest"), ("dfc", "dfc_across", "seeds")),
    "screen": StageInputs(("train",), ("screen",)),
    "steer": StageInputs(("forks", "probe", "screen"), ("policy",)),
    "side_by_side": StageInputs(("steer",), ()),
    "describe": StageInputs(("screen",), ()),
}
"""By the name of the stage's module in `workers.stages`."""


def stage_digest(stage: str, recipe: Recipe) -> str:
    """SHA-256 (hex) of everything but the checkpoints that determines the result of `stage`."""
    stages = _with_all_before(stage)
    fields = sorted({field for name in stages for field in STAGES[name].recipe})
    values = recipe.model_dump(mode="json", include=set(fields))
    return digest_of([values, stage_code(*stages, engine=values.get("engine"))])


def stage_code(*stages: str, engine: EngineName | None = None) -> str:
    """SHA-256 (hex) of the code on which the results of `stages` depend: the sources, and the
    versions of the libraries and the number format that run the models, which every stage does.

    `engine` is what writes answers in these stages, None where nothing is written.
    """
    modules = [f"workers.stages.{stage}" for stage in sorted(stages)]
    sources = sources_digest(*modules, "workers.corpora", "workers.models")
    libraries = {name: metadata.version(name) for name in LIBRARIES}
    if engine == "vllm":
        libraries["vllm"] = installed_version()
    return digest_of([sources, libraries, str(native_dtype(native_device()))])


def _with_all_before(stage: str) -> set[str]:
    found = {stage}
    for before in STAGES[stage].after:
        found |= _with_all_before(before)
    return found
