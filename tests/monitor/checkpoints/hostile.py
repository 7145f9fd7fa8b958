"""Hostile and broken checkpoints by what is wrong with them, and what is said of each."""

import json
import os
import struct
from collections.abc import Callable
from pathlib import Path

from safetensors.numpy import save_file

from deploy.bench.made_up import make_tensors, write_checkpoint, write_json
from monitor.checkpoints.weights import MAX_SHARDS
from tests.edits import edit_json


def write_raw_safetensors(path: Path, header: bytes, data: bytes = b"") -> None:
    path.write_bytes(struct.pack("<Q", len(header)) + header + data)


def header(**tensors: dict[str, object]) -> bytes:
    return json.dumps(tensors).encode()


def tensor(dtype: str, shape: list[int], begin: int, end: int) -> dict[str, object]:
    return {"dtype": dtype, "shape": shape, "data_offsets": [begin, end]}


def truncate(path: Path) -> None:
    os.truncate(path, path.stat().st_size - 1)


def drop_shard(path: Path) -> None:
    write_checkpoint(path, shards=2)
    (path / "model.safetensors").unlink()
    (path / "model-00002-of-00002.safetensors").unlink()


def index_outside(path: Path) -> None:
    (path / "model.safetensors").rename(path.parent / "model.safetensors")
    weight_map = {"embed": "../model.safetensors"}
    write_json(path / "model.safetensors.index.json", {"weight_map": weight_map})


def index_of_wrong_tensor(path: Path) -> None:
    (path / "model.safetensors").rename(path / "a.safetensors")
    write_json(path / "model.safetensors.index.json", {"weight_map": {"ghost": "a.safetensors"}})


def double_tensor(path: Path) -> None:
    (path / "model.safetensors").rename(path / "a.safetensors")
    save_file(make_tensors(1), path / "b.safetensors")
    weight_map = {"embed": "a.safetensors", "norm": "b.safetensors"}
    write_json(path / "model.safetensors.index.json", {"weight_map": weight_map})


def many_tensors(path: Path) -> None:
    (path / "model.safetensors").unlink()
    for shard in "ab":
        tensors = {f"{shard}{n}": tensor("U8", [0], 0, 0) for n in range(2)}
        write_raw_safetensors(path / f"{shard}.safetensors", header(**tensors))
    weight_map = {f"{shard}{n}": f"{shard}.safetensors" for shard in "ab" for n in range(2)}
    write_json(path / "model.safetensors.index.json", {"weight_map": weight_map})


def link_to_secret(path: Path) -> None:
    (path.parent / "secret").write_text("{}")
    (path / "chat_template.jinja").unlink()
    (path / "chat_template.jinja").symlink_to(path.parent / "secret")


def link_directory(path: Path) -> None:
    (path / "real").mkdir()
    (path / "additional_chat_templates").symlink_to(path / "real")


def raw(content: bytes, data: bytes = b"") -> Callable[[Path], None]:
    return lambda path: write_raw_safetensors(path / "model.safetensors", content, data)


def config(**changes: object) -> Callable[[Path], None]:
    return lambda path: edit_json(path / "config.json", **changes)


