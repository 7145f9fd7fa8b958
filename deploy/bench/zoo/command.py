"""`latentwatch bench zoo`: build what is missing, check what is missing, report what is there."""

from collections.abc import Sequence
from pathlib import Path

from transformers.utils import logging

from deploy.bench import results
from deploy.bench.bars import progress_bars
from deploy.bench.zoo.build import Workshop, build, open_workshop
from deploy.bench.zoo.calibrated import null_versions
from deploy.bench.zoo.check import Checker, zoo_settings
from deploy.bench.zoo.checked import read_checked, write_checked
from deploy.bench.zoo.figures import Row, row_of
from deploy.bench.zoo.report import keep_report, kept_rows, print_report
from deploy.bench.zoo.samples import samples
from deploy.bench.zoo.versions import Version, Zoo
from monitor.commands.console import report
from workers.progress import terminal_progress


class Bench:
    """The zoo in one workshop, with its checks and their results.

    What the report in `out` has of the present recipe counts too, so that a zoo can be checked in
    pieces on machines that share nothing else.
    """

    def __init__(self, shop: Workshop, checker: Checker, out: Path) -> None:
        self.shop, self._checker, self._out = shop, checker, out
        self._kept = kept_rows(out, checker.recipe_digest)
        self._calibrated = False

    def row(self, version: Version) -> Row | None:
        """The figures of `version`; None where it was not checked under the present recipe."""
        key = self.shop.key(version)
        found = read_checked(self._file(version), key, self._checker.recipe_digest)
        if found is not None:
            return row_of(version, found)
        kept = self._kept.get(version.name)
        return kept if kept is not None and kept.version_key == key else None

    def check(self, version: Version) -> Row:
        """The figures of `version`, built and checked first where that is missing, and what it is
        judged by before that.

        What was undecided is tried again: the stages that had succeeded are not repeated.
        """
        row = self.row(version)
        if row is None or row.verdict == "undecided":
            self._calibrate()
            checked = self._checker.check(version, self.build(version))
            write_checked(self._file(version), checked)
            row = row_of(version, checked)
        return row

    def _calibrate(self) -> None:
        if not self._calibrated:
            updates = {one.name: self.build(one) for one in null_versions(self.shop.zoo)}
            self._checker.calibrate(updates)
            self._calibrated = True

    def build(self, version: Version) -> Path:
        """The checkpoint of `version`, with progress on standard error."""
        with progress_bars() as progress:
            return build(self.shop, version, progress)

    def keep(self, image: Path) -> bool:
        """Keep all results of the present recipe as the benchmark's report, plotted as `image`.

        Without any, nothing is written, so that the report on an earlier recipe stays: False.
        """
        rows = {version.name: self.row(version) for version in self.shop.zoo.versions}
        found = [row for row in rows.values() if row is not None]
        if found:
            made_by = {
                "base_digest": self.shop.base.digest,
                "recipe_digest": self._checker.recipe_digest,
                "recipe": self.shop.zoo.recipe,
                "tuning": self.shop.zoo.tuning.model_dump(mode="json"),
                "limits": self._checker.limits(),
            }
            missing = [name for name, row in rows.items() if row is None]
            keep_report(self._out, image, found, missing, made_by)
        return bool(found)

    def _file(self, version: Version) -> Path:
        return self.shop.work / "results" / f"{version.name}.json"


def build_only(zoo: Zoo, names: Sequence[str], work: Path) -> None:
    """Build the named versions and print what they say to prompts that were held out."""
    shop = _workshop(zoo, work)
    for version in zoo.only(names):
        with progress_bars() as progress:
            path = build(shop, version, progress)
        results.print_line(
            {"version": version.name, "path": str(path), "samples": samples(shop, version)}
        )


def check_versions(zoo: Zoo, names: Sequence[str], work: Path, out: Path, image: Path) -> None:
    """Check the named versions, one after the other, and report all that is there."""
    bench = _bench(zoo, work, out)
    wanted = zoo.only(names)
    for number, version in enumerate(wanted, start=1):
        report(f"{number} of {len(wanted)}: {version.name}")
        bench.check(version)
        bench.keep(image)
    print_report(out)


def keep_checked(zoo: Zoo, work: Path, out: Path, image: Path) -> bool:
    """`Bench.keep` for what was checked before."""
    return _bench(zoo, work, out).keep(image)


def _bench(zoo: Zoo, work: Path, out: Path) -> Bench:
    shop = _workshop(zoo, work)
    return Bench(shop, Checker(shop, zoo_settings(shop), terminal_progress, report), out)


def _workshop(zoo: Zoo, work: Path) -> Workshop:
    logging.disable_progress_bar()
    return open_workshop(zoo, work)
