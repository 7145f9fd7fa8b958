"""From a compose file to running processes."""

import os
import shlex
import subprocess
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from deploy.demo.watching import COMMAND
from deploy.stack.composition import read_services
from deploy.stack.lock import locked
from deploy.stack.places import SETTINGS, Places, Prepared
from deploy.stack.stack import Stack
from monitor.settings_environment import CONFIG

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
    ones. Raises CompositionError where a service can't be run here, or
    `directory` is in use.
    """
    chosen = set(profiles)
    variables = {"CHECKPOINTS": str(directory / "checkpoints")} | dict(variables)
    if "demo" in chosen:
        variables |= FAKE_SLACK
    with locked(directory) as lock:
        (directory / "checkpoints" / "chat").mkdir(parents=True, exist_ok=True)
        services = read_services(COMPOSITION / "compose.yaml", chosen, variables)
        for one in services:
            if settings is not None and SETTINGS in one.mounts:
                one.mounts[SETTINGS] = str(settings.resolve())
        secrets = directory / "secrets"
        subprocess.run([COMPOSITION / "secrets.sh", secrets], check=True)
        places = Places(services, COMPOSITION, directory, secrets, port)
        prepared = {one.name: places.prepare(one) for one in services}
        with Stack(list(prepared.values()), directory, tell, [lock]) as stack:
            pages = {
                name: f"http://127.0.0.1:{port}/"
                for name in PAGES
                if name in prepared
                for port in prepared[name].ports.values()
            }
            yield Running(stack, pages, _command(directory, prepared["alerts"]))


def _command(directory: Path, like: Prepared) -> Path:
    """A script that runs `latentwatch` as the service `like` runs it."""
    script = directory / "latentwatch"
    variables = [f"{name}={shlex.quote(value)}" for name, value in like.environment.items()]
    variables.append(f"{CONFIG}={shlex.quote(str(like.paths[SETTINGS]))}")
    lines = [
        "#!/bin/sh",
        "# latentwatch with the settings of this stack.",
        f'exec env {" ".join(variables)} {shlex.quote(str(COMMAND))} "$@"',
    ]
    script.write_text("\n".join(lines) + "\n")
    script.chmod(0o755)
    return script
