"""Who supervises a comparison keeps the features that it finds, and gives it those of the versions
that the line had before."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from deploy.bench.made_up import write_checkpoint
from monitor.settings import load_settings
from tests.workers.conftest import Silent
from tests.workers.service import FAKE_DIFF, ROOT
from workers.check import check_pair
from workers.job import side_of
from workers.verdicts.outcome import FEATURES


@contextmanager
def silent() -> Iterator[Silent]:
    yield Silent()


def test_a_version_is_compared_with_what_is_kept_of_the_earlier_ones(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    settings = load_settings(data_dir=tmp_path / "data")
    base, *versions = (write_checkpoint(tmp_path / name, n) for n, name in enumerate("abcd"))

    def earlier(candidate: Path, line: str | None) -> list[tuple[str, str | None]]:
        verdict = check_pair(candidate, str(base), line, settings, None, silent, print, FAKE_DIFF)
        return [(version.name, version.not_compared) for version in verdict.earlier]

    first, second, third = versions
    assert earlier(first, "assistant") == []
    assert earlier(second, "assistant") == [("b", "b")]
    (kept,) = settings.data_dir.glob(
        f"reports/assistant/{side_of(first).content_digest[:12]}-*/{FEATURES}"
    )
    kept.unlink()
    assert earlier(third, "assistant") == [("c", "c"), ("b", None)]
    # Another line, and comparisons outside of any, know nothing of it.
    assert earlier(third, "other") == earlier(second, None) == earlier(third, None) == []
