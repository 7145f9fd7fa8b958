"""What an operator can set about the model that describes features; without it nobody is asked."""

from typing import ClassVar

from pydantic import Field

from monitor.settings.endpoint import EndpointSettings


class ExplainerSettings(EndpointSettings):
    """An OpenAI-compatible endpoint that gets examples of features: texts of the corpus, prompts
    and both models' answers leave the house."""

    key_variable: ClassVar[str] = "LATENTWATCH_EXPLAINER__API_KEY"

    max_features: int = Field(default=5, ge=1)
    """Features that are described, from the first of the verdict on."""
