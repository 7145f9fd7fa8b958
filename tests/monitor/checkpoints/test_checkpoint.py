"""What is refused before a loader sees it, each with a message that names file and remedy."""

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from deploy.bench.made_up import make_tensors, write_checkpoint, write_json
from monitor.checkpoints import weights
from monitor.checkpoints.checkpoint import inspect_checkpoint, link_files
from monitor.errors import CheckpointRefusedError
from tests.edits import edit_json
from tests.monitor.checkpoints.hostile import HOSTILE


@pytest.mark.parametrize("case", HOSTILE)
def test_a_hostile_or_broken_checkpoint_is_refused(
    tmp_path: Path, case: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if case == "too many tensors in all shards":
        monkeypatch.setattr(weights, "MAX_TENSORS", 3)
    corrupt, message = HOSTILE[case]
    path = write_checkpoint(tmp_path / "push")
    corrupt(path)
    with pytest.raises(CheckpointRefusedError, match=message) as caught:
        inspect_checkpoint(path)
    assert len(str(caught.value)) < 600
    assert str(caught.value).isprintable()


@pytest.mark.parametrize("tied", [True, False])
def test_sizes_that_are_not_those_of_the_embedding_are_refused(
    tmp_path: Path, make_checkpoint: Callable[..., Path], tied: bool
) -> None:
    path = make_checkpoint(tmp_path / "push", vocab_size=384, tie_word_embeddings=tied)
    assert inspect_checkpoint(path).shape == "LlamaForCausalLM 4x32", "padded beyond the tokenizer"
    for key, stored, claimed in (("hidden_size", 32, 10**9), ("vocab_size", 384, 10**12)):
        edit_json(path / "config.json", **{key: claimed})
        message = (
            f"config.json: {key} is {claimed}, but tensor 'model.embed_tokens.weight' in "
            f"model.safetensors has {stored}; save"
        )
        with pytest.raises(CheckpointRefusedError, match=message):
            inspect_checkpoint(path)
        edit_json(path / "config.json", **{key: stored})


def test_the_embedding_of_gpt_neox_is_known(foreign_checkpoint: Path, tmp_path: Path) -> None:
    path = Path(shutil.copytree(foreign_checkpoint, tmp_path / "push"))
    inspect_checkpoint(path)
    edit_json(path / "config.json", vocab_size=7)
    with pytest.raises(CheckpointRefusedError, match=r"vocab_size is 7.*gpt_neox\.embed_in"):
        inspect_checkpoint(path)


def test_a_packed_embedding_tells_nothing(tmp_path: Path) -> None:
    path = write_checkpoint(tmp_path / "push")
    packed = {"model.embed_tokens.weight": np.zeros((4, 1), "u4"), **make_tensors(0)}
    save_file(packed, path / "model.safetensors")
    assert inspect_checkpoint(path).shape == "LlamaForCausalLM 2x8"


def test_sizes_that_follow_from_others_may_be_null(tmp_path: Path) -> None:
    path = write_checkpoint(tmp_path / "push")
    edit_json(path / "config.json", num_key_value_heads=None, head_dim=None)
    assert inspect_checkpoint(path).shape == "LlamaForCausalLM 2x8"


@pytest.mark.parametrize("shards", [1, 2])
def test_a_complete_checkpoint_is_accepted(tmp_path: Path, shards: int) -> None:
    checkpoint = inspect_checkpoint(write_checkpoint(tmp_path / "push", shards=shards))
    assert checkpoint.shape == "LlamaForCausalLM 2x8"
    assert len(checkpoint.weights) == shards


PUBLISHED_TOKENIZERS: dict[str, dict[str, object]] = {
    "smollm2": {
        **{"add_prefix_space": False, "clean_up_tokenization_spaces": False, "vocab_size": 49152},
        "added_tokens_decoder": {"0": {"content": "<|endoftext|>", "special": True}},
        "additional_special_tokens": ["<|im_start|>", "<|im_end|>"],
        "tokenizer_class": "GPT2Tokenizer",
    },
    "llama 2": {
        **{"legacy": False, "sp_model_kwargs": {}, "tokenizer_class": "LlamaTokenizer"},
        **{"add_bos_token": True, "bos_token": {"__type": "AddedToken", "content": "<s>"}},
    },
    "llama 3": {
        "model_input_names": ["input_ids", "attention_mask"],
        "tokenizer_class": "PreTrainedTokenizerFast",
    },
    "pythia": {
        "name_or_path": "EleutherAI/gpt-neox-20b",
        "special_tokens_map_file": "/home/somebody/.cache/special_tokens_map.json",
        "tokenizer_class": "GPTNeoXTokenizer",
    },
    "qwen": {
        "split_special_tokens": False,
        "errors": "replace",
        "tokenizer_class": "Qwen2Tokenizer",
    },
    "gemma": {
        **{"processor_class": "Gemma3Processor", "boi_token": "<start_of_image>"},
        **{"extra_special_tokens": {"eoi_token": "<end_of_image>"}, "spaces_between": None},
        **{"init_inputs": [], "tokenizer_class": "GemmaTokenizerFast"},
    },
    "saved by transformers 5": {
        **{"backend": "tokenizers", "is_local": True, "local_files_only": False},
        "tokenizer_class": "TokenizersBackend",
    },
    "of a fork": {
        **{"vocab_file": "tokenizer.model", "tokenizer_file": None, "own_key": "of/its/author"},
        "slow_tokenizer_class": None,
    },
}


@pytest.mark.parametrize("published", PUBLISHED_TOKENIZERS)
def test_tokenizers_as_they_are_published_are_accepted(tmp_path: Path, published: str) -> None:
    path = write_checkpoint(tmp_path / "push")
    write_json(path / "tokenizer_config.json", PUBLISHED_TOKENIZERS[published])
    assert inspect_checkpoint(path).shape == "LlamaForCausalLM 2x8"


@pytest.mark.parametrize("dtype", ["bfloat16", "torch.float16", "float8_e4m3fn", None])
def test_number_formats_are_known(tmp_path: Path, dtype: str | None) -> None:
    path = write_checkpoint(tmp_path / "push")
    edit_json(path / "config.json", torch_dtype=dtype, dtype=dtype)
    assert inspect_checkpoint(path).shape == "LlamaForCausalLM 2x8"


def test_what_a_trainer_leaves_beside_the_model_does_not_count(tmp_path: Path) -> None:
    path = write_checkpoint(tmp_path / "push", shards=2)
    save_file(make_tensors(9), path / "model-00003-of-00003.safetensors")
    for name in ("optimizer.pt", "training_args.bin", "rng_state_0.pth", "README.md", "evil.py"):
        (path / name).write_bytes(b"\x80\x04")
    (path / "global_step7").mkdir()
    (path / "global_step7" / "model_states.pt").touch()
    edit_json(path / "config.json", a_number=3, a_list=[1, 2])
    counted = {file.path for file in inspect_checkpoint(path).files}
    assert counted == {
        "config.json",
        "tokenizer.json",
        "tokenizer_config.json",
        "chat_template.jinja",
        "model.safetensors.index.json",
        "model-00001-of-00002.safetensors",
        "model-00002-of-00002.safetensors",
    }


def test_a_snapshot_of_the_hugging_face_cache_is_accepted(tmp_path: Path) -> None:
    repository = tmp_path / "models--org--chat"
    blobs = write_checkpoint(repository / "blobs")
    snapshot = repository / "snapshots" / "0a1b"
    snapshot.mkdir(parents=True)
    for file in blobs.iterdir():
        (snapshot / file.name).symlink_to(Path("../../blobs") / file.name)
    assert inspect_checkpoint(snapshot).shape == "LlamaForCausalLM 2x8"


def test_a_loader_is_shown_only_the_files_that_count(tmp_path: Path) -> None:
    path = write_checkpoint(tmp_path / "push")
    (path / "evil.py").touch()
    (path / "additional_chat_templates").mkdir()
    (path / "additional_chat_templates" / "rag.jinja").write_text("x")
    checkpoint = inspect_checkpoint(path)
    view = tmp_path / "view"
    view.mkdir()
    link_files(checkpoint, view)
    shown = {str(file.relative_to(view)) for file in view.rglob("*") if file.is_file()}
    assert shown == {file.path for file in checkpoint.files}
    assert "additional_chat_templates/rag.jinja" in shown and "evil.py" not in shown
    assert (view / "config.json").read_text() == (path / "config.json").read_text()


def test_a_path_that_is_no_directory_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CheckpointRefusedError, match="is not a directory"):
        inspect_checkpoint(tmp_path / "ghost")
