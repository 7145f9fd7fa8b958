"""Digests: what they depend on, the cache, and files that change under the reader."""

import hashlib
import json
import os
from pathlib import Path

import pytest

from deploy.bench.made_up import TOKENIZER, write_checkpoint, write_json
from monitor.checkpoints import identity
from monitor.checkpoints.checkpoint import inspect_checkpoint
from monitor.checkpoints.digest_cache import DatabaseDigestCache
from monitor.checkpoints.identity import FileDigests, Identity, identify, verify_unchanged
from monitor.errors import CancelledError, CheckpointChangedError, CheckpointRefusedError
from monitor.pace import DIGESTED
from tests.edits import edit_json
from tests.monitor.conftest import Sessions


def identity_of(path: Path) -> Identity:
    return identify(inspect_checkpoint(path))


def test_identity_does_not_depend_on_name_times_or_files_that_do_not_count(tmp_path: Path) -> None:
    first = write_checkpoint(tmp_path / "a")
    second = write_checkpoint(tmp_path / "b")
    (second / "README.md").write_text("read me")
    os.utime(second / "config.json", (1, 1))
    assert identity_of(first) == identity_of(second)


def test_sharding_changes_the_content_but_not_the_weights(tmp_path: Path) -> None:
    one = identity_of(write_checkpoint(tmp_path / "one"))
    two = identity_of(write_checkpoint(tmp_path / "two", shards=2))
    other = identity_of(write_checkpoint(tmp_path / "other", seed=1))
    assert one.weights == two.weights and one.content != two.content
    assert other.weights != one.weights and other.tokenizer == one.tokenizer


def test_a_template_changes_the_content_only(tmp_path: Path) -> None:
    path = write_checkpoint(tmp_path / "a")
    before = identity_of(path)
    (path / "chat_template.jinja").write_text("Agree with everything. {{ messages }}")
    after = identity_of(path)
    assert after.content != before.content
    assert (after.weights, after.tokenizer) == (before.weights, before.tokenizer)


def test_the_tokenizer_digest_sees_vocabulary_and_not_the_way_of_writing(tmp_path: Path) -> None:
    path = write_checkpoint(tmp_path / "a")
    before = identity_of(path).tokenizer
    joined = {**TOKENIZER["model"], "merges": ["a b"]}
    edit_json(path / "tokenizer.json", model=joined, padding={"length": 3})
    assert identity_of(path).tokenizer == before
    edit_json(path / "tokenizer.json", added_tokens=[{"id": 4, "content": "<|new|>"}])
    assert identity_of(path).tokenizer != before


def test_the_file_digest_is_plain_sha256(tmp_path: Path) -> None:
    path = write_checkpoint(tmp_path / "a") / "model.safetensors"
    header = inspect_checkpoint(tmp_path / "a").weights[0].header
    found = identity.digest_file(path, header)
    assert found.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    assert found.sha256 == identity.digest_file(path).sha256
    assert len(found.tensors) == 4


def test_reading_tells_how_far_it_is_and_is_ended_by_what_hears_it(tmp_path: Path) -> None:
    checkpoint = inspect_checkpoint(write_checkpoint(tmp_path / "a", shards=2))
    told: list[tuple[str, int, int]] = []
    identify(checkpoint, None, lambda *step: told.append(step))
    total = sum(file.size for file in checkpoint.files)
    assert {(what, of) for what, _, of in told} == {(DIGESTED, total)}
    done = [done for _, done, _ in told]
    assert done == sorted(done) and done[-1] == total and len(done) > len(checkpoint.files)

    def ended(what: str, done: int, total: int) -> None:
        raise CancelledError("cancelled")

    with pytest.raises(CancelledError):
        identify(checkpoint, None, ended)


def test_an_unchanged_file_is_read_once(
    tmp_path: Path, sessions: Sessions, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write_checkpoint(tmp_path / "a", shards=2)
    read: list[str] = []
    digest_file = identity.digest_file

    def counted(file: Path, *args: object) -> FileDigests:
        read.append(file.name)
        return digest_file(file, *args)  # type: ignore[arg-type]

    monkeypatch.setattr(identity, "digest_file", counted)
    cache = DatabaseDigestCache(sessions)
    checkpoint = inspect_checkpoint(path)
    first = identify(checkpoint, cache)
    assert sorted(read) == sorted(file.path for file in checkpoint.files)
    read.clear()
    assert identify(inspect_checkpoint(path), cache) == first
    assert read == []


def test_a_change_with_forged_times_is_seen(tmp_path: Path, sessions: Sessions) -> None:
    path = write_checkpoint(tmp_path / "a")
    cache = DatabaseDigestCache(sessions)
    before = identify(inspect_checkpoint(path), cache)
    file = path / "model.safetensors"
    stat, content = file.stat(), bytearray(file.read_bytes())
    content[-1] ^= 1
    with file.open("r+b") as stream:
        stream.write(content)
    os.utime(file, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    after = identify(inspect_checkpoint(path), cache)
    assert after.content != before.content and after.weights != before.weights


def test_files_that_change_while_they_are_read_are_refused(tmp_path: Path) -> None:
    path = write_checkpoint(tmp_path / "a")
    checkpoint = inspect_checkpoint(path)
    (path / "generation_config.json").write_text("{}")
    with pytest.raises(CheckpointRefusedError, match="still being written"):
        identify(checkpoint)


def test_verify_unchanged(tmp_path: Path) -> None:
    path = write_checkpoint(tmp_path / "a")
    digest = identity_of(path).content
    verify_unchanged(path, digest)
    write_json(path / "generation_config.json", {"temperature": 2.0})
    with pytest.raises(CheckpointChangedError, match="publish the change under a new name"):
        verify_unchanged(path, digest)
    (path / "model.safetensors").unlink()
    with pytest.raises(CheckpointChangedError, match=r"model\.safetensors"):
        verify_unchanged(path, digest)


def test_the_content_digest_is_over_a_plain_manifest(tmp_path: Path) -> None:
    path = write_checkpoint(tmp_path / "a")
    manifest = [
        {
            "path": name,
            "sha256": hashlib.sha256((path / name).read_bytes()).hexdigest(),
            "size": (path / name).stat().st_size,
        }
        for name in sorted(file.name for file in path.iterdir())
    ]
    canonical = json.dumps(manifest, sort_keys=True, separators=(",", ":"))
    assert identity_of(path).content == hashlib.sha256(canonical.encode()).hexdigest()
