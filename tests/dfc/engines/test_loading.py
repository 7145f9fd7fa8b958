"""What may be loaded, what it is called, and how text becomes tokens."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import PreTrainedTokenizerFast

from dfc.engines.tokenizer import TODAY, Tokenizer
from dfc.engines.transformers_engine import TransformersEngine
from dfc.errors import InputError, ModelError
from dfc.vllm.checkpoint import check_checkpoint

MESSAGES = [{"role": "user", "content": "What do you think?"}]


@pytest.fixture
def copied(tiny_checkpoint: Path, tmp_path: Path) -> Path:
    return shutil.copytree(tiny_checkpoint, tmp_path / "copy")


def test_info_describes_the_model(engine: TransformersEngine) -> None:
    info = engine.info
    assert info[:5] == ("LlamaForCausalLM", 4, 32, "float32", 320)
    assert len(info.tokenizer_digest) == 64


def test_a_directory_without_safetensors_is_refused(copied: Path) -> None:
    weights = load_file(copied / "model.safetensors")
    torch.save(weights, copied / "pytorch_model.bin")
    (copied / "model.safetensors").unlink()
    with pytest.raises(ModelError, match=r"no \*\.safetensors weights"):
        TransformersEngine(copied)


def test_a_missing_directory_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"absent is not a checkpoint directory"):
        TransformersEngine(tmp_path / "absent")


def test_missing_weights_are_not_filled_with_noise(copied: Path) -> None:
    weights = load_file(copied / "model.safetensors")
    del weights["model.layers.2.mlp.up_proj.weight"]
    save_file(weights, copied / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(ModelError, match=r"missing keys .*layers\.2\.mlp\.up_proj"):
        TransformersEngine(copied)


def test_weights_without_a_place_in_the_model_are_told(copied: Path) -> None:
    assert TransformersEngine(copied).unused_weights == ()
    weights = load_file(copied / "model.safetensors")
    for name in ("model.layers.1.mtp.weight", "extra.head"):
        weights[name] = torch.ones(2, 2)
    save_file(weights, copied / "model.safetensors", metadata={"format": "pt"})
    told = TransformersEngine(copied).unused_weights
    assert told == ("extra.head", "model.layers.1.mtp.weight")
    assert check_checkpoint(copied) == told


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_weight_that_is_no_number_is_named(copied: Path, value: float) -> None:
    weights = load_file(copied / "model.safetensors")
    weights["model.layers.2.mlp.up_proj.weight"][3, 1] = value
    save_file(weights, copied / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(ModelError, match=r"layers\.2\.mlp\.up_proj\.weight holds .* not finite"):
        TransformersEngine(copied)


def test_code_in_a_checkpoint_is_not_run(copied: Path, tmp_path: Path) -> None:
    config = json.loads((copied / "config.json").read_text())
    config |= {"model_type": "own", "auto_map": {"AutoModelForCausalLM": "own.Own"}}
    config["auto_map"]["AutoConfig"] = "own.OwnConfig"
    (copied / "config.json").write_text(json.dumps(config))
    (copied / "own.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')\n")
    with pytest.raises(ModelError, match="cannot be loaded"):
        TransformersEngine(copied)
    assert not (tmp_path / "ran").exists()


def test_chat_template_is_applied_once(engine: TransformersEngine) -> None:
    tokens = engine.encode_chat(MESSAGES, add_generation_prompt=True)
    expected = "<|im_start|>user\nWhat do you think?<|im_end|>\n<|im_start|>assistant\n"
    assert engine.decode(tokens) == expected
    assert tokens.count(1) == 2
    assert engine.decode(engine.encode_chat(MESSAGES, add_generation_prompt=False)) == (
        "<|im_start|>user\nWhat do you think?<|im_end|>\n"
    )


def test_plain_text_gets_no_special_tokens(engine: TransformersEngine) -> None:
    tokens = engine.encode_text("Paris is é 漢")
    assert min(tokens) > 2
    assert engine.decode(tokens) == "Paris is é 漢"


def test_half_a_character_decodes_safely(engine: TransformersEngine) -> None:
    assert "\ufffd" in engine.decode(engine.encode_text("漢")[:1])


def test_a_model_without_chat_template_says_so(copied: Path) -> None:
    (copied / "chat_template.jinja").unlink()
    engine = TransformersEngine(copied)
    with pytest.raises(InputError, match="has no chat template"):
        engine.encode_chat(MESSAGES, add_generation_prompt=True)


def test_tokenizer_digest_follows_the_meaning_of_ids(
    engine: TransformersEngine, copied: Path, tiny_tokenizer: PreTrainedTokenizerFast
) -> None:
    file = copied / "tokenizer.json"
    content = json.loads(file.read_text())
    file.write_text(json.dumps(dict(reversed(content.items())), indent=7))
    assert TransformersEngine(copied).info.tokenizer_digest == engine.info.tokenizer_digest
    vocabulary = content["model"]["vocab"]
    (a, first), (b, second) = list(vocabulary.items())[10:12]
    vocabulary[a], vocabulary[b] = second, first
    file.write_text(json.dumps(content))
    assert TransformersEngine(copied).info.tokenizer_digest != engine.info.tokenizer_digest


@pytest.mark.parametrize(
    "content",
    [
        "{",
        "{}",
        '{"version": "1.0", "added_tokens": [], "model": {"type": "BPE", "vocab": 3}}',
        '{"version": "1.0", "added_tokens": [3], "model": null}',
    ],
)
def test_a_broken_tokenizer_is_named_with_its_remedy(copied: Path, content: str) -> None:
    (copied / "tokenizer.json").write_text(content)
    with pytest.raises(
        ModelError, match=r"copy: its tokenizer\.json is .*save the tokenizer again"
    ):
        TransformersEngine(copied)


def test_a_tokenizer_without_a_fast_form_is_named(copied: Path) -> None:
    (copied / "tokenizer_config.json").write_text('{"tokenizer_class": "CanineTokenizer"}')
    with pytest.raises(ModelError, match="without a fast form, CanineTokenizer"):
        TransformersEngine(copied)


def test_templates_that_write_the_date_say_the_same_on_every_day(copied: Path) -> None:
    dated = "{{ strftime_now('%d %B %Y') }}: {{ messages[0]['content'] }}"
    (copied / "chat_template.jinja").write_text(dated)
    chat = [{"role": "user", "content": "Hello."}]
    told = Tokenizer(copied).render_chat(chat, add_generation_prompt=True)
    assert told == f"{TODAY:%d %B %Y}: Hello."


def test_bfloat16_is_loaded_as_asked(tiny_checkpoint: Path) -> None:
    engine = TransformersEngine(tiny_checkpoint, dtype=torch.bfloat16)
    assert engine.info.dtype == "bfloat16"
    assert {p.dtype for p in engine._stack.model.parameters()} == {torch.bfloat16}


def test_sharded_checkpoints_load(
    make_checkpoint: Callable[..., Path], engine: TransformersEngine, copied: Path
) -> None:
    weights = load_file(copied / "model.safetensors")
    names = sorted(weights)
    index = {}
    for part, chosen in enumerate((names[::2], names[1::2]), start=1):
        file = f"model-{part:05d}-of-00002.safetensors"
        save_file({n: weights[n] for n in chosen}, copied / file, metadata={"format": "pt"})
        index |= dict.fromkeys(chosen, file)
    (copied / "model.safetensors").unlink()
    (copied / "model.safetensors.index.json").write_text(
        json.dumps({"metadata": {}, "weight_map": index})
    )
    sharded = TransformersEngine(copied, dtype=torch.float32)
    assert sharded.generate([(5, 6, 7)], 5) == engine.generate([(5, 6, 7)], 5)
