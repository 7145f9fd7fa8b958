"""What an operator can set about the places where versions are published, one class per kind."""

import os
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    Field,
    HttpUrl,
    SecretStr,
    ValidationError,
    field_validator,
)

from monitor.errors import SettingsError
from monitor.settings.table import TABLE, Seconds

PUBLIC_HUB = "https://huggingface.co"
STORES = ("s3", "gs", "abfs", "file", "memory")
"""Schemes of object stores."""
_SECRET_WORDS = ("secret", "key", "token", "password", "sas", "credential")


def _not_empty(path: Any) -> Any:
    if path == "":
        raise ValueError("an empty path would be the working directory; name that one by '.'")
    return path


def plain_name(name: str) -> str:
    """`name`, if it can be the name of a file. Raises ValueError."""
    if not name.isprintable() or name in {"", ".", ".."} or "/" in name or "\\" in name:
        raise ValueError("must be a plain name without slashes")
    return name


def _shown_name(name: str) -> str:
    if not name.isprintable() or not name.strip():
        raise ValueError("must be a name that can be shown")
    return name


def store_url(url: str, schemes: Sequence[str] = STORES) -> str:
    """`url`, if it names a place in an object store and no secret. Raises ValueError."""
    scheme, separator, place = url.partition("://")
    if scheme not in schemes or not separator or not place.strip("/"):
        raise ValueError(f"must be {', '.join(f'{s}://...' for s in schemes)}")
    if "@" in place.split("/")[0] and scheme != "abfs":
        raise ValueError("must hold no name or password; set those of the store's own client")
    return url.rstrip("/")


def _repository(name: str) -> str:
    if re.fullmatch(r"[\w.-]+/[\w.-]+", name) is None:
        raise ValueError("must be the name of a repository, such as organisation/name")
    return name


def _no_secrets(options: dict[str, Any]) -> dict[str, Any]:
    for name, value in options.items():
        if isinstance(value, dict):
            _no_secrets(value)
        if any(word in name.lower() for word in _SECRET_WORDS):
            raise ValueError(
                f"{name} must not lie in the settings; remove it and set the environment "
                "variables of the store's own client, such as AWS_SECRET_ACCESS_KEY"
            )
    return options


NamedPath = Annotated[Path, BeforeValidator(_not_empty)]
PlainName = Annotated[str, AfterValidator(plain_name)]
VersionName = Annotated[str, AfterValidator(_shown_name)]
StoreOptions = Annotated[dict[str, Any], AfterValidator(_no_secrets)]


class _Table(BaseModel):
    model_config = TABLE


class HubLine(_Table):
    """A repository on the Hugging Face Hub; its commits are the versions."""

    repo: Annotated[str, AfterValidator(_repository)]
    """As `organisation/name`."""
    refs: list[str] = Field(default=["main"], min_length=1)
    """Globs for branches and tags, such as `main` or `v*`; `refs/pr/*` for pull requests."""
    commits: int = Field(default=10, ge=1, le=50)
    """Of each branch, the newest commits that are looked at, besides all since the last look."""

    def __str__(self) -> str:
        return f"Hub: {self.repo}"


class ObjectsLine(_Table):
    """A prefix in an object store; what lies one level below it are the versions."""

    url: Annotated[str, AfterValidator(store_url)]
    """Such as `s3://bucket/prefix`."""
    options: StoreOptions = {}
    """For the store's client, such as `endpoint_url`. Secrets come from the environment."""

    def __str__(self) -> str:
        return self.url


class MlflowLine(_Table):
    """A registered model of an MLflow server; its model versions are the versions."""

    model: VersionName
    trusted_alias: str | None = Field(default=None, min_length=1)
    """Whatever version has this alias is trusted, such as `champion`: whoever may set the alias
    decides then, except about what was flagged or quarantined here."""

    def __str__(self) -> str:
        return f"MLflow: {self.model}"


class AdaptersOfLine(_Table):
    """The model that LoRA adapters of a line are made for; each is checked as merged into it."""

    base: NamedPath
    """Its directory, under the same path wherever comparisons run; seen as the version `base`."""
    names: list[VersionName] = []
    """What `base_model_name_or_path` of an adapter may say, besides that path."""


class HubSettings(_Table):
    """The Hub that all lines use."""

    endpoint: HttpUrl | None = None
    """None takes HF_ENDPOINT, then https://huggingface.co."""
    token: SecretStr | None = None
    """From the environment only; without it HF_TOKEN is taken."""
    timeout_seconds: Seconds = 30.0
    """How long it may say nothing."""

    @property
    def address(self) -> str:
        """Where the Hub is, without a slash at its end. Raises SettingsError where HF_ENDPOINT is
        asked for it and could not stand in the settings."""
        chosen = self.endpoint
        if chosen is None and (found := os.environ.get("HF_ENDPOINT")):
            with _naming_variable("HF_ENDPOINT"):
                chosen = HubSettings.model_validate({"endpoint": found}).endpoint
        return str(chosen or PUBLIC_HUB).rstrip("/")

    @property
    def bearer(self) -> str | None:
        """The token, None where there is none. Raises SettingsError, which does not show it, where
        HF_TOKEN is taken for it and could not stand in the settings."""
        chosen = self.token
        if chosen is None and (found := os.environ.get("HF_TOKEN", "").strip()):
            with _naming_variable("HF_TOKEN"):
                chosen = HubSettings.model_validate({"token": found}).token
        return None if chosen is None else chosen.get_secret_value()

    @field_validator("endpoint")
    @classmethod
    def _without_secrets(cls, endpoint: HttpUrl | None) -> HttpUrl | None:
        if endpoint is not None and (endpoint.username or endpoint.password):
            raise ValueError("must hold no name or password; set LATENTWATCH_HUB__TOKEN")
        return endpoint

    @field_validator("token")
    @classmethod
    def _usable(cls, token: SecretStr | None) -> SecretStr | None:
        text = token.get_secret_value() if token else "-"
        if not (text.isascii() and text.isprintable() and text == "".join(text.split()) != ""):
            raise ValueError("must be plain ASCII without blanks")
        return token


class MlflowSettings(_Table):
    """The MLflow server that all lines use; its credentials are MLFLOW_TRACKING_* variables."""

    tracking_uri: str | None = None
    """None takes MLFLOW_TRACKING_URI."""

    @property
    def server(self) -> str | None:
        """Where the server is; None where nothing says so. Raises SettingsError where
        MLFLOW_TRACKING_URI is asked for it and could not stand in the settings."""
        found = os.environ.get("MLFLOW_TRACKING_URI")
        if self.tracking_uri is not None or not found:
            return self.tracking_uri
        with _naming_variable("MLFLOW_TRACKING_URI"):
            return MlflowSettings.model_validate({"tracking_uri": found}).tracking_uri

    @field_validator("tracking_uri")
    @classmethod
    def _a_server(cls, uri: str | None) -> str | None:
        if uri is not None:
            scheme, _, place = uri.partition("://")
            if scheme not in ("http", "https") or not place:
                raise ValueError("must begin with http:// or https://")
            if "@" in place.split("/")[0]:
                raise ValueError(
                    "must hold no name or password; set MLFLOW_TRACKING_USERNAME and "
                    "MLFLOW_TRACKING_PASSWORD"
                )
        return uri


@contextmanager
def _naming_variable(variable: str) -> Iterator[None]:
    """What is wrong with its value, without the value: it may hold a password."""
    try:
        yield
    except ValidationError as error:
        said = error.errors(include_url=False, include_input=False)[0]["msg"]
        raise SettingsError(
            f"environment variable {variable}: {said.removeprefix('Value error, ')}"
        ) from None
