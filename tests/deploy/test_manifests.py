"""Images, manifests and units, by whatever can be said of them without running them."""

import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml
from typer.testing import CliRunner

from deploy.kubernetes.rendered import OVERLAYS, rendered
from deploy.stack.composition import read_services
from monitor.cli import app
from monitor.settings import load_settings
from tests.services import program

DEPLOY = Path("deploy")
KUBERNETES = DEPLOY / "kubernetes"
PROFILES = ["cpu", "gpu", "demo"]
MODELS_ONLY = {"torch", "transformers", "safetensors"}
"""What only those need who run models."""


def pods(overlay: str) -> dict[str, dict[str, Any]]:
    return {
        one["metadata"]["name"]: one["spec"]["template"]["spec"]
        for one in rendered(overlay)
        if one["kind"] == "Deployment"
    }


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_kubernetes_would_take_every_object(overlay: str) -> None:
    for one in rendered(overlay):
        if one["apiVersion"].startswith("keda.sh/"):
            continue  # no schema of ours; its target and query are checked below
        kubernetes_validate.validate(one, "1.32", strict=True)


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_every_pod_has_the_settings_where_it_looks_for_them(overlay: str) -> None:
    found = pods(overlay)
    assert set(found) == {"watch", "reconcile", "alerts", "exporter", "worker"}
    for name, pod in found.items():
        (container,) = pod["containers"]
        mounts = {mount["name"]: mount["mountPath"] for mount in container["volumeMounts"]}
        assert {volume["name"] for volume in pod["volumes"]} == set(mounts), name
        values = {one["name"]: one["value"] for one in container["env"]}
        assert values["LATENTWATCH_SECRETS_DIR"] == mounts["secrets"]
        assert values["LATENTWATCH_CONFIG"] == f"{mounts['settings']}/latentwatch.toml"


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_what_is_served_is_found_by_its_service_and_probed(overlay: str) -> None:
    services = {
        one["metadata"]["name"]: one["spec"]
        for one in rendered(overlay)
        if one["kind"] == "Service"
    }
    assert set(services) == {"exporter", "watch"}
    for name, service in services.items():
        (container,) = pods(overlay)[name]["containers"]
        assert service["selector"]["app.kubernetes.io/component"] == name
        (served,), (listened,) = service["ports"], container["ports"]
        assert served["targetPort"] == listened["name"]
        assert str(served["port"]) == str(listened["containerPort"])
        asked = container["livenessProbe"]["httpGet"]
        assert asked == {"path": "/healthz", "port": listened["name"]}
    (watch,) = pods(overlay)["watch"]["containers"]
    assert watch["readinessProbe"]["httpGet"] == {"path": "/healthz", "port": "api"}
    values = {one["name"]: one["value"] for one in watch["env"]}
    assert values["LATENTWATCH_WEBHOOKS__HOST"] == "0.0.0.0"
    assert values["LATENTWATCH_WEBHOOKS__PORT"] == str(watch["ports"][0]["containerPort"])


