"""`latentwatch bench zoo --report`: what is stored, before anything heavy is imported."""

from pathlib import Path

from deploy.bench.zoo.report import print_report
from deploy.bench.zoo.versions import Zoo
from monitor.commands.console import report
from monitor.errors import SettingsError


def report_stored(zoo: Zoo, work: Path, out: Path, image: Path) -> None:
    """Report the results in `work`; where there are none, what was kept in `out` before.

    Raises SettingsError with the command that makes results where there are none at all.
    """
    if (work / "results").exists():
        # What builds and checks takes seconds to import; what was kept is printed without it.
        from deploy.bench.zoo.command import keep_checked

        if not keep_checked(zoo, work, out, image):
            report("No result is of the present recipe; what was kept of an earlier one follows.")
    try:
        print_report(out)
    except FileNotFoundError as error:
        raise SettingsError(f"--report: {error}") from error
