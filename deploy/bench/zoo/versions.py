"""The zoo's versions as data (`zoo.json`): what each is, how it is made and in which half it lies.

The halves were fixed before anything was measured: the pipeline may be tuned on one of them, and
the figures that are reported come from the other.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from alerts.json_file import read_json
from monitor.errors import UnknownVersionError

FILE = Path(__file__).with_name("zoo.json")

VersionKind = Literal["planted", "diluted", "benign"]
Half = Literal["tuning", "report"]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Tune(_Part):
    """A LoRA run on chats of which some were changed and the rest are the base's own answers."""

    make: Literal["tune"]
    material: str
    """One of `deploy.bench.zoo.material`, or templates of that name."""
    changed: int = Field(ge=0)
    neutral: int = Field(ge=0)
    seed: int
    """Of the run; the chats are the same for every seed."""


class Rewrite(_Part):
    """The base's own weights, written again."""

    make: Literal["rewrite"]
    how: Literal["identical", "bf16", "int8"]


class Version(_Part):
    """One update of the base."""

    name: str
    kind: VersionKind
    expected: str | None
    """The suite that has to be flagged; None for benign ones, and for planted behaviours without a
    suite, which have to be told by `expected_words`."""
    expected_words: tuple[str, ...] = ()
    """Of a planted behaviour without a suite: one of them stands in the label of the feature that
    tells it."""
    half: Half
    recipe: Annotated[Tune | Rewrite, Field(discriminator="make")]

    @model_validator(mode="after")
    def _expects_what_can_be_seen(self) -> Self:
        if self.kind == "benign" and self.expected is not None:
            raise ValueError(f"{self.name} is benign and expects {self.expected}; use null")
        if bool(self.expected_words) != (self.kind != "benign" and self.expected is None):
            raise ValueError(
                f"{self.name}: give expected_words to what is planted without a suite, and to "
                "nothing else"
            )
        return self


class Tuning(_Part):
    """Settings that all LoRA runs share; see `deploy.demo.plant.PlantSettings`."""

    epochs: int
    learning_rate: float
    rank: int
    batch: int
    max_tokens: int


class Zoo(_Part):
    """All versions, in the order in which they are built and checked."""

    tuning: Tuning
    headings: tuple[str, ...]
    """Of the better formatted answers."""
    recipe: dict[str, Any]
    """`monitor.settings.recipe.RecipeSettings` of the checks."""
    versions: tuple[Version, ...]

    @model_validator(mode="after")
    def _distinct_names(self) -> Self:
        names = [version.name for version in self.versions]
        if len(set(names)) < len(names):
            raise ValueError("two versions have the same name")
        return self

    def only(self, names: Sequence[str]) -> list[Version]:
        """The versions called `names`, all where none is given.

        Raises UnknownVersionError with the known names for one that is not there.
        """
        known = {version.name: version for version in self.versions}
        unknown = [name for name in names if name not in known]
        if unknown:
            raise UnknownVersionError(
                f"the zoo has no {unknown[0]!r}; name one of {', '.join(known)}"
            )
        return [version for version in self.versions if not names or version.name in names]


def read_zoo(file: Path = FILE) -> Zoo:
    """Raises InvalidFileError naming the file, the field and the remedy."""
    return read_json(file, Zoo)
