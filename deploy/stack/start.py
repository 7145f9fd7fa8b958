"""From a compose file to running processes."""

import os
import subprocess
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from deploy.stack.command import write_command
from deploy.stack.composition import read_services
from deploy.stack.lock import locked
from deploy.stack.places import SETTINGS, Places
from deploy.stack.ports import refuse_taken_ports
from deploy.stack.programs import NOT_HERE
from deploy.stack.stack import Stack
from monitor.errors import SettingsError
from monitor.settings import load_settings

COMPOSITION = Path(__file__).parents[1] / "compose"
PAGES = {
    "slack": "Slack: alerts arrive here",
    "reports": "reports",
    "watch": "messages and states of versions",
    "prometheus": "Prometheus",
    "alertmanager": "Alertmanager",
    "exporter": "metrics",
}
"""Services that a person opens in the browser."""
FAKE_SLACK = {"SLACK_API_URL": "http://slack:8422/api/"}


class Running(NamedTuple):
    """A stack that runs."""

    stack: Stack
    pages: dict[str, str]
    """Addresses by service."""
    command: Path
    """`latentwatch`, with the settings of the stack."""


@contextmanager
def running_stack(
    directory: Path,
    profiles: Iterable[str],
    tell: Callable[[str], None],
    port: Callable[[int], int] = int,
    settings: Path | None = None,
    variables: Mapping[str, str] = os.environ,
) -> Iterator[Running]:
    """The services of deploy/compose below `directory`, until the block ends.

    `port` says which port stands for an exposed one; `settings` take the place of the bundled
    ones. Raises CompositionError where a service can't be run here, a port is taken or `directory`
    is in use, and SettingsError for useless settings; nothing is started or laid out then.
    """
    if settings is not None:
        _refuse_useless(settings)
    chosen = set(profiles)
    variables = {"CHECKPOINTS": str(directory / "checkpoints")} | dict(variables)
    if "demo" in chosen:
        variables |= FAKE_SLACK
    with locked(directory) as lock:
        services = read_services(COMPOSITION / "compose.yaml", chosen, variables)
        for one in services:
            if settings is not None and SETTINGS in one.mounts:
                one.mounts[SETTINGS] = str(settings.resolve())
        secrets = directory / "secrets"
        places = Places(services, COMPOSITION, directory, secrets, port)
        here = [one for one in services if one.image not in NOT_HERE]
        refuse_taken_ports((s.name, taken) for s in here for taken in places.ports(s).values())
        (directory / "checkpoints" / "chat").mkdir(parents=True, exist_ok=True)
        subprocess.run([COMPOSITION / "secrets.sh", secrets], check=True)
        prepared = {one.name: places.prepare(one) for one in here}
        with Stack(list(prepared.values()), directory, tell, [lock]) as stack:
            pages = {
                name: f"http://127.0.0.1:{port}/"
                for name in PAGES
                if name in prepared
                for port in prepared[name].ports.values()
            }
            yield Running(stack, pages, write_command(directory, places, here))


def _refuse_useless(settings: Path) -> None:
    if not load_settings(settings).lines:
        raise SettingsError(f"{settings}: no line is watched; add one ([[lines]])")
