"""What an operator can set about workers in other processes, and about the processes that compare,
which there are without a broker, too."""

from pydantic import BaseModel, SecretStr, field_validator

from monitor.settings.table import TABLE, Seconds


class BrokerSettings(BaseModel):
    """The Redis through which workers are woken, and how long a comparison may take."""

    model_config = TABLE

    url: SecretStr | None = None
    """`redis://` or `rediss://`; with None who watches supervises the comparisons itself."""
    key_prefix: str = "latentwatch:"
    """Of all keys in Redis, so that several installations can share one."""
    deadline_seconds: Seconds = 86_400.0
    """Most that one try of a comparison may take, from its claim on, fetching included."""
    silence_seconds: Seconds = 600.0
    """How long the process that compares may say nothing before it counts as hung."""
    stall_seconds: Seconds = 7_200.0
    """How long a stage may make no step, though its process says that it is alive, before it counts
    as hung: loading large models is one step."""
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