HOSTILE: dict[str, tuple[Callable[[Path], object], str]] = {
    "empty directory": (lambda p: [f.unlink() for f in p.iterdir()], "is empty"),
    "temporary file": (lambda p: (p / "model.tmp").touch(), "still being written.*model.tmp"),
    "download under way": (lambda p: (p / "x.incomplete").touch(), "still being written"),
    "no config": (lambda p: (p / "config.json").unlink(), "config.json.*still being written"),
    "no tokenizer": (lambda p: (p / "tokenizer.json").unlink(), "tokenizer.json"),
    "no weights": (lambda p: (p / "model.safetensors").unlink(), "still being written"),
    "truncated weights": (lambda p: truncate(p / "model.safetensors"), "truncated"),
    "missing shard": (drop_shard, "model-00002-of-00002.safetensors.*not there"),
    "shard outside": (index_outside, "no safetensors file of this directory"),
    "two sets of weights": (
        lambda p: write_json(p / "model.safetensors.index.json", {"weight_map": {}}),
        "remove one",
    ),
    "tensor that no shard has": (index_of_wrong_tensor, "'ghost'.*lacks it"),
    "tensor in two shards": (double_tensor, "'embed' is also in a.safetensors"),
    "pickle .bin": (lambda p: (p / "pytorch_model.bin").touch(), "only safetensors"),
    "pickle .pt": (lambda p: (p / "model.pt").touch(), "only safetensors"),
    "pickle .pkl": (lambda p: (p / "MODEL.PKL").touch(), "only safetensors"),
    "pickle .ckpt": (lambda p: (p / "last.ckpt").touch(), "only safetensors"),
    "pickle .pth": (lambda p: (p / "model.pth").touch(), "only safetensors"),
    "pickle .pickle": (lambda p: (p / "model.pickle").touch(), "only safetensors"),
    **{
        f"{key} in {file}": (
            lambda p, file=file, key=key: write_json(p / file, {key: "evil"}),
            rf"{file}: '{key}' names code",
        )
        for file in ("generation_config.json", "special_tokens_map.json")
        for key in ("auto_map", "custom_generate", "trust_remote_code")
    },
    **{
        key: (config(**{key: "evil"}), f"'{key}' names code")
        for key in ("custom_generate", "custom_pipelines", "trust_remote_code", "model_file")
    },
    "too many shards": (
        lambda p: (
            (p / "model.safetensors").rename(p / "0.safetensors"),
            [(p / f"{n}.safetensors").touch() for n in range(1, MAX_SHARDS + 1)],
            write_json(
                p / "model.safetensors.index.json",
                {"weight_map": {str(n): f"{n}.safetensors" for n in range(MAX_SHARDS + 1)}},
            ),
        ),
        "more than 10,000 shards",
    ),
    "too many tensors in all shards": (many_tensors, "more than 3 tensors"),
    "adapter": (lambda p: write_json(p / "adapter_config.json", {}), "merge it"),
    "auto_map": (config(auto_map={"AutoModel": "evil.Model"}), "'auto_map' names code"),
    "nested auto_map": (config(rope_parameters={"x": [{"auto_map": 1}]}), "names code"),
    "kernel from the hub": (
        config(_attn_implementation_internal="evil/kernel"),
        "names code",
    ),
    "unknown key with text": (config(attn_implementation="evil/kernel"), "attn_implementation"),
    "unknown key with nested text": (config(extra={"a": [1, "x"]}), "extra"),
    "auto_map of the tokenizer": (
        lambda p: edit_json(p / "tokenizer_config.json", auto_map={"AutoTokenizer": "evil.T"}),
        "tokenizer_config.json: 'auto_map'",
    ),
    "unknown architecture": (config(architectures=["EvilForCausalLM"]), "'EvilForCausalLM'"),
    "two architectures": (config(architectures=["LlamaForCausalLM"] * 2), "not supported"),
    "wrong model_type": (config(model_type="gpt2"), "model_type"),
    "no size": (config(hidden_size="8"), "hidden_size"),
    "true as a size": (config(vocab_size=True), "vocab_size"),
    **{
        f"{value} as {key}": (config(**{key: value}), f"{key} must be a whole number above 0; save")
        for key in ("num_attention_heads", "num_key_value_heads", "head_dim", "intermediate_size")
        for value in (0, 1.5)
    },
    "NaN": (config(rms_norm_eps=float("nan")), "'rms_norm_eps' is nan, .*correct it"),
    "infinity": (config(initializer_range=float("-inf")), "'initializer_range' is -inf"),
    "nested infinity": (
        config(rope_parameters={"rope_theta": [1.0, float("inf")]}),
        "'rope_parameters.rope_theta.1' is inf",
    ),
    "number that overflows": (
        lambda p: (p / "config.json").write_text(
            (p / "config.json").read_text().replace("10000.0", "1e999")
        ),
        "'rope_parameters.rope_theta' is inf",
    ),
    **{
        f"{value} as {key}": (
            lambda p, key=key, value=value: edit_json(p / "tokenizer_config.json", **{key: value}),
            f"tokenizer_config.json: '{key}' names .*is no file of this directory; remove",
        )
        for key, value in (
            ("vocab_file", "/etc/passwd"),
            ("tokenizer_file", "../../x"),
            ("merges_file", "..\\x"),
            ("fast_tokenizer_files", ["tokenizer.json", "../tokenizer.9.0.json"]),
            ("init_inputs", ["/etc/passwd"]),
        )
    },
    **{
        f"{value} as tokenizer_class": (
            lambda p, value=value: edit_json(p / "tokenizer_config.json", tokenizer_class=value),
            "tokenizer_config.json: tokenizer_class .* save the tokenizer as PreTrained",
        )
        for value in ("EvilTokenizer", "AutoModel", ["LlamaTokenizer"], {"a": 1})
    },
    **{
        f"{value} as {key}": (config(**{key: value}), f"config.json: {key} .* is no number format")
        for key in ("dtype", "torch_dtype")
        for value in ("os.system", 16, ["float16"])
    },
    "a billion layers": (config(num_hidden_layers=10**9), "num_hidden_layers exceeds"),
    "config that is no JSON": (lambda p: (p / "config.json").write_text("{"), "not valid JSON"),
    "config that is a list": (lambda p: (p / "config.json").write_text("[]"), "no.* JSON object"),
    "config that isn't UTF-8": (
        lambda p: (p / "config.json").write_bytes(b'{"a": "\xff"}'),
        "not valid JSON",
    ),
    "the same key twice": (
        lambda p: (p / "config.json").write_text('{"auto_map": 1, "auto_map": null}'),
        "same key twice",
    ),
    "the same tensor twice in a header": (
        raw(
            b'{"a": {"dtype": "U8", "shape": [1], "data_offsets": [0, 1]}, '
            b'"a": {"dtype": "U8", "shape": [2], "data_offsets": [0, 2]}}',
            b"ab",
        ),
        "same key twice",
    ),
    "the same tensor twice in the index": (
        lambda p: (
            (p / "model.safetensors").rename(p / "a.safetensors"),
            (p / "model.safetensors.index.json").write_text(
                '{"weight_map": {"embed": "a.safetensors", "embed": "b.safetensors"}}'
            ),
        ),
        "same key twice",
    ),
    "the same key twice in a tensor's entry": (
        raw(b'{"a": {"dtype": "U8", "dtype": "F64", "shape": [1], "data_offsets": [0, 1]}}', b"a"),
        "same key twice",
    ),
    "the same token twice in the tokenizer": (
        lambda p: (p / "tokenizer.json").write_text('{"model": {"vocab": {"a": 0, "a": 1}}}'),
        "tokenizer.json.*same key twice",
    ),
    "shape whose size overflows": (
        raw(header(a=tensor("F32", [2**40, 2**40], 0, 0))),
        "a size that doesn't fit",
    ),
    "true as an offset": (
        raw(b'{"a": {"dtype": "U8", "shape": [1], "data_offsets": [0, true]}}', b"a"),
        "incompletely",
    ),
    "deeply nested config": (
        lambda p: (p / "config.json").write_text('{"a":' * 100_000 + "1" + "}" * 100_000),
        "nested too deeply",
    ),
    "values without end in the tokenizer's configuration": (
        lambda p: (p / "tokenizer_config.json").write_text('{"a":[0' + ",0" * 5_000_000 + "]}"),
        "tokenizer_config.json: holds more than 5,000,000 values",
    ),
    "header larger than the file": (
        lambda p: (p / "model.safetensors").write_bytes(struct.pack("<Q", 2**63) + b"{}"),
        "truncated",
    ),
    "header over the limit": (
        lambda p: (p / "model.safetensors").write_bytes(struct.pack("<Q", 32 * 10**6 + 1) + b"{}"),
        "32,000,001 bytes",
    ),
    "file of three bytes": (lambda p: (p / "model.safetensors").write_bytes(b"abc"), "truncated"),
    "header that is no JSON": (raw(b"\x80\x04."), "not valid JSON"),
    "nested header": (raw(b'{"a":' * 100_000 + b"1" + b"}" * 100_000), "nested too deeply"),
    "number of 5,000 digits": (raw(b'{"a":' + b"9" * 5000 + b"}"), "not valid JSON"),
    "header without tensors": (raw(b"{}"), "holds no tensors"),
    "gap before a tensor": (
        raw(header(a=tensor("U8", [1], 0, 1), b=tensor("U8", [1], 2, 3)), b"abc"),
        "gap or an overlap",
    ),
    "overlapping tensors": (
        raw(header(a=tensor("U8", [2], 0, 2), b=tensor("U8", [2], 1, 3)), b"abc"),
        "gap or an overlap",
    ),
    "tensor smaller than its shape": (raw(header(a=tensor("F32", [2], 0, 4)), b"abcd"), "size"),
    "negative offset": (raw(header(a=tensor("U8", [1], -1, 0))), "size"),
    "negative shape": (raw(header(a=tensor("U8", [-1, -1], 0, 1)), b"a"), "impossible shape"),
    "shape of a thousand sides": (raw(header(a=tensor("U8", [1] * 1000, 0, 1)), b"a"), "shape"),
    "unknown tensor type": (raw(header(a=tensor("PICKLE", [1], 0, 1)), b"a"), "'PICKLE'"),
    "tensor that is a number": (raw(b'{"a": 1}'), "incompletely"),
    "bytes that no tensor claims": (raw(header(a=tensor("U8", [1], 0, 1)), b"ab"), "describes"),
    "link to a file outside": (link_to_secret, "symbolic link that leaves"),
    "link to a directory": (link_directory, "symbolic link to a directory"),
    "link to nothing": (lambda p: (p / "x").symlink_to(p / "ghost"), "not there|disappear"),
    "loop of links": (lambda p: (p / "x").symlink_to(p / "x"), "can't be listed|is not there"),
    "named pipe": (lambda p: os.mkfifo(p / "vocab.json"), "neither a file nor a directory"),
    "name with an escape": (lambda p: (p / "a\x1b[2Jb").touch(), r"\\x1b.*can't be shown"),
    "name that reads backwards": (lambda p: (p / "a\u202eb").touch(), r"\\u202e"),
    "name that isn't UTF-8": (lambda p: os.mkdir(os.fsencode(p) + b"/\xff"), r"\\udcff"),
}
