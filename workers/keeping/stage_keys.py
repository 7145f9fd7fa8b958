"""Under which key the result of a stage lies: all that it depends on, and nothing else.

So a changed training asks no model again. Where other behaviours count as shifted, by a changed
suite, policy or calibration, it is trained again: they have a say in what the first features must
hold.
"""

from collections.abc import Sequence
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
    shifted: bool = False
    """It reads which behaviours have shifted."""


STAGES = {
    "answers": StageInputs((), ("prompts", "max_prompts", "answer_tokens", "engine")),
    "stock_phrases": StageInputs(("answers",), ("engine",)),
    "forks": StageInputs(("answers",), ()),
    "probe": StageInputs((), ("suites",)),
    "profile": StageInputs(("answers",), ("layer",)),
    "harvest": StageInputs(("answers", "profile"), ("corpus", "tokens")),
    "attribute": StageInputs(("answers", "forks", "probe", "profile"), ("dfc",), True),
    "train": StageInputs(("attribute", "harvest"), ("dfc", "dfc_across", "seeds")),
    "screen": StageInputs(("train",), ("screen",)),
    "steer": StageInputs(("forks", "probe", "screen"), ("maximum_nll_rise",), True),
    "side_by_side": StageInputs(("steer",), ()),
    "describe": StageInputs(("screen",), ()),
}
"""By the name of the stage's module in `workers.stages`."""


def stage_digest(stage: str, recipe: Recipe, shifted: Sequence[str] | None) -> str:
    """SHA-256 (hex) of everything but the checkpoints that determines the result of `stage`, where
    the behaviours `shifted` have shifted.

    Raises ValueError for a stage that depends on these while they are not known (None).
    """
    stages = _with_all_before(stage)
    fields = sorted({field for name in stages for field in STAGES[name].recipe})
    values = recipe.model_dump(mode="json", include=set(fields))
    if any(STAGES[name].shifted for name in stages):
        if shifted is None:
            raise ValueError(f"stage {stage}: not known yet which behaviours have shifted")
        values["shifted"] = list(shifted)
    return digest_of([values, stage_code(*stages, engine=values.get("engine"))])


def stage_code(*stages: str, engine: EngineName | None = None) -> str:
    """SHA-256 (hex) of the code on which the results of `stages` depend.

    `engine` is what writes answers in these stages, None where nothing is written.
    """
    return code_of(*(f"workers.stages.{stage}" for stage in sorted(stages)), engine=engine)


def code_of(*modules: str, engine: EngineName | None = None) -> str:
    """SHA-256 (hex) of the code of `modules`, which run models: the sources, and the versions of
    the libraries and the number format in which they run."""
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
