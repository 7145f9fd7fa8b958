"""A result is computed once and read back ever after."""

from collections.abc import Callable
from pathlib import Path

import pytest

from workers.errors import StoreError
from workers.keeping.artifact import RESULT, Artifact, Result, computed_once
from workers.keeping.store import LocalStore


class Figures(Result):
    mean: float
    names: list[str | None]


def ticking() -> Callable[[], float]:
    times = iter([10.0, 12.5])
    return lambda: next(times)


def computed(store: LocalStore) -> Artifact[Figures]:
    def compute(directory: Path) -> Figures:
        (directory / "tensor").write_text("beside")
        return Figures(mean=0.1 + 0.2, names=["a", None])

    return computed_once(store, "a", Figures, compute, ticking())


def unused(_: Path) -> Figures:
    raise AssertionError("computed a second time")


def test_a_result_comes_back_with_its_time_and_files(tmp_path: Path) -> None:
    first = computed(LocalStore(tmp_path))
    again = computed_once(LocalStore(tmp_path), "a", Figures, unused, lambda: 0.0)
    assert first.result == again.result == Figures(mean=0.1 + 0.2, names=["a", None])
    assert first.seconds == again.seconds == 2.5
    assert (again.directory / "tensor").read_text() == "beside"
    assert (first.reused, again.reused) == (False, True)


def test_a_damaged_result_is_named_with_the_remedy(tmp_path: Path) -> None:
    store = LocalStore(tmp_path)
    path = computed(store).directory / RESULT
    path.write_text('{"seconds": 1.0}')
    with pytest.raises(StoreError, match=f"(?s){path}.*remove"):
        computed_once(store, "a", Figures, unused, lambda: 0.0)


def test_not_a_number_is_no_result() -> None:
    with pytest.raises(ValueError, match="finite"):
        Figures(mean=float("nan"), names=[])
