"""What an operator can set about the model that judges answers of `latentwatch probes run`."""

from typing import ClassVar

from monitor.settings.endpoint import EndpointSettings


class JudgeSettings(EndpointSettings):
    """An OpenAI-compatible endpoint that gets the prompts of a probe suite and both models' answers
    to them."""

    key_variable: ClassVar[str] = "LATENTWATCH_JUDGE__API_KEY"