def test_the_autoscaler_follows_what_is_queued_and_what_runs(tmp_path: Path) -> None:
    (scaled,) = [one for one in rendered("gpu-keda") if one["kind"] == "ScaledObject"]
    (worker,) = [
        one
        for one in rendered("gpu-keda")
        if one["kind"] == "Deployment" and one["metadata"]["name"] == "worker"
    ]
    assert scaled["spec"]["scaleTargetRef"] == {"name": worker["metadata"]["name"]}
    assert scaled["metadata"]["namespace"] == worker["metadata"]["namespace"]
    assert "replicas" not in worker["spec"]
    (trigger,) = scaled["spec"]["triggers"]
    assert trigger["metadata"]["ignoreNullValues"] == "false"  # else a lost exporter ends them all
    jobs = [_counts("jobs", state, f"{n}") for state, n in (("queued", 1), ("running", 2))]
    questions = [_counts("questions", state, f"{n}") for state, n in (("queued", 4), ("done", 8))]
    cases: list[tuple[list[dict[str, str]], list[float]]]
    cases = [(jobs + questions, [7.0]), (jobs, [3.0]), (questions, []), ([], [])]
    written = {
        "tests": [
            {
                "input_series": series,
                "promql_expr_test": [
                    {
                        "expr": trigger["metadata"]["query"],
                        "eval_time": "1m",
                        "exp_samples": [{"labels": "{}", "value": one} for one in wanted],
                    }
                ],
            }
            for series, wanted in cases
        ]
    }
    (tmp_path / "query.yml").write_text(yaml.safe_dump(written))
    done = subprocess.run(
        [program("promtool", "prometheus"), "test", "rules", tmp_path / "query.yml"],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def _counts(metric: str, state: str, value: str) -> dict[str, str]:
    return {"series": f'latentwatch_{metric}{{state="{state}"}}', "values": f"{value}x5"}


def test_a_worker_with_a_gpu_says_which_and_its_liveness_asks_after_its_name() -> None:
    for overlay in OVERLAYS:
        (worker,) = pods(overlay)["worker"]["containers"]
        asked = worker["livenessProbe"]["exec"]["command"]
        wanted = ["--gpu", "0"] if "nvidia.com/gpu" in worker["resources"]["limits"] else []
        assert (worker["args"][3:], asked[3:]) == (wanted, wanted), overlay
    assert '--gpu "${CUDA_VISIBLE_DEVICES:-0}"' in (DEPLOY / "slurm/worker.sbatch").read_text()


def test_a_service_of_any_name_is_no_setting() -> None:
    for overlay in OVERLAYS:
        assert {pod["enableServiceLinks"] for pod in pods(overlay).values()} == {False}


def test_signals_are_passed_on_and_what_is_left_behind_is_reaped() -> None:
    for name in ("control", "worker"):
        image = (DEPLOY / f"images/{name}.Dockerfile").read_text()
        assert 'ENTRYPOINT ["tini", "--", "latentwatch"]' in image
    composed = yaml.safe_load((DEPLOY / "compose/compose.yaml").read_text())["services"]
    assert {n: s["init"] for n, s in composed.items() if n.startswith("worker")} == {
        "worker-cpu": False,
        "worker-gpu": False,
    }


def test_workers_may_save_their_training_before_they_are_killed() -> None:
    grace = load_settings().broker.grace_seconds
    composed = yaml.safe_load((DEPLOY / "compose/compose.yaml").read_text())["services"]
    unit = (DEPLOY / "systemd/latentwatch-worker@.service").read_text()
    given = [int(composed[n]["stop_grace_period"][:-1]) for n in ("worker-cpu", "worker-gpu")]
    given += [pods(overlay)["worker"]["terminationGracePeriodSeconds"] for overlay in OVERLAYS]
    given += [int(re.findall(r"TimeoutStopSec=(\d+)", unit)[0])]
    assert min(given) >= grace + 10 and "KillMode=mixed" in unit


@pytest.mark.parametrize("path", [DEPLOY / "compose", KUBERNETES / "base"])
def test_the_settings_are_settings(path: Path) -> None:
    settings = load_settings(path / "latentwatch.toml")
    assert settings.lines[0].name == "chat" and settings.alerts.routes


def test_every_service_is_a_command_that_there_is() -> None:
    ours = [
        service
        for service in read_services(DEPLOY / "compose/compose.yaml", PROFILES, {})
        if service.image.startswith("latentwatch/") and not service.entrypoint
    ]
    asked = [service.command for service in ours] + [
        pod["containers"][0]["args"] for pod in pods("gpu").values()
    ]
    for command in {tuple(one) for one in asked}:
        done = CliRunner().invoke(app, [*command, "--help"])
        assert done.exit_code == 0, (command, done.output)


def test_the_control_plane_needs_no_torch() -> None:
    project = tomllib.loads(Path("pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    needed = {_name(one) for one in project["dependencies"]}
    places = {_name(one) for extra in ("s3", "mlflow") for one in extras[extra]}
    lines = (DEPLOY / "images/control.txt").read_text().splitlines()
    listed = {_name(line) for line in lines if not line.startswith("#")}
    assert listed == (needed - MODELS_ONLY) | places
    blocked = f"""
import sys
class Blocked:
    def find_spec(self, name, path=None, target=None):
        if name.split('.')[0] in {MODELS_ONLY!r}:
            raise ImportError(name)
sys.meta_path.insert(0, Blocked())
import monitor.cli, monitor.paging.pager, monitor.watching.rounds, monitor.metrics.exporter
import monitor.watching.webhook_server
import workers.dispatch.remote, workers.dispatch.service, workers.dispatch.submit
import workers.keeping.results
"""
    done = subprocess.run([sys.executable, "-c", blocked], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_secrets_of_compose_get_into_neither_the_repository_nor_an_image() -> None:
    assert "deploy/compose/secrets/" in Path(".gitignore").read_text().splitlines()
    for image in ("control", "worker"):
        rules = (DEPLOY / f"images/{image}.Dockerfile.dockerignore").read_text().splitlines()
        # The last rule that matches decides.
        assert rules.index("deploy/compose/secrets") > rules.index("!deploy")


def test_images_are_written_as_they_should_be() -> None:
    hadolint = shutil.which("hadolint", path=Path(sys.executable).parent)
    assert hadolint is not None, "hadolint is missing: run `make venv`"
    done = subprocess.run(
        [hadolint, *(DEPLOY / "images").glob("*.Dockerfile")], capture_output=True, text=True
    )
    assert (done.returncode, done.stdout) == (0, "")


@pytest.mark.parametrize("unit", ["latentwatch@watch", "latentwatch-worker@0"])
def test_systemd_would_take_the_units(unit: str, tmp_path: Path) -> None:
    template = f"{unit.partition('@')[0]}@.service"
    text = (DEPLOY / "systemd" / template).read_text()
    assert "ExecStart=/opt/latentwatch/bin/latentwatch" in text
    command = shutil.which("true")
    written = text.replace("/opt/latentwatch/bin/latentwatch", str(command))
    (tmp_path / f"{unit}.service").write_text(written)
    done = subprocess.run(
        [program("systemd-analyze", "systemd"), "verify", tmp_path / f"{unit}.service"],
        capture_output=True,
        text=True,
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_shellcheck_finds_nothing_in_the_scripts() -> None:
    shellcheck = shutil.which("shellcheck", path=Path(sys.executable).parent)
    assert shellcheck is not None, "shellcheck is missing: run `make venv`"
    scripts = [DEPLOY / "compose/secrets.sh", DEPLOY / "slurm/worker.sbatch"]
    done = subprocess.run([shellcheck, *scripts], capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, "")


def _name(requirement: str) -> str:
    return re.split(r"[<>=\[; ]", requirement, maxsplit=1)[0].lower()
