"""What an operator can set about workers in other processes; without a broker there are none."""

from pydantic import BaseModel, SecretStr, field_validator

from monitor.settings_table import TABLE, Seconds


class BrokerSettings(BaseModel):
    """The Redis through which workers are woken, and how long a comparison may take there."""

    model_config = TABLE

    url: SecretStr | None = None
    """`redis://` or `rediss://`; None compares in the watching process."""
    key_prefix: str = "latentwatch:"
    """Of all keys in Redis, so that several installations can share one."""
    deadline_seconds: Seconds = 86_400.0
    """Most that one try of a comparison may take."""
    silence_seconds: Seconds = 600.0
    """How long the process that compares may say nothing before it counts as hung."""
    grace_seconds: Seconds = 120.0
    """How long it may take to save what it did when it is told to stop."""
    reconcile_seconds: Seconds = 5.0
    """Pause between two looks at what died or got lost."""

    @field_validator("url")
    @classmethod
    def _redis(cls, url: SecretStr | None) -> SecretStr | None:
        if url is not None and not url.get_secret_value().startswith(("redis://", "rediss://")):
            raise ValueError("must begin with redis:// or rediss://")
        return url
