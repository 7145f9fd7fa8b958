"""Where on this machine a service's files are, and under which address each service answers.

In a container a service has names and paths to itself. Here everything is on one machine, so names,
ports and paths are replaced wherever they stand: in commands, variables and files of settings.
"""

import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

from deploy.stack.composition import Service

SECRETS = "/run/secrets"
SETTINGS = "/etc/latentwatch/latentwatch.toml"


class Prepared(NamedTuple):
    """A service as it can be started here."""

    service: Service
    entrypoint: list[str]
    command: list[str]
    environment: dict[str, str]
    paths: dict[str, Path]
    """From paths in the container to those here."""
    ports: dict[int, int]
    """By exposed port the one of this machine, on the loopback interface."""

    def __str__(self) -> str:
        return self.service.name


class Places:
    """Prepares services below an empty or earlier `directory`."""

    def __init__(
        self,
        services: Sequence[Service],
        composition: Path,
        directory: Path,
        secrets: Path,
        port: Callable[[int], int],
    ) -> None:
        """`composition` is the directory of the compose file, `secrets` that of the secrets; `port`
        says which port of this machine stands for an exposed one."""
        self._composition, self._directory, self._secrets = composition, directory, secrets
        self._port_of = {(s.name, own): port(own) for s in services for own in s.exposed}
        self._published = {
            host: self._port_of[s.name, own] for s in services for host, own in s.published.items()
        }

    def ports(self, service: Service) -> dict[int, int]:
        """By exposed port of the service the one of this machine."""
        return {own: self._port_of[service.name, own] for own in service.exposed}

    def prepare(self, service: Service) -> Prepared:
        """Lay its files out and translate what it is given."""
        root = self._directory / "services" / service.name
        paths = {SECRETS: root / SECRETS.lstrip("/")}
        files: dict[Path, Path] = {}
        for target, source in service.mounts.items():
            if source.startswith((".", "/")):
                bound = (self._composition / source).resolve()
                if bound.is_file():
                    paths[target] = root / target.lstrip("/")
                    files[paths[target]] = bound
                else:
                    paths[target] = bound
                    bound.mkdir(parents=True, exist_ok=True)
            else:
                paths[target] = self._directory / "volumes" / source
                paths[target].mkdir(parents=True, exist_ok=True)
        for name in service.secrets:
            files[paths[SECRETS] / name] = self._secrets / name
        paths[SECRETS].mkdir(parents=True, exist_ok=True)

        def here(text: str) -> str:
            return self._here(text, service, paths)

        for file, original in files.items():
            file.parent.mkdir(parents=True, exist_ok=True)
            file.touch(mode=0o600)
            file.write_text(here(original.read_text()))
        return Prepared(
            service=service,
            entrypoint=service.entrypoint,
            command=[here(one) for one in service.command],
            environment={name: here(one) for name, one in service.environment.items()},
            paths=paths,
            ports=self.ports(service),
        )

    def _here(self, text: str, service: Service, paths: dict[str, Path]) -> str:
        for (name, own), port in self._port_of.items():
            text = re.sub(rf"\b{name}:{own}\b", f"127.0.0.1:{port}", text)
        for host, port in self._published.items():
            text = re.sub(rf"\blocalhost:{host}\b", f"127.0.0.1:{port}", text)
        text = text.replace("0.0.0.0", "127.0.0.1")
        for own in service.exposed:
            port = self._port_of[service.name, own]
            text = re.sub(rf"(?<![\d.]){own}\b", str(port), text)
        for target in sorted(paths, key=len, reverse=True):
            text = re.sub(rf"(?<![\w/.-]){re.escape(target)}\b", str(paths[target]), text)
        return text
