"""The one settings object: what an operator can set, and the defaults.

Where the values come from is in `monitor.settings.file` and `monitor.settings.environment`. Unknown
keys are errors.
"""

from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, Self

from pydantic import (
    Field,
    SecretStr,
    field_validator,
    model_validator,
)
from pydantic_settings import (
    BaseSettings,
    InitSettingsSource,
    NestedSecretsSettingsSource,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
)

from monitor.errors import DatabaseError
from monitor.settings.alerts import AlertSettings
from monitor.settings.broker import BrokerSettings
from monitor.settings.environment import (
    ENV_PREFIX,
    refuse_unknown_variables,
    refuse_unreadable_secrets,
    secrets_directory,
)
from monitor.settings.errors import explained
from monitor.settings.explainer import ExplainerSettings
from monitor.settings.file import read_settings_file
from monitor.settings.judge import JudgeSettings
from monitor.settings.limits import LimitSettings
from monitor.settings.lines import LineSettings
from monitor.settings.recipe import RecipeSettings
from monitor.settings.route_behaviours import refuse_unmeasured
from monitor.settings.sources import (
    HubSettings,
    MlflowSettings,
    NamedPath,
)
from monitor.settings.store import StoreSettings
from monitor.settings.table import Seconds
from monitor.settings.traces import TraceSettings
from monitor.settings.webhooks import WebhookSettings


class Settings(BaseSettings):
    """Everything an operator can set."""

    model_config = SettingsConfigDict(
        env_prefix=ENV_PREFIX,
        env_nested_delimiter="__",
        extra="forbid",
        frozen=True,
        allow_inf_nan=False,
    )

    data_dir: NamedPath = Path(".latentwatch")
    database_url: SecretStr = Field(
        default_factory=lambda known: SecretStr(f"sqlite:///{known['data_dir'] / 'latentwatch.db'}")
    )
    """It may hold a password."""
    store_dir: NamedPath = Field(default_factory=lambda known: known["data_dir"] / "store")
    """Results of the stages, by key."""
    store: StoreSettings = StoreSettings()
    cache_bytes: int = Field(default=20 * 2**30, ge=0)
    """Most that cached activations may take on disk."""
    download_bytes: int = Field(default=200 * 2**30, gt=0)
    """Most that downloaded checkpoints may take on disk."""
    poll_seconds: Seconds = 30.0
    """Pause between two looks at the lines."""
    max_waiting: int = Field(default=10, ge=1)
    """Versions of a line that may wait for their comparison; the oldest are skipped for newer ones,
    and stay unchecked."""
    lines: list[LineSettings] = []
    hub: HubSettings = HubSettings()
    mlflow: MlflowSettings = MlflowSettings()
    webhooks: WebhookSettings = WebhookSettings()
    recipe: RecipeSettings = RecipeSettings()
    explainer: ExplainerSettings = ExplainerSettings()
    """Not part of the recipe: no figure depends on it."""
    judge: JudgeSettings = JudgeSettings()
    """Of `latentwatch probes run --generate`; no check asks it."""
    broker: BrokerSettings = BrokerSettings()
    """Not part of the recipe either."""
    limits: LimitSettings = LimitSettings()
    alerts: AlertSettings = AlertSettings()
    traces: TraceSettings = TraceSettings()

    @field_validator("data_dir")
    @classmethod
    def _fits_a_database_url(cls, data_dir: Path) -> Path:
        if "?" in str(data_dir):
            raise ValueError("must not contain '?', which ends the path in a database URL")
        return data_dir

    @field_validator("database_url")
    @classmethod
    def _names_a_database(cls, url: SecretStr) -> SecretStr:
        from monitor.database.url import parsed_url  # SQLAlchemy, which not every command needs

        try:
            parsed_url(url)
        except DatabaseError as error:
            raise ValueError(str(error).removeprefix("database_url: ")) from error
        return url

    @model_validator(mode="after")
    def _routes_name_watched_lines(self) -> Self:
        names = [line.name for line in self.lines]
        for number, route in enumerate(self.alerts.routes, start=1):
            for glob in route.lines:
                if not any(fnmatchcase(name, glob) for name in names) and glob != "*":
                    raise ValueError(
                        f"alerts.routes: number {number}: no line is called {glob!r}; there are "
                        f"{', '.join(names) or 'none'}; correct it, or add the line"
                    )
        return self

    @model_validator(mode="after")
    def _routes_name_measured_behaviours(self) -> Self:
        for number, route in enumerate(self.alerts.routes, start=1):
            for glob in route.behaviours:
                refuse_unmeasured(number, glob, self.recipe.suites)
        return self

    @model_validator(mode="after")
    def _batches_in_equal_parts(self) -> Self:
        processes, batch = self.limits.training_processes, self.recipe.batch
        if batch % processes:
            raise ValueError(
                f"limits.training_processes: {processes} processes can't take equal parts of a "
                f"batch of {batch}; choose a divisor, or a multiple as recipe.dfc.batch"
            )
        return self

    @model_validator(mode="after")
    def _distinct_lines(self) -> Self:
        names = [line.name for line in self.lines]
        for name in names:
            if names.count(name) > 1:
                raise ValueError(
                    f"lines: two lines have the same name {name!r}; rename or remove one"
                )
        return self

    def line(self, name: str) -> LineSettings | None:
        """The settings of the line `name`, None when it is not watched."""
        return next((line for line in self.lines if line.name == name), None)


def load_settings(config: Path | None = None, **overrides: Any) -> Settings:
    """Settings from the file `config`, then files of secrets, LATENTWATCH_* variables, `overrides`.

    Later ones win; an override that is None was not given. Relative paths in the file are relative
    to the file. Raises SettingsError that names the key, where it was set, and the remedy.
    """
    from_file = {} if config is None else read_settings_file(config)
    given = {key: value for key, value in overrides.items() if value is not None}
    refuse_unknown_variables(set(Settings.model_fields))
    refuse_unreadable_secrets()
    secrets_dir = secrets_directory()

    class Layered(Settings):
        @classmethod
        def settings_customise_sources(
            cls,
            settings_cls: type[BaseSettings],
            init_settings: PydanticBaseSettingsSource,
            env_settings: PydanticBaseSettingsSource,
            dotenv_settings: PydanticBaseSettingsSource,
            file_secret_settings: PydanticBaseSettingsSource,
        ) -> tuple[PydanticBaseSettingsSource, ...]:
            secrets = NestedSecretsSettingsSource(
                file_secret_settings, secrets_dir, secrets_dir_missing="error"
            )
            return init_settings, env_settings, secrets, InitSettingsSource(settings_cls, from_file)

    with explained(config, from_file, given):
        # A plain object: an instance of a local class can't be sent to another process.
        return Settings.model_construct(**dict(Layered(**given)))
