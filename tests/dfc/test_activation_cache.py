"""Cached activations are returned as they were stored, or not at all."""

import os
import resource
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from dfc.activation_cache import ActivationCache
from dfc.engines.engine import Activations
from dfc.errors import CacheError


def activations(lines: int = 50, seed: int = 0) -> Activations:
    generator = torch.Generator().manual_seed(seed)
    return Activations(
        torch.randn(lines, 8, generator=generator).bfloat16(),
        torch.arange(lines) // 10,
        torch.arange(lines) % 10 + 1,
        torch.randint(0, 99, (lines,), generator=generator),
    )


SIZE = sum(t.numel() * t.element_size() for t in activations())


def same(a: Activations, b: Activations) -> bool:
    return all(torch.equal(x, y) and x.dtype == y.dtype for x, y in zip(a, b, strict=True))


def never() -> Activations:
    raise AssertionError("harvested although the entry was cached")


def test_an_entry_is_harvested_once(tmp_path: Path) -> None:
    cache = ActivationCache(tmp_path / "cache", 10**6)
    assert cache.get("ab12") is None
    assert same(cache.fetch("ab12", activations), activations())
    again = ActivationCache(tmp_path / "cache", 10**6)
    assert same(again.fetch("ab12", never), activations())


@pytest.mark.parametrize("where", [20, -1])
def test_a_damaged_entry_is_deleted_and_harvested_again(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, where: int
) -> None:
    cache = ActivationCache(tmp_path, 10**6)
    cache.put("key", activations())
    content = bytearray((tmp_path / "key.safetensors").read_bytes())
    content[where] ^= 1
    (tmp_path / "key.safetensors").write_bytes(content)
    assert same(cache.fetch("key", lambda: activations(seed=1)), activations(seed=1))
    assert "damaged and deleted" in caplog.text
    assert same(cache.fetch("key", never), activations(seed=1))


@pytest.mark.parametrize("text", ["", "{}", '{"schema": "other/9", "sha256": "0"}', "[1]"])
def test_a_damaged_sidecar_is_never_trusted(tmp_path: Path, text: str) -> None:
    cache = ActivationCache(tmp_path, 10**6)
    cache.put("key", activations())
    (tmp_path / "key.json").write_text(text)
    assert cache.get("key") is None
    assert list(tmp_path.iterdir()) == []


def test_data_without_a_sidecar_is_not_an_entry(tmp_path: Path) -> None:
    cache = ActivationCache(tmp_path, 10**6)
    cache.put("key", activations())
    (tmp_path / "key.json").unlink()
    assert cache.get("key") is None
    cache.put("key", activations(seed=1))
    assert same(cache.fetch("key", never), activations(seed=1))


def test_the_least_recently_used_entry_makes_room(tmp_path: Path) -> None:
    cache = ActivationCache(tmp_path, int(3.5 * SIZE) + 1000)
    for age, key in enumerate(("first", "second", "third")):
        cache.put(key, activations())
        os.utime(tmp_path / f"{key}.json", (age, age))
    assert cache.get("first") is not None
    cache.put("fourth", activations())
    assert [key for key in ("first", "second", "third", "fourth") if cache.get(key)] == [
        "first",
        "third",
        "fourth",
    ]
    stored = sum(file.stat().st_size for file in tmp_path.glob("*.safetensors"))
    assert stored <= cache.max_bytes


def test_an_entry_evicted_while_it_is_read_is_no_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache = ActivationCache(tmp_path, 10**6)
    cache.put("key", activations())

    def load_and_evict(data: Path) -> dict[str, torch.Tensor]:
        tensors = load_file(data)
        data.unlink()
        data.with_suffix(".json").unlink()
        return tensors

    monkeypatch.setattr("dfc.activation_cache.load_file", load_and_evict)
    assert same(cache.fetch("key", never), activations())
    assert same(cache.fetch("key", lambda: activations(seed=1)), activations(seed=1))


def test_an_entry_larger_than_the_cache_is_returned_but_not_kept(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    cache = ActivationCache(tmp_path, SIZE + 10_000)
    cache.put("small", activations())
    assert len(cache.fetch("large", lambda: activations(5000)).x_TD) == 5000
    assert cache.get("large") is None
    assert cache.get("small") is not None
    assert "raise its size" in caplog.text


def test_a_failed_write_says_so_and_leaves_nothing(tmp_path: Path) -> None:
    cache = ActivationCache(tmp_path, 10**9)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, hard))
    try:
        with pytest.raises(CacheError, match=r"cannot be written to .*key\.safetensors"):
            cache.put("key", activations(5000))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert list(tmp_path.iterdir()) == []


def test_leftovers_of_a_killed_writer_are_removed(tmp_path: Path) -> None:
    cache = ActivationCache(tmp_path, 10**6)
    old, young = tmp_path / ".key.safetensors.1.tmp", tmp_path / ".key.safetensors.2.tmp"
    for file in (old, young):
        file.write_bytes(b"half")
    os.utime(old, (1, 1))
    cache.put("key", activations())
    assert not old.exists()
    assert young.exists()


@pytest.mark.parametrize("key", ["", "../up", "a/b", ".hidden"])
def test_a_key_that_is_no_file_name_is_refused(tmp_path: Path, key: str) -> None:
    with pytest.raises(CacheError, match="no cache key"):
        ActivationCache(tmp_path, 10**6).get(key)
