"""The `latentwatch` of the person who has started the stack."""

import shlex
from collections.abc import Sequence
from pathlib import Path

from deploy.demo.watching import COMMAND
from deploy.stack.composition import Service
from deploy.stack.places import SETTINGS, Places
from monitor.settings.environment import CONFIG, ENV_PREFIX


def write_command(directory: Path, places: Places, services: Sequence[Service]) -> Path:
    """A script in `directory` that runs `latentwatch` as the alerts of the stack run it, with the
    secrets of all its processes: a person asks for everything, workers included."""
    (alerts,) = [one for one in services if one.name == "alerts"]
    secrets = {name for one in services for name in one.secrets if name.startswith(ENV_PREFIX)}
    like = places.prepare(alerts._replace(name="command", secrets=sorted(secrets)))
    variables = [f"{name}={shlex.quote(value)}" for name, value in like.environment.items()]
    variables.append(f"{CONFIG}={shlex.quote(str(like.paths[SETTINGS]))}")
    lines = [
        "#!/bin/sh",
        "# latentwatch with the settings of this stack.",
        f'exec env {" ".join(variables)} {shlex.quote(str(COMMAND))} "$@"',
    ]
    script = directory / "latentwatch"
    script.write_text("\n".join(lines) + "\n")
    script.chmod(0o755)
    return script
