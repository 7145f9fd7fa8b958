"""vLLM runs where a worker compares: without a network, but for a loopback of its own."""

import json
import subprocess
import sys
from pathlib import Path

from dfc.engines.transformers_engine import TransformersEngine
from tests.vllm import cases
from workers.processes.isolation import without_network

WRITING = """
import json, socket, sys
from pathlib import Path
import torch
from dfc.vllm.engine import VllmEngine
from tests.vllm.conftest import SMALL

path, prompts = json.load(sys.stdin)
try:
    socket.create_connection(("192.0.2.1", 80), timeout=5)
except OSError as error:
    assert error.strerror == "Network is unreachable", error
engine = VllmEngine(Path(path), torch.float32, SMALL)
words = engine.generate([tuple(prompt) for prompt in prompts], 12)
engine.close()
print(json.dumps(words))
"""


def test_words_are_equal_without_a_network(
    tiny_path: Path, tiny_reference: TransformersEngine
) -> None:
    prompts = cases.texts(320)
    prefix = without_network(loopback=True)
    assert prefix, "no network namespace can be made here"
    done = subprocess.run(
        [*prefix, sys.executable, "-c", WRITING],
        input=json.dumps([str(tiny_path), prompts]),
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr[-4000:]
    words = json.loads(done.stdout.splitlines()[-1])
    assert [tuple(row) for row in words] == tiny_reference.generate(prompts, 12)
