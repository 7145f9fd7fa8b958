"""What certainly can't fit is refused before any process starts, with both figures."""

import json
import struct
from pathlib import Path

import pytest

from deploy.bench.made_up import write_checkpoint
from monitor.database.opening import open_database
from monitor.database.schema import DiffState
from monitor.settings import Settings, load_settings
from monitor.settings.limits import LimitSettings
from tests.edits import edit_json
from tests.workers.service import FAKE_DIFF, Pushes
from workers.cost.room import RoomError, memory_of_host, refuse_what_cannot_fit
from workers.dispatch.supervised import run_due
from workers.dispatch.workplace import Workplace
from workers.job import Job, Side


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return load_settings(data_dir=tmp_path / "data")


def job(base: Path, candidate: Path) -> Job:
    sides = (Side(path.name, path.name, path, str(path)) for path in (base, candidate))
    return Job(None, *sides)


def heavy(path: Path, weights: int) -> Path:
    """A checkpoint of so many weights whose file has no bytes but its header."""
    write_checkpoint(path)
    shape = [weights // 2]
    header = json.dumps(
        {
            "a": {"dtype": "BF16", "shape": shape, "data_offsets": [0, weights]},
            "b": {"dtype": "BF16", "shape": shape, "data_offsets": [weights, 2 * weights]},
        }
    ).encode()
    with (path / "model.safetensors").open("wb") as stream:
        stream.write(struct.pack("<Q", len(header)) + header)
        stream.truncate(8 + len(header) + 2 * weights)
    return path


def test_two_models_that_the_memory_cannot_hold_are_refused(
    tmp_path: Path, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    quarter = memory_of_host() // 4 // 2 * 2  # weights of two bytes that fill half of it
    light, full = heavy(tmp_path / "light", quarter // 2), heavy(tmp_path / "full", 2 * quarter)
    refuse_what_cannot_fit(job(light, light), settings)
    with pytest.raises(RoomError, match=rf"take {5 * quarter:,} bytes, and this host has"):
        refuse_what_cannot_fit(job(light, full), settings)
    with monkeypatch.context() as patch:
        patch.setattr("workers.cost.room.sees_a_gpu", lambda: True)
        refuse_what_cannot_fit(job(light, full), settings)  # which may have more than the host
    # Of equal weights one model may be all that is loaded.
    one = Side("a", "same", full, "a")
    refuse_what_cannot_fit(Job(None, one, one._replace(content_digest="b")), settings)


def test_the_limit_of_the_settings_counts_where_no_gpu_is_seen(
    tmp_path: Path, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    monkeypatch.setattr("workers.cost.room.memory_of_host", lambda: 1 << 60)
    limits = LimitSettings(memory_bytes=4 << 30)
    limited = settings.model_copy(update={"limits": limits})
    base, large = heavy(tmp_path / "base", 1 << 28), heavy(tmp_path / "large", 2 << 30)
    refuse_what_cannot_fit(job(base, large), settings)
    refuse_what_cannot_fit(job(base, base), limited)
    with pytest.raises(RoomError, match=r"limits.memory_bytes allows 4,294,967,296; raise it"):
        refuse_what_cannot_fit(job(base, large), limited)


def test_activations_that_the_disk_cannot_hold_are_refused(
    tmp_path: Path, settings: Settings
) -> None:
    base, wide = write_checkpoint(tmp_path / "base"), write_checkpoint(tmp_path / "wide", 1)
    large = settings.model_copy(update={"cache_bytes": 1 << 62})
    (settings.data_dir / "activations").mkdir(parents=True)
    dropped = settings.data_dir / "activations" / "listed.safetensors"
    dropped.symlink_to(tmp_path / "and gone")  # as when another comparison makes room
    refuse_what_cannot_fit(job(base, wide), large)
    edit_json(wide / "config.json", hidden_size=10**12)
    refuse_what_cannot_fit(job(base, wide), settings)  # more than the cache takes, so never kept
    with pytest.raises(RoomError, match="move data_dir, or lower"):
        refuse_what_cannot_fit(job(base, wide), large)


def test_a_diff_that_cannot_fit_ends_with_the_reason_and_no_process(
    tmp_path: Path, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    sessions = open_database(settings.database_url)
    pushes = Pushes(tmp_path, sessions, settings)
    place = Workplace(sessions, settings, FAKE_DIFF, lambda: False, "gpu-0")
    diff_id = pushes.queue("good")
    monkeypatch.setattr("workers.cost.room.memory_of_host", lambda: 1000)
    run_due(place, diff_id)
    row = pushes.row(diff_id)
    assert (row.state, row.verdict) == (DiffState.FAILED, None)
    assert row.error is not None and "this host has 1,000 with its swap" in row.error
    assert pushes.starts("good") == []
