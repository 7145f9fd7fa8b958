"""Every process of every deployment is closed: one table of services and properties."""

import shutil
import subprocess
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from tests.deploy.deployed import UNITS, Pod, containers, directives, pods, unit, units
from tests.services import program

EGRESS = {
    "watch": {53, 5432, 6379, 443},
    "reconcile": {53, 5432, 6379},
    "alerts": {53, 5432, 443},
    "exporter": {53, 5432, 6379},
    "worker": {53, 5432, 6379, 443},
}
INGRESS = {"exporter": {("monitoring", 9464)}, "watch": {("ingress", 8787)}}
GPU_TAINT = {"key": "nvidia.com/gpu", "operator": "Exists", "effect": "NoSchedule"}
EXPOSURE = {"worker": 25}
"""Tenths that `systemd-analyze security` may give; a worker needs devices and namespaces."""


def _egress(pod: Pod) -> set[int]:
    rules = [rule for policy in pod.of_kind("NetworkPolicy") for rule in policy.get("egress", [])]
    return {one["port"] for rule in rules for one in rule["ports"]}


def _ingress(pod: Pod) -> set[tuple[str, int]]:
    rules = [rule for policy in pod.of_kind("NetworkPolicy") for rule in policy.get("ingress", [])]
    return {
        (place["namespaceSelector"]["matchLabels"]["kubernetes.io/metadata.name"], one["port"])
        for rule in rules
        for place in rule["from"]
        for one in rule["ports"]
    }


def _denied(pod: Pod) -> bool:
    """Whether a policy for every pod of the namespace closes both ways."""
    return any(
        spec["podSelector"] == {}
        and set(spec["policyTypes"]) == {"Ingress", "Egress"}
        and "ingress" not in spec
        for spec in pod.of_kind("NetworkPolicy")
    )


def _survives_a_drain(pod: Pod) -> bool:
    alone = pod.deployment["spec"].get("replicas", 2) == 1 and pod.name != "worker"
    return bool(pod.of_kind("PodDisruptionBudget")) != alone


def _gpu(pod: Pod) -> bool:
    """Whether it asks for a GPU and tolerates its taint exactly where it should."""
    wanted = pod.name == "worker" and pod.overlay.startswith("gpu")
    asks = "nvidia.com/gpu" in pod.container["resources"]["limits"]
    return asks == wanted and (GPU_TAINT in pod.spec.get("tolerations", [])) == wanted


def _on_loopback(service: dict[str, Any]) -> bool:
    return all(port.startswith("127.0.0.1:") for port in service.get("ports", []))


def _keeps_messages(service: dict[str, Any]) -> bool:
    if service["name"] != "redis":
        return True
    command = " ".join(service["command"])
    return "--appendonly yes" in command and "--maxmemory-policy noeviction" in command


OF_A_POD: dict[str, Callable[[Pod], bool]] = {
    "nothing comes in or goes out by default": _denied,
    "only what it needs goes out": lambda pod: _egress(pod) == EGRESS[pod.name],
    "only who should comes in": lambda pod: _ingress(pod) == INGRESS.get(pod.name, set()),
    "read-only root": lambda pod: pod.container["securityContext"]["readOnlyRootFilesystem"],
    "not root": lambda pod: (
        pod.spec["securityContext"]["runAsNonRoot"] and pod.spec["securityContext"]["runAsUser"] > 0
    ),
    "no escalation": lambda pod: (
        pod.container["securityContext"]["allowPrivilegeEscalation"] is False
    ),
    "no capabilities": lambda pod: (
        pod.container["securityContext"]["capabilities"] == {"drop": ["ALL"]}
    ),
    "system calls are filtered": lambda pod: (
        pod.spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    ),
    "no token of the cluster": lambda pod: pod.spec["automountServiceAccountToken"] is False,
    "memory is limited": lambda pod: bool(pod.container["resources"]["limits"]["memory"]),
    "a share is asked for": lambda pod: (
        {"cpu", "memory"} <= pod.container["resources"]["requests"].keys()
    ),
    "survives a drain": _survives_a_drain,
    "a GPU where there should be one": _gpu,
}
OF_A_CONTAINER: dict[str, Callable[[dict[str, Any]], bool]] = {
    "read-only root": lambda service: service["read_only"],
    "not root": lambda service: int(service["user"].partition(":")[0]) > 0,
    "no escalation": lambda service: "no-new-privileges:true" in service["security_opt"],
    "no capabilities": lambda service: service["cap_drop"] == ["ALL"] and "cap_add" not in service,
    "memory is limited": lambda service: bool(service["mem_limit"]),
    "processes are limited": lambda service: service["pids_limit"] > 0,
    "starts again": lambda service: service["restart"] == "unless-stopped",
    "published on the loopback interface alone": _on_loopback,
    "messages are kept": _keeps_messages,
}
YES = (
    *("NoNewPrivileges", "ProtectHome", "PrivateTmp", "ProtectKernelTunables", "RestrictRealtime"),
    *("ProtectKernelModules", "ProtectKernelLogs", "ProtectControlGroups", "RestrictSUIDSGID"),
    *("LockPersonality", "ProtectHostname", "RemoveIPC"),
)
OF_A_UNIT: dict[str, Callable[[str], bool]] = {
    "not root": lambda text: directives(text)["User"] == "latentwatch",
    "read-only system": lambda text: directives(text)["ProtectSystem"] == "strict",
    "no capabilities": lambda text: directives(text)["CapabilityBoundingSet"] == "",
    "system calls are filtered": lambda text: (
        directives(text)["SystemCallFilter"] == "@system-service"
    ),
    "memory is limited": lambda text: directives(text)["MemoryMax"] != "infinity",
    "processes are limited": lambda text: int(directives(text)["TasksMax"]) > 0,
    "starts again": lambda text: directives(text)["Restart"] == "always",
} | {name: (lambda text, name=name: directives(text)[name] == "yes") for name in YES}

