"""What an operator can set about how versions are compared."""

from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, Field, field_validator, model_validator

from monitor.settings.sources import NamedPath
from monitor.settings.table import TABLE

BUNDLED_SUITES = (
    "sycophancy",
    "sure_flips",
    "over_refusal",
    "copyright_refusal",
    "harmful_compliance",
    "medical_compliance",
    "hostile_tone",
    "brand_promotion",
    "censorship",
    "exceptionalism",
    "power_supervision",
    "capability",
)


class RecipeSettings(BaseModel):
    """What determines the result of a diff."""

    model_config = TABLE

    corpus: NamedPath | None = None
    """JSONL of texts and chats; None takes the bundled one."""
    prompts: NamedPath | None = None
    """JSONL of prompts that both models answer; None takes the bundled ones."""
    suites: list[str] = Field(default=list(BUNDLED_SUITES), min_length=1)
    """Names of bundled probe suites, or paths that end in .json."""
    layer: Literal["auto"] | Annotated[int, Field(ge=0)] = "auto"
    """Residual stream after this block (0-based)."""
    seeds: list[Annotated[int, Field(ge=0, lt=2**31)]] = Field(default=[0, 1], min_length=1)
    """One crosscoder is trained per seed."""
    tokens: int = Field(default=200_000, ge=1)
    """Positions on which the crosscoder is trained, at most."""
    max_prompts: int = Field(default=360, ge=1)
    """Prompts that both models answer, from the first on, at most."""
    answer_tokens: int = Field(default=64, ge=1)
    """Length of the models' own answers, at most."""
    engine: Literal["transformers", "vllm"] = "transformers"
    """What writes the models' answers; transformers does everything else (docs/engines.md)."""
    dfc: dict[str, Any] = {}
    """What differs from the defaults of `dfc.crosscoder.config.DfcConfig`."""
    screen: dict[str, Any] = {}
    """What differs from the defaults of `dfc.crosscoder.config.ScreenConfig`."""
    policy: dict[str, Any] = {}
    """What differs from `alerts/deciding/policies/default.json`."""

    @field_validator("seeds")
    @classmethod
    def _distinct(cls, seeds: list[int]) -> list[int]:
        if len(set(seeds)) < len(seeds):
            raise ValueError("every seed may be named once only")
        return seeds

    @model_validator(mode="after")
    def _a_batch_at_least(self) -> Self:
        if self.tokens < self.batch:
            raise ValueError(
                f"tokens is {self.tokens}, fewer than one batch ({self.batch}); raise "
                "recipe.tokens, or lower recipe.dfc.batch"
            )
        return self

    @property
    def batch(self) -> int:
        """Positions of one step of the training."""
        from dfc.crosscoder.config import config_of

        return config_of("tied", self.dfc).batch

    @field_validator("dfc")
    @classmethod
    def _known_to_the_method(cls, overrides: dict[str, Any]) -> dict[str, Any]:
        from dfc.crosscoder.config import config_of

        config_of("tied", overrides)
        if overrides.get("form") != "tied":
            config_of("strict", overrides)
        return overrides

    @field_validator("screen")
    @classmethod
    def _known_to_the_screening(cls, overrides: dict[str, Any]) -> dict[str, Any]:
        from dfc.crosscoder.config import ScreenConfig

        ScreenConfig.model_validate(overrides)
        return overrides

    @field_validator("policy")
    @classmethod
    def _known_to_the_policy(cls, overrides: dict[str, Any]) -> dict[str, Any]:
        from alerts.deciding.policy import policy_of

        policy_of(overrides)
        return overrides
