"""What an operator can set about a model behind an OpenAI-compatible endpoint."""

from typing import TYPE_CHECKING, Any, ClassVar, Self

from pydantic import BaseModel, Field, HttpUrl, SecretStr, model_validator

from monitor.settings.table import TABLE, Seconds

if TYPE_CHECKING:
    from alerts.chat_endpoint import ChatEndpoint


class EndpointSettings(BaseModel):
    """Where it is and how it is asked; by default nobody is. What it is asked leaves the house."""

    model_config = TABLE

    key_variable: ClassVar[str]
    """The environment variable for its key."""

    base_url: HttpUrl | None = None
    """Where requests go, as OpenAI's clients take it; None asks nobody."""
    model: str | None = Field(default=None, min_length=1)
    """Name of the model there."""
    api_key: SecretStr | None = None
    """From the environment only."""
    timeout_seconds: Seconds = 60.0
    """For one attempt."""
    total_seconds: Seconds = 600.0
    """After which no further question of a check or run is asked."""
    request: dict[str, Any] = {"temperature": 0, "max_tokens": 800}
    """Further keys of every request."""

    @model_validator(mode="after")
    def _usable(self) -> Self:
        if (self.base_url is None) != (self.model is None):
            raise ValueError("base_url and model belong together: set both or none")
        if self.base_url is not None and (self.base_url.username or self.base_url.password):
            raise ValueError(f"base_url must hold no name or password; set {self.key_variable}")
        key = self.api_key.get_secret_value() if self.api_key else "-"
        if not (key.isascii() and key.isprintable() and key == "".join(key.split()) != ""):
            raise ValueError("api_key must be plain ASCII without blanks")
        return self

    def endpoint(self) -> "ChatEndpoint | None":
        """Whom to ask; None where nobody is to be asked."""
        from alerts.chat_endpoint import ChatEndpoint  # its client takes a while to import

        if self.base_url is None or self.model is None:
            return None
        return ChatEndpoint(
            base_url=str(self.base_url),
            model=self.model,
            api_key=self.api_key.get_secret_value() if self.api_key else None,
            timeout=self.timeout_seconds,
            request=self.request,
        )
