"""A running vLLM server does what vLLM in processes of one's own does, for who has its key."""

import os
import socket
import subprocess
import sys
import time
import tomllib
from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest
from pydantic import SecretStr

from dfc.engines.transformers_engine import TransformersEngine
from dfc.errors import ModelError
from dfc.vllm.engine import VllmEngine
from dfc.vllm.remote_runtime import Server
from dfc.vllm.submission import LOGITS_PROCESSOR, WORKER
from tests.vllm import cases

KEY = "a-key-of-the-server"
GROUP = "vllm.endpoint_plugins"
START_SECONDS = 600.0


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory by which Python knows our plugin, as an installation would make it known."""
    project = tomllib.loads(Path("pyproject.toml").read_text())["project"]
    directory = tmp_path_factory.mktemp("installed")
    # A name of its own: metadata of latentwatch beside the sources may be older than they are.
    about = directory / "endpoint_of_latentwatch-0.dist-info"
    about.mkdir()
    told = "Metadata-Version: 2.1\nName: endpoint-of-latentwatch\nVersion: 0\n"
    (about / "METADATA").write_text(told)
    lines = [f"{name} = {value}" for name, value in project["entry-points"][GROUP].items()]
    (about / "entry_points.txt").write_text("\n".join([f"[{GROUP}]", *lines]) + "\n")
    return directory


@pytest.fixture(scope="module")
def server(
    installed: Path, tiny_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Server]:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    log = tmp_path_factory.mktemp("server") / "log"
    command = [
        # `vllm serve` itself asks for a package called vllm, which the build for CPUs is not.
        *(sys.executable, "-m", "vllm.entrypoints.openai.api_server", "--model", str(tiny_path)),
        *("--host", "127.0.0.1", "--port", str(port), "--dtype", "float32"),
        *("--max-model-len", "512", "--max-num-batched-tokens", "64", "--max-num-seqs", "32"),
        *("--kv-cache-memory-bytes", str(64 << 20), "--enforce-eager", "--no-async-scheduling"),
        *("--worker-cls", WORKER, "--logits-processors", LOGITS_PROCESSOR),
    ]
    environment = os.environ | {
        "PYTHONPATH": os.pathsep.join([str(Path.cwd()), str(installed)]),
        "VLLM_PLUGINS": "latentwatch",
        "VLLM_API_KEY": KEY,
        "VLLM_CPU_OMP_THREADS_BIND": "nobind",
        "VLLM_USE_V2_MODEL_RUNNER": "0",
        "VLLM_NO_USAGE_STATS": "1",
    }
    with log.open("w") as stream:
        process = subprocess.Popen(command, env=environment, stdout=stream, stderr=stream)
    url = f"http://127.0.0.1:{port}"
    until = time.monotonic() + START_SECONDS
    try:
        while not _is_healthy(url):
            assert process.poll() is None and time.monotonic() < until, log.read_text()[-4000:]
            time.sleep(1.0)
        yield Server(url, SecretStr(KEY))
    finally:
        process.terminate()
        process.wait(60)


def _is_healthy(url: str) -> bool:
    try:
        return httpx2.get(f"{url}/health").status_code == 200
    except httpx2.HTTPError:
        return False


def test_words_scores_and_states_are_those_of_transformers(
    server: Server, tiny_path: Path, tiny_reference: TransformersEngine
) -> None:
    engine = VllmEngine(tiny_path, server=server)
    assert engine.info == tiny_reference.info
    bank = cases.bank(tiny_reference, 3)
    prompts, rows = cases.texts(320), cases.rows(320)
    found = engine.generate(prompts, 24, bank=bank, edits=cases.EDITS)
    assert found == tiny_reference.generate(prompts, 24, bank=bank, edits=cases.EDITS)
    assert found != tiny_reference.generate(prompts, 24)
    sampled = engine.generate(prompts, 12, temperature=1.0, seed=4)
    assert sampled == tiny_reference.generate(prompts, 12, temperature=1.0, seed=4)
    expected = tiny_reference.score(rows, bank=bank, edits=cases.EDITS)
    assert engine.score(rows, bank=bank, edits=cases.EDITS) == pytest.approx(
        expected, abs=1e-3, rel=0
    )
    found_TD = engine.harvest(prompts, 3).x_TD
    cases.expect_equal_in_bfloat16(found_TD, tiny_reference.harvest(prompts, 3).x_TD)
    engine.close()


@pytest.mark.parametrize("plan", [{"latentwatch": 1}, {"latentwatch_draws": [1.0, 0, 0, 9]}])
def test_a_plan_by_another_route_is_refused_and_the_server_lives_on(
    server: Server, tiny_path: Path, plan: dict[str, object]
) -> None:
    asked = {"model": str(tiny_path), "prompt": [5, 6, 7], "max_tokens": 2, "vllm_xargs": plan}
    key = {"Authorization": f"Bearer {KEY}"}
    url = f"{server.url}/v1/completions"
    refused = httpx2.post(url, json=asked, headers=key, timeout=60)
    assert refused.status_code == 400 and "latentwatch routes alone" in refused.text
    asked.pop("vllm_xargs")
    assert httpx2.post(url, json=asked, headers=key, timeout=60).status_code == 200


def test_who_has_no_key_is_refused(server: Server, tiny_path: Path) -> None:
    with pytest.raises(ModelError, match="refuses the API key"):
        VllmEngine(tiny_path, server=server._replace(api_key=SecretStr("guessed")))
    for route in ("facts", "run", "unembed"):
        answer = httpx2.post(f"{server.url}/v1/latentwatch/{route}", content=b"{}")
        assert answer.status_code == 401
