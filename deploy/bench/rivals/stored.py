"""Where a comparison is kept, and its summary. Free of torch."""

from collections.abc import Iterable
from pathlib import Path

from deploy.bench.results import Figures, keep, kept
from deploy.bench.rivals.record import Compared, Comparison
from deploy.bench.rivals.report import summary
from deploy.bench.rivals.tables import page
from deploy.demo import atomic
from monitor.errors import SettingsError

NAME = "compare"


def keep_versions(out: Path, found: Iterable[Compared]) -> None:
    """Write the comparison into `out`, and its tables beside it."""
    comparison = Comparison(versions=list(found))
    keep(out, NAME, comparison.model_dump(mode="json"))
    atomic.write_text(out / f"{NAME}.md", page(comparison.versions))


def versions(out: Path) -> list[Compared]:
    """What is kept in `out`; nothing before the first run."""
    try:
        return Comparison.model_validate(kept(out, NAME)).versions
    except FileNotFoundError:
        return []


def stored(out: Path) -> Figures:
    """The summary of what is kept in `out`. Raises SettingsError with the command."""
    try:
        return summary(Comparison.model_validate(kept(out, NAME)).versions)
    except FileNotFoundError as error:
        raise SettingsError(f"--report: {error}") from error
