"""Servers, and tiny checkpoints with random weights and a real tokenizer, once per test run."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import (
    GPTNeoXConfig,
    GPTNeoXForCausalLM,
    LlamaForCausalLM,
    PreTrainedModel,
    PreTrainedTokenizerFast,
)

from deploy.bench import tiny_model
from deploy.bench.tiny_model import SENTENCES, VOCABULARY
from tests.number_format import in_float32
from tests.services import RedisServer, mlflow_server, postgres_server, s3_server

collect_ignore = ["vllm"]
"""Needs vLLM, which has an environment of its own: `make test-vllm`."""

torch.set_num_threads(1)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with what is marked `long`, so that no process is left alone with it at the end."""
    items.sort(key=lambda item: item.get_closest_marker("long") is None)


@pytest.fixture
def float32() -> Iterator[None]:
    """All models run in float32 (tests/number_format.py)."""
    with in_float32():
        yield


@pytest.fixture(scope="session")
def postgres() -> Iterator[str]:
    """The URL of a running PostgreSQL server."""
    with postgres_server() as server:
        yield server.url


@pytest.fixture(scope="session")
def s3(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL of a running S3 server."""
    with s3_server(tmp_path_factory.mktemp("s3")) as url:
        yield url


@pytest.fixture(scope="session")
def mlflow_directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the MLflow server keeps its database."""
    return tmp_path_factory.mktemp("mlflow")


@pytest.fixture(scope="session")
def mlflow_url(mlflow_directory: Path) -> Iterator[str]:
    """The URL of a running MLflow server."""
    with mlflow_server(mlflow_directory) as url:
        yield url


@pytest.fixture
def redis_server(tmp_path: Path) -> Iterator[RedisServer]:
    server = RedisServer(tmp_path)
    yield server
    server.kill()


@pytest.fixture(scope="session")
def tiny_tokenizer() -> PreTrainedTokenizerFast:
    """Byte-level BPE of 320 tokens with a chat template; ids 0, 1, 2 are the special tokens."""
    return tiny_model.tiny_tokenizer()


@pytest.fixture(scope="session")
def save_checkpoint(
    tiny_tokenizer: PreTrainedTokenizerFast,
) -> Callable[[Path, PreTrainedModel], Path]:
    """Writes a model and the tiny tokenizer as a safetensors checkpoint directory."""

    return lambda path, model: tiny_model.save(path, model, tiny_tokenizer)


@pytest.fixture(scope="session")
def make_checkpoint(
    save_checkpoint: Callable[[Path, PreTrainedModel], Path],
) -> Callable[..., Path]:
    """``make_checkpoint(path, seed=0, change=0.0, **config)`` writes a random Llama of 4 layers and
    width 32. Equal seeds give equal weights; ``change`` adds noise of that part of their spread,
    which makes a candidate out of a base."""

    def make(path: Path, seed: int = 0, change: float = 0.0, **config: Any) -> Path:
        return save_checkpoint(path, tiny_model.tiny_model(seed, change, **config))

    return make


@pytest.fixture(scope="session")
def pad_checkpoint(
    save_checkpoint: Callable[[Path, PreTrainedModel], Path],
) -> Callable[[Path, Path], Path]:
    """``pad_checkpoint(checkpoint, path)`` writes a copy whose embeddings have 64 rows more than
    its tokenizer has tokens, and which would often write one of them."""

    def pad(checkpoint: Path, path: Path) -> Path:
        model = LlamaForCausalLM.from_pretrained(checkpoint)
        torch.manual_seed(0)
        model.resize_token_embeddings(VOCABULARY + 64, mean_resizing=False)
        with torch.no_grad():
            model.lm_head.weight[VOCABULARY:] = 1.2 * model.lm_head.weight[:64]
        return save_checkpoint(path, model)

    return pad


@pytest.fixture(scope="session")
def foreign_checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A GPT-NeoX of 5 layers and width 48 with random weights, a tokenizer that merges other pieces
    of text and a chat template without special tokens for turns."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=400,
        special_tokens=["<eos>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator([sentence[::2] for sentence in SENTENCES] + SENTENCES, trainer)
    torch.manual_seed(7)
    config = GPTNeoXConfig(
        vocab_size=tokenizer.get_vocab_size(),
        hidden_size=48,
        intermediate_size=96,
        num_hidden_layers=5,
        num_attention_heads=4,
        max_position_embeddings=512,
        initializer_range=0.3,
        bos_token_id=0,
        eos_token_id=0,
    )
    path = tmp_path_factory.mktemp("checkpoints") / "foreign"
    GPTNeoXForCausalLM(config).save_pretrained(path)
    PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        eos_token="<eos>",
        pad_token="<eos>",
        chat_template=(
            "{% for m in messages %}[{{ m['role'] }}] {{ m['content'] }}<eos>{% endfor %}"
            "{% if add_generation_prompt %}[assistant] {% endif %}"
        ),
    ).save_pretrained(path)
    return path


@pytest.fixture(scope="session")
def tiny_checkpoint(
    tmp_path_factory: pytest.TempPathFactory, make_checkpoint: Callable[..., Path]
) -> Path:
    """A base checkpoint."""
    return make_checkpoint(tmp_path_factory.mktemp("checkpoints") / "base")


@pytest.fixture(scope="session")
def changed_checkpoint(
    tmp_path_factory: pytest.TempPathFactory, make_checkpoint: Callable[..., Path]
) -> Path:
    """A candidate: ``tiny_checkpoint`` with every matrix changed a little."""
    return make_checkpoint(tmp_path_factory.mktemp("checkpoints") / "candidate", change=0.2)
