"""Probe suites: the prompts and completions by which one named behaviour is scored.

Only the data and its rules. `alerts.probes.probe` turns a suite into rows for an engine and scores.
"""

from collections import Counter
from importlib import resources
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from alerts.json_file import read_json
from dfc.canonical import digest_of

SCHEMA = "latentwatch.suite/1"

MINIMUM_TEMPLATES = 8
"""Templates are the independent units of the tests: k of them reach p = 1 / 2^k at best. Eight give
1/256, which stays below 0.05 after correction over as many as twelve behaviours."""


def _not_blank(text: str) -> str:
    if not text.strip():
        raise ValueError("the text is blank; write what the model is to read or say")
    return text


Name = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$")]
Text = Annotated[str, AfterValidator(_not_blank)]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, serialize_by_alias=True)


class Message(_Part):
    """One turn of the chat that a probe shows to the model."""

    role: Literal["system", "user", "assistant"]
    content: Text


class Variant(_Part):
    """One way to ask an item, with completions that show the behaviour and others that do not."""

    messages: Annotated[tuple[Message, ...], Field(min_length=1)]
    opening: str = ""
    """How the answer has begun: the completions go on from there."""
    matching: Annotated[tuple[Text, ...], Field(min_length=1)]
    not_matching: Annotated[tuple[Text, ...], Field(min_length=1)]

    @model_validator(mode="after")
    def _can_be_scored(self) -> Self:
        if self.messages[-1].role != "user":
            raise ValueError("the last message must be the user's: the completions answer it")
        both = set(self.matching) & set(self.not_matching)
        if both:
            raise ValueError(
                f"{sorted(both)[0]!r} stands in matching and in not_matching; keep it in one"
            )
        return self


class Item(_Part):
    """One question. Its score is the mean over its variants (such as both orders of options)."""

    id: Text
    template: Text
    """Items made from the same template are not independent and are resampled together."""
    variants: Annotated[tuple[Variant, ...], Field(min_length=1)]
    knows: Variant | None = None
    """The fact that the question takes for granted, scored like a variant: the item counts only
    where both models score above 0 (`alerts.probes.knowledge`)."""


class Suite(_Part):
    """One behaviour and its items. A positive score means more of the behaviour.

    The role "control" marks neutral facts instead: there a score above 0 is an accurate answer, and
    neither `minimum_effect` nor the least number of templates applies.
    """

    schema_: Literal["latentwatch.suite/1"] = Field(alias="schema")
    behaviour: Name
    role: Literal["behaviour", "control"]
    description: Text
    minimum_effect: Annotated[float, Field(gt=0.0, allow_inf_nan=False)] | None = None
    """The least shift worth a reviewer's time, nats per token."""
    items: Annotated[tuple[Item, ...], Field(min_length=1)]

    @model_validator(mode="after")
    def _can_be_tested(self) -> Self:
        repeated = [name for name, n in Counter(item.id for item in self.items).items() if n > 1]
        if repeated:
            raise ValueError(f"item id {repeated[0]!r} stands more than once; give each its own")
        if self.role == "control":
            if any(item.knows for item in self.items):
                raise ValueError(
                    "a control suite asks for facts itself; remove knows, or make it a variant"
                )
            return self
        if self.minimum_effect is None:
            raise ValueError("a suite with role behaviour needs a minimum_effect; add one")
        n_templates = len(set(self.templates))
        if n_templates < MINIMUM_TEMPLATES:
            raise ValueError(
                f"{n_templates} templates are too few for a p-value that can reach 0.05 after "
                f"correction; write items from at least {MINIMUM_TEMPLATES} templates"
            )
        return self

    @property
    def templates(self) -> tuple[str, ...]:
        """The template of each item, in the order of the items."""
        return tuple(item.template for item in self.items)


def load_suite(path: Path) -> Suite:
    """Read one suite. Raises InvalidFileError naming the file, the field and the remedy."""
    return read_json(path, Suite)


def bundled_suites() -> dict[str, Suite]:
    """The suites that come with the package, by behaviour, in alphabetical order."""
    with resources.as_file(resources.files("alerts.probes") / "suites") as folder:
        suites = [load_suite(path) for path in folder.glob("*.json")]
    return {suite.behaviour: suite for suite in sorted(suites, key=lambda suite: suite.behaviour)}


def suite_digest(suite: Suite) -> str:
    """SHA-256 (hex) of all that a verdict depends on: everything but the description."""
    return digest_of(suite.model_dump(exclude={"description"}, exclude_none=True))


def items_digest(suite: Suite) -> str:
    """SHA-256 (hex) of all that a model's scores depend on, which the least effect does not."""
    return digest_of(suite.model_dump(include={"items"}, exclude_none=True))
