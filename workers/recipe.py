"""The recipe: everything besides the two checkpoints that determines the result of a diff.

Free of torch: the control plane queues diffs by the recipe's digest.
"""

from typing import Literal

from pydantic import BaseModel, ConfigDict

from dfc.canonical import digest_of
from dfc.crosscoder.config import DfcConfig, ScreenConfig
from workers.keeping.sources import sources_digest

EngineName = Literal["transformers", "vllm"]


class Recipe(BaseModel):
    """What a diff is made by. Inputs that are files stand here by their digests."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    corpus: str
    prompts: str
    suites: tuple[str, ...]
    policy: str
    maximum_nll_rise: float
    """The policy's: all that steering reads of it."""
    layer: Literal["auto"] | int
    dfc: DfcConfig
    """For two checkpoints of one architecture and tokenizer."""
    dfc_across: DfcConfig | None
    """For any other two; None where the settings ask for the tied form, which can't do that."""
    screen: ScreenConfig
    seeds: tuple[int, ...]
    tokens: int
    """Positions on which the crosscoder is trained, at most."""
    max_prompts: int
    """Prompts that both models answer, from the first on, at most."""
    answer_tokens: int
    """Length of the models' own answers, at most."""
    engine: EngineName
    """What writes the answers."""
    code: str
    """Of `code_version`."""


def recipe_digest(recipe: Recipe) -> str:
    """SHA-256 (hex) of the recipe in canonical JSON."""
    return digest_of(recipe.model_dump(mode="json"))


def code_version() -> str:
    """SHA-256 (hex) of the sources on which a verdict can depend: a result of other code is never
    taken for one of this code."""
    return sources_digest("workers.diff")
