"""What an operator can set about the model that describes features; without it nobody is asked."""

from typing import Any, Self

from pydantic import BaseModel, ConfigDict, Field, HttpUrl, SecretStr, model_validator


class ExplainerSettings(BaseModel):
    """An OpenAI-compatible endpoint that gets examples of features: texts of the corpus, prompts
    and both models' answers leave the house."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    base_url: HttpUrl | None = None
    """Where requests go, as OpenAI's clients take it; None asks nobody."""
    model: str | None = Field(default=None, min_length=1)
    """Name of the model there."""
    api_key: SecretStr | None = None
    """From the environment only."""
    timeout_seconds: float = Field(default=60.0, gt=0)
    """For one attempt."""
    total_seconds: float = Field(default=600.0, gt=0)
    """After which no further question of a check is asked."""
    max_features: int = Field(default=5, ge=1)
    """Features that are described, from the first of the verdict on."""
    request: dict[str, Any] = {"temperature": 0, "max_tokens": 800}
    """Further keys of every request."""

    @model_validator(mode="after")
    def _usable(self) -> Self:
        if (self.base_url is None) != (self.model is None):
            raise ValueError("base_url and model belong together: set both or none")
        if self.base_url is not None and (self.base_url.username or self.base_url.password):
            raise ValueError(
                "base_url must hold no name or password; set LATENTWATCH_EXPLAINER__API_KEY"
            )
        key = self.api_key.get_secret_value() if self.api_key else "-"
        if not (key.isascii() and key.isprintable() and key == "".join(key.split()) != ""):
            raise ValueError("api_key must be plain ASCII without blanks")
        return self