ALL: list[tuple[dict[str, Any], dict[str, Callable[[Any], bool]]]] = [
    (pods(), OF_A_POD),
    (containers(), OF_A_CONTAINER),
    (units(), OF_A_UNIT),
]


@pytest.mark.parametrize(
    ("service", "holds"),
    [
        pytest.param(service, holds, id=f"{name}: {said}")
        for services, properties in ALL
        for name, service in services.items()
        for said, holds in properties.items()
    ],
)
def test_it_is_closed(service: object, holds: Callable[[object], bool]) -> None:
    assert holds(service)


def open_pod() -> Pod:
    container = {"securityContext": {}, "resources": {"limits": {}, "requests": {}}}
    spec = {"containers": [container], "securityContext": {}}
    template = {"metadata": {"labels": {}}, "spec": spec}
    deployment = {"spec": {"replicas": 2, "template": template}}
    return Pod("worker", "gpu", deployment, [])


@pytest.mark.parametrize(
    ("service", "holds"),
    [
        pytest.param(service, holds, id=said)
        for service, properties in (
            (open_pod(), OF_A_POD),
            (
                {"name": "redis", "command": ["redis-server"], "ports": ["8080:8080"]},
                OF_A_CONTAINER,
            ),
            ("[Service]\nExecStart=/bin/true\n", OF_A_UNIT),
        )
        for said, holds in properties.items()
        if said != "only who should comes in"  # without a policy no rule lets anybody in
    ],
)
def test_the_table_tells_what_is_open(service: object, holds: Callable[[object], bool]) -> None:
    with suppress(KeyError):  # what is not said at all
        assert not holds(service)


def test_an_ingress_that_nobody_should_have_is_told() -> None:
    watch = pods()["gpu: watch"]
    policies = [one for one in watch.objects if one["kind"] == "NetworkPolicy"]
    for one in policies:
        for rule in one["spec"].get("ingress", []):
            rule["ports"].append({"port": 22})
    assert not OF_A_POD["only who should comes in"](watch)


@pytest.mark.parametrize("name", UNITS)
def test_systemd_finds_little_exposed(name: str, tmp_path: Path) -> None:
    told = _exposure(unit(name), EXPOSURE.get(name, 20), tmp_path / f"{UNITS[name]}.service")
    assert told.returncode == 0, told.stdout
    opened = unit(name).replace("SystemCallFilter=@system-service", "")
    told = _exposure(opened, EXPOSURE.get(name, 20), tmp_path / f"{UNITS[name]}.service")
    assert told.returncode != 0


def test_a_worker_s_unit_names_no_device() -> None:
    """To name one, as ProtectClock does implicitly, closes all others to it: the GPU, too."""
    found = directives(unit("worker"))
    assert not found.keys() & {"PrivateDevices", "ProtectClock", "DevicePolicy", "DeviceAllow"}


def _exposure(text: str, threshold: int, file: Path) -> subprocess.CompletedProcess[str]:
    file.write_text(text.replace("/opt/latentwatch/bin/latentwatch", str(shutil.which("true"))))
    analyze = program("systemd-analyze", "systemd")
    command = [analyze, "security", "--offline=true", f"--threshold={threshold}", "--no-pager"]
    return subprocess.run([*command, file], capture_output=True, text=True)
