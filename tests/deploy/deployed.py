"""The processes of every deployment, as what is deployed says it: pods, containers, units."""

import re
from collections import ChainMap
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from deploy.kubernetes.rendered import OVERLAYS, rendered

DEPLOY = Path("deploy")
SYSTEMD = DEPLOY / "systemd"
UNITS = {
    "watch": "latentwatch@watch",
    "reconcile": "latentwatch@reconcile",
    "alerts": "latentwatch@alerts",
    "exporter": "latentwatch@exporter",
    "worker": "latentwatch-worker@0",
}


class Pod(NamedTuple):
    """A Deployment among the objects of its overlay."""

    name: str
    overlay: str
    deployment: dict[str, Any]
    objects: list[dict[str, Any]]

    @property
    def spec(self) -> dict[str, Any]:
        found: dict[str, Any] = self.deployment["spec"]["template"]["spec"]
        return found

    @property
    def container(self) -> dict[str, Any]:
        (only,) = self.spec["containers"]
        return dict(only)

    @property
    def labels(self) -> dict[str, str]:
        found: dict[str, str] = self.deployment["spec"]["template"]["metadata"]["labels"]
        return found

    def selected_by(self, selector: dict[str, Any]) -> bool:
        """Whether a label selector takes this pod."""
        equal = selector.get("matchLabels", {}).items() <= self.labels.items()
        return equal and all(
            rule["operator"] == "In" and self.labels.get(rule["key"]) in rule["values"]
            for rule in selector.get("matchExpressions", [])
        )

    def of_kind(self, kind: str) -> list[dict[str, Any]]:
        """The specs of the overlay's objects of this kind that select the pod."""
        key = "podSelector" if kind == "NetworkPolicy" else "selector"
        found = [one["spec"] for one in self.objects if one["kind"] == kind]
        return [spec for spec in found if self.selected_by(spec[key])]


def pods() -> dict[str, Pod]:
    """By overlay and name."""
    found = {}
    for overlay in OVERLAYS:
        objects = rendered(overlay)
        for one in objects:
            if one["kind"] == "Deployment":
                name = one["metadata"]["name"]
                found[f"{overlay}: {name}"] = Pod(name, overlay, one, objects)
    return found


def containers() -> dict[str, dict[str, Any]]:
    """The services of the compose file, of every profile."""
    composed = yaml.safe_load((DEPLOY / "compose/compose.yaml").read_text())["services"]
    return {f"compose: {name}": {"name": name} | one for name, one in composed.items()}


def units() -> dict[str, str]:
    """The text of every unit with its drop-ins."""
    return {f"systemd: {name}": unit(name) for name in UNITS}


def unit(name: str) -> str:
    """The unit of the process `name`, followed by what its drop-ins add."""
    instance = UNITS[name]
    template = SYSTEMD / f"{instance.partition('@')[0]}@.service"
    drop_ins = sorted((SYSTEMD / f"{instance}.service.d").glob("*.conf"))
    return "\n".join(file.read_text() for file in [template, *drop_ins])


def directives(text: str) -> ChainMap[str, str]:
    """The last value of every directive of a unit."""
    return ChainMap(dict(re.findall(r"^(\w+)=(.*)$", text, re.M)))


def credentials(text: str) -> dict[str, str]:
    """The credentials of a unit by id; an empty assignment begins the list anew."""
    listed: dict[str, str] = {}
    for value in re.findall(r"^LoadCredential=(.*)$", text, re.M):
        if value:
            listed |= [value.split(":", 1)]
        else:
            listed.clear()
    return listed
