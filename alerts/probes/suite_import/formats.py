"""The formats that can be imported, and how a file of each is opened."""

from collections.abc import Callable
from enum import StrEnum
from pathlib import Path

from alerts.json_file import InvalidFileError
from alerts.probes.suite_import import model_written_evals, syco_bench, sycophancy_eval
from alerts.probes.suite_import.imported import Source
from alerts.probes.suite_import.rows import csv_rows, jsonl, read_file


class ImportFormat(StrEnum):
    """Where a file comes from."""

    MODEL_WRITTEN_EVALS = "model-written-evals"
    SYCOPHANCY_EVAL = "sycophancy-eval"
    SYCO_BENCH = "syco-bench"


def open_source(format_: ImportFormat, path: Path) -> Source:
    """The rows of `path`. Raises InvalidFileError when it is no file of that format."""
    return _OPEN[format_](path)


def _model_written_evals(path: Path) -> Source:
    file = read_file(path)
    return Source(
        file,
        jsonl(file),
        model_written_evals.model_written,
        name=path.stem,
        licence=model_written_evals.LICENCE,
        says=f"Answers as the data set {path.stem} calls matching.",
    )


def _sycophancy_eval(path: Path) -> Source:
    file = read_file(path)
    rows = list(jsonl(file))
    kind = sycophancy_eval.kind_of(rows)
    if kind is None:
        raise InvalidFileError(
            f"{path}: no line has an object `base`; bring are_you_sure.jsonl, answer.jsonl or "
            "feedback.jsonl of SycophancyEval"
        )
    return Source(
        file,
        rows,
        sycophancy_eval.READ[kind],
        name=f"sycophancy_eval_{kind}",
        licence=sycophancy_eval.LICENCE,
        says=sycophancy_eval.SAYS[kind],
    )


def _syco_bench(path: Path) -> Source:
    file = read_file(path)
    columns, rows = csv_rows(file)
    kind = syco_bench.kind_of(columns, path)
    return Source(
        file,
        rows,
        syco_bench.READ[kind],
        name=f"syco_bench_{kind}",
        licence=syco_bench.LICENCE,
        says=syco_bench.SAYS[kind],
    )


_OPEN: dict[ImportFormat, Callable[[Path], Source]] = {
    ImportFormat.MODEL_WRITTEN_EVALS: _model_written_evals,
    ImportFormat.SYCOPHANCY_EVAL: _sycophancy_eval,
    ImportFormat.SYCO_BENCH: _syco_bench,
}
