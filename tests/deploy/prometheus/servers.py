"""A real Prometheus and a real Alertmanager with the deployed configuration, on free ports."""

import json
import subprocess
import time
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import yaml

from tests.services import START_SECONDS, free_port, program

DEPLOYED = Path("deploy/prometheus")


class _Server:
    """Runs in `directory` until the block ends."""

    ready: str

    def __init__(self, directory: Path, command: list[str]) -> None:
        self._command = command
        self._log = (directory / f"{Path(command[0]).name}.log").open("w+")

    def __enter__(self) -> Self:
        self._process = subprocess.Popen(self._command, stdout=self._log, stderr=self._log)
        deadline = time.monotonic() + START_SECONDS
        while True:
            try:
                urllib.request.urlopen(self.ready).close()
                return self
            except OSError:
                if time.monotonic() > deadline or self._process.poll() is not None:
                    self._log.seek(0)
                    raise AssertionError(f"does not start: {self._log.read()}") from None
                time.sleep(0.05)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._process.kill()
        self._process.wait()
        self._log.close()


class Alertmanager(_Server):
    """Posts to `receivers` at a path of the receiver's name; `group_wait` takes the place of what
    is deployed."""

    def __init__(self, directory: Path, receivers: str, group_wait: str | None = None) -> None:
        self.address = f"127.0.0.1:{free_port()}"
        self.ready = f"http://{self.address}/-/ready"
        config = yaml.safe_load((DEPLOYED / "alertmanager.yml").read_text())
        if group_wait is not None:
            config["route"]["group_wait"] = group_wait
        for receiver in config["receivers"]:
            for webhook in receiver["webhook_configs"]:
                webhook["url"] = f"{receivers}/{receiver['name']}"
        file = directory / "alertmanager.yml"
        file.write_text(yaml.safe_dump(config))
        command = [program("prometheus-alertmanager", "prometheus-alertmanager")]
        command += [f"--config.file={file}", f"--storage.path={directory / 'alertmanager'}"]
        command += [f"--web.listen-address={self.address}", "--cluster.listen-address="]
        super().__init__(directory, command)


class Prometheus(_Server):
    """Scrapes `exporter` and evaluates the deployed rules, both every second."""

    def __init__(self, directory: Path, exporter: str = "", alertmanager: str = "") -> None:
        self.address = f"127.0.0.1:{free_port()}"
        self.ready = f"http://{self.address}/-/ready"
        config = yaml.safe_load((DEPLOYED / "prometheus.yml").read_text())
        config["global"] |= {"scrape_interval": "1s", "evaluation_interval": "1s"}
        config["rule_files"] = [str((DEPLOYED / "rules.yml").resolve())]
        _point(config["alerting"]["alertmanagers"][0], alertmanager)
        _point(config["scrape_configs"][0], exporter)
        file = directory / "prometheus.yml"
        file.write_text(yaml.safe_dump(config))
        command = [program("prometheus", "prometheus"), f"--config.file={file}"]
        command += [f"--storage.tsdb.path={directory / 'prometheus'}"]
        command += [f"--web.listen-address={self.address}"]
        # What fires before Alertmanager has been found would be sent again a minute later.
        command += ["--rules.alert.resend-delay=1s"]
        super().__init__(directory, command)

    def query(self, expression: str) -> list[Any]:
        """The instant vector of `expression`, as the HTTP API gives it."""
        asked = urllib.parse.urlencode({"query": expression})
        try:
            with urllib.request.urlopen(f"http://{self.address}/api/v1/query?{asked}") as answer:
                found: list[Any] = json.load(answer)["data"]["result"]
                return found
        except urllib.error.HTTPError as error:
            raise AssertionError(f"{expression}: {error.read().decode()}") from error


def _point(section: dict[str, Any], address: str) -> None:
    section["static_configs"] = [{"targets": [address] if address else []}]
