"""Where a comparison is kept, and its summary. Free of torch."""

from pathlib import Path

from deploy.bench.results import Figures, keep, kept, kept_of, make_way
from deploy.bench.rivals.record import Compared, Comparison
from deploy.bench.rivals.report import summary
from deploy.bench.rivals.tables import page
from deploy.demo import atomic
from monitor.errors import SettingsError

NAME = "compare"


def keep_version(out: Path, version: Compared, *, recipe_digest: str, code: str) -> list[Compared]:
    """Write `version` into `out`, with the tables, beside all that this recipe and code have
    compared; returned with these. What another recipe or code has is set aside.

    Read anew each time, since another process may compare other versions.
    """
    make_way(out, NAME, recipe_digest=recipe_digest, code=code)
    known = kept_of(out, NAME, recipe_digest=recipe_digest, code=code)
    found = Comparison.model_validate(known).versions if known else []
    found = [one for one in found if one.name != version.name] + [version]
    comparison = Comparison(recipe_digest=recipe_digest, code=code, versions=found)
    keep(out, NAME, comparison.model_dump(mode="json"))
    atomic.write_text(out / f"{NAME}.md", page(found))
    return found


def stored(out: Path) -> Figures:
    """The summary of what is kept in `out`. Raises SettingsError with the command."""
    try:
        return summary(Comparison.model_validate(kept(out, NAME)).versions)
    except FileNotFoundError as error:
        raise SettingsError(f"--report: {error}") from error
