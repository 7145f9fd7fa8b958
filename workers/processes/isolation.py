"""What a process that opens untrusted checkpoints can't do: reach a network or a secret, or dump
its memory.

It gets a network namespace of its own, in which there is nothing, where the kernel lets this user
make one; elsewhere Python's own sockets are refused, which native code could get around.
"""

import os
import resource
import shutil
import socket
import subprocess
import sys
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

_WAYS = (("--net",), ("--user", "--map-current-user", "--net"))
"""Options of util-linux' `unshare`: as root, and as any user where user namespaces are allowed."""
_WITH_LOOPBACK = ("--keep-caps", "--", sys.executable, "-m", "workers.processes.loopback")
_ENVIRONMENT = (
    *("PATH", "HOME", "LANG", "TMPDIR", "TZ", "USER", "VIRTUAL_ENV"),
    # By name, since VLLM_API_KEY is a secret.
    *("VLLM_CACHE_ROOT", "VLLM_CPU_OMP_THREADS_BIND", "VLLM_LOGGING_LEVEL"),
    "VLLM_USE_V2_MODEL_RUNNER",
)
_ENVIRONMENT_PREFIXES = (
    *("CUDA_", "HF_HOME", "LC_", "LD_", "MKL_", "NVIDIA_", "OMP_", "ONEDNN_", "PYTHON"),
    *("PYTORCH_", "TORCH", "XDG_", "LATENTWATCH_EXPLAINER__"),
)
_PROBE_SECONDS = 10.0
_INTERNET = (socket.AF_INET, socket.AF_INET6)
_REACHING = ("socket.connect", "socket.bind", "socket.sendto", "socket.sendmsg")


def environment_of_diffs(environment: Mapping[str, str]) -> dict[str, str]:
    """What of `environment` a process that opens untrusted checkpoints gets: no secrets of ours."""
    kept = {
        name: value
        for name, value in environment.items()
        if name in _ENVIRONMENT or name.startswith(_ENVIRONMENT_PREFIXES)
    }
    return kept | {"HF_HUB_OFFLINE": "1"}


@cache
def without_network(loopback: bool = False) -> Sequence[str]:
    """What to put before a command so that it has no network, but for a loopback interface of its
    own with `loopback`; empty where that is not allowed."""
    unshare = shutil.which("unshare")
    for options in _WAYS if unshare is not None else ():
        prefix = (str(unshare), *options, *(_WITH_LOOPBACK if loopback else ("--",)))
        if _works(prefix):
            return prefix
    return ()


def network_namespace() -> str:
    """Of this process: equal ones share their network."""
    return os.readlink("/proc/self/ns/net")


def isolate(shared_network: str | None) -> None:
    """Bind this process for good. `shared_network` is the namespace of its parent, which it must
    not use; with None it may use any network."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # memory holds weights of unreleased models
    if shared_network == network_namespace():
        sys.addaudithook(_refuse)


def _works(prefix: Sequence[str]) -> bool:
    try:
        done = subprocess.run([*prefix, "true"], capture_output=True, timeout=_PROBE_SECONDS)
    except (OSError, subprocess.TimeoutExpired):
        return False
    return done.returncode == 0


def _refuse(event: str, arguments: tuple[Any, ...]) -> None:
    if event == "socket.getaddrinfo":
        raise PermissionError("a process that compares has no network: no name is looked up")
    if event in _REACHING and arguments[0].family in _INTERNET:
        raise PermissionError("a process that compares has no network: no address is reached")
