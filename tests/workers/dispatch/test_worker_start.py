"""What keeps a worker from starting is told before it takes anything."""

import time
from pathlib import Path

import pytest

from monitor.database.opening import open_database
from monitor.errors import SettingsError
from monitor.jobs.roster import take_name
from monitor.owner import this_process
from monitor.settings import load_settings
from workers.dispatch.service import check_gpu, run_worker


def test_a_gpu_that_is_not_there_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "77")
    with pytest.raises(SettingsError, match="--gpu 77: CUDA finds no such device"):
        check_gpu("77")


def test_a_second_worker_of_one_name_is_refused(tmp_path: Path) -> None:
    settings = load_settings(data_dir=tmp_path, broker={"url": "redis://127.0.0.1:1/0"})
    with open_database(settings.database_url).begin() as session:
        take_name(session, "host-any", this_process().replace(":", "-x:", 1), time.time())
    with pytest.raises(SettingsError, match="a worker called host-any runs already"):
        run_worker(settings, "host-any", ["gpu"], None)
