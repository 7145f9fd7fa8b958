"""vLLM is chosen by a setting; its processes reach each other, and nothing else."""

import inspect
import os
import shutil
import subprocess
import sys
from typing import Any

import pytest
from pydantic import HttpUrl

from monitor.settings import Settings
from monitor.settings.explainer import ExplainerSettings
from tests.workers.conftest import changed
from workers import engines
from workers.engines import check_engine, isolation_for
from workers.errors import WorkplaceError
from workers.processes import loopback
from workers.processes.isolation import environment_of_diffs, without_network

NOBODY = 65534
REACHING = """
import re, socket
with socket.create_server(("127.0.0.1", 0)) as server:
    socket.create_connection(server.getsockname()).close()
    print("reached itself")
try:
    socket.create_connection(("192.0.2.1", 80), timeout=5)
except OSError as error:
    print(error.strerror)
print(set(re.findall(r"Cap(?:Inh|Prm|Eff|Amb):\\s*(\\w+)", open("/proc/self/status").read())))
"""


def vllm(settings: Settings) -> Settings:
    return changed(settings, engine="vllm")


@pytest.fixture
def installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engines, "installed_version", lambda: "0.32.0")


def said(command: list[str], **options: Any) -> list[str]:
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, **options)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def test_the_command_reaches_itself_and_nothing_else() -> None:
    prefix = without_network(loopback=True)
    assert prefix or not without_network(), "a namespace can be made, but has no loopback"
    if not prefix:
        pytest.skip("this machine makes no network namespace: nothing is cut off here")
    assert said([*prefix, sys.executable, "-c", REACHING])[:2] == [
        "reached itself",
        "Network is unreachable",
    ]


def test_what_raising_it_took_is_given_up_in_a_user_namespace() -> None:
    # One that nobody may read, since root's own stays root in the namespace.
    python = sys.executable if os.geteuid() else shutil.which("python3", path="/usr/bin:/bin")
    assert python is not None
    command = [
        *("unshare", "--user", "--map-current-user", "--keep-caps", "--net", "--"),
        *(python, "-c", inspect.getsource(loopback), python, "-c", REACHING),
    ]
    other: dict[str, Any] = {"user": NOBODY, "group": NOBODY, "extra_groups": []}
    as_nobody = other if os.geteuid() == 0 else {}
    try:
        reached, refused, capabilities = said(command, cwd="/", **as_nobody)
    except AssertionError as error:
        if "Operation not permitted" in str(error):  # no user namespaces here: it is never used
            assert not any("--user" in option for option in without_network())
            return
        raise
    assert (reached, refused) == ("reached itself", "Network is unreachable")
    assert capabilities == str({"0" * 16})


@pytest.mark.usefixtures("installed")
def test_without_a_namespace_it_is_refused(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engines, "without_network", lambda loopback=False: ())
    check_engine(settings)
    assert isolation_for(settings) == ()
    with pytest.raises(WorkplaceError, match=r"^recipe\.engine: .* set recipe\.engine to trans"):
        check_engine(vllm(settings))
    with pytest.raises(WorkplaceError, match="network namespace of its own"):
        isolation_for(vllm(settings))
    explainer = ExplainerSettings(base_url=HttpUrl("http://localhost:1/v1"), model="any")
    check_engine(vllm(settings).model_copy(update={"explainer": explainer}))


def test_settings_of_vllm_reach_it_and_its_key_does_not() -> None:
    given = {"VLLM_USE_V2_MODEL_RUNNER": "1", "VLLM_API_KEY": "secret", "VLLM_PLUGINS": "any"}
    assert environment_of_diffs(given) == {"VLLM_USE_V2_MODEL_RUNNER": "1", "HF_HUB_OFFLINE": "1"}


def test_a_host_without_vllm_says_so(settings: Settings) -> None:
    with pytest.raises(WorkplaceError, match=r"^recipe\.engine: vLLM is not installed here"):
        check_engine(vllm(settings))


def together(settings: Settings) -> Settings:
    limits = settings.limits.model_copy(update={"training_processes": 2})
    return settings.model_copy(update={"limits": limits})


def test_processes_that_train_together_have_a_network_of_their_own_or_none(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert isolation_for(together(settings)) == without_network(loopback=True)
    assert isolation_for(settings) == without_network()
    asking = {"explainer": ExplainerSettings(base_url=HttpUrl("http://localhost:1/v1"), model="m")}
    check_engine(settings.model_copy(update=asking))
    with pytest.raises(WorkplaceError, match="listen on ports, and a comparison that asks"):
        check_engine(together(settings).model_copy(update=asking))
    monkeypatch.setattr(engines, "without_network", lambda loopback=False: ())
    check_engine(settings)
    with pytest.raises(WorkplaceError, match=r"need a network namespace.*set it to 1"):
        check_engine(together(settings))
