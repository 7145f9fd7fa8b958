"""How long the exporter takes to answer Prometheus, by how much there is to tell.

The exporter runs in this process and is asked over HTTP; each scrape reads the database anew.
"""

import statistics
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from prometheus_client.parser import text_string_to_metric_families

from deploy.bench.bars import progress_bars
from deploy.bench.machine import machine
from deploy.bench.results import Figures, keep, print_line
from deploy.bench.servers import running_postgres
from deploy.bench.verdicts import conclude, prepare
from monitor.database.opening import open_database
from monitor.metrics.catalogue import PREFIX
from monitor.metrics.collector import CACHED_SECONDS
from monitor.metrics.exporter import serve_metrics
from monitor.settings import load_settings

VERSIONS_PER_LINE = 6
"""A trusted one, and five that were checked against it; every fifth check was flagged."""


class Size(NamedTuple):
    """Over how many lines, and how often each database is scraped."""

    lines: tuple[int, ...]
    scrapes: int


FULL = Size((10, 100, 1000), 7)


class Scraped(NamedTuple):
    """One answer of the exporter."""

    seconds: float
    kilobytes: float
    series: int
    unreadable: list[str]
    """The parts that it could not read in time."""


class AdvancingClock:
    """The time, further on after every look by more than the exporter keeps an answer."""

    def __init__(self) -> None:
        self._ahead = 0.0

    def __call__(self) -> float:
        self._ahead += CACHED_SECONDS + 1.0
        return time.time() + self._ahead


def run(size: Size, out: Path | None, work: Path | None = None) -> bool:
    """Fill databases, scrape them and print JSON lines, the summary last; False when a part could
    not be read. With `out` the result is kept there; everything happens below `work`."""
    rows = []
    for lines in size.lines:
        with tempfile.TemporaryDirectory(prefix="latentwatch-scrape-", dir=work) as directory:
            for kind, url in _databases(Path(directory)):
                rows.append(_measure(Path(directory), kind, url, lines, size.scrapes))
                print_line({"benchmark": "scrape", **rows[-1]})
    largest = [row for row in rows if row["lines"] == max(size.lines)]
    unreadable = sorted({part for row in rows for part in row["unreadable"]})
    line = {
        "benchmark": "scrape",
        "lines": max(size.lines),
        "versions": max(size.lines) * VERSIONS_PER_LINE,
        **{f"{row['database']}_median_s": row["median_s"] for row in largest},
        **{f"{row['database']}_first_s": row["first_s"] for row in largest},
        "unreadable": unreadable,
    }
    print_line(line)
    if out is not None:
        keep(out, "scrape", line | {"rows": rows, "scrapes": size.scrapes, "machine": machine()})
    return not unreadable


def _databases(directory: Path) -> Iterator[tuple[str, str]]:
    """Kind and URL, one after the other; the second one's server runs while it is used."""
    yield "sqlite", f"sqlite:///{directory / 'latentwatch.db'}"
    with running_postgres(directory) as url:
        yield "postgresql", url


def _measure(directory: Path, kind: str, url: str, lines: int, scrapes: int) -> Figures:
    names = [f"line-{number:04}" for number in range(lines)]
    _fill(url, names, kind)
    settings = load_settings(
        data_dir=directory / "data",
        database_url=url,
        lines=[{"name": name, "directory": directory} for name in names],
    )
    exporter = serve_metrics(settings, "127.0.0.1", 0, AdvancingClock())
    try:
        found = [_scrape(exporter.port) for _ in range(scrapes)]
    finally:
        exporter.close()
    seconds = [one.seconds for one in found]
    return {
        "database": kind,
        "lines": lines,
        "versions": lines * VERSIONS_PER_LINE,
        "first_s": round(seconds[0], 2),
        "median_s": round(statistics.median(seconds[1:]), 2),
        "max_s": round(max(seconds), 2),
        "series": found[-1].series,
        "kilobytes": round(found[-1].kilobytes),
        "unreadable": sorted({part for one in found for part in one.unreadable}),
    }


def _fill(url: str, names: list[str], kind: str) -> None:
    sessions = open_database(url)
    checks = prepare(sessions, names, len(names) * (VERSIONS_PER_LINE - 1))
    with progress_bars() as bars:
        for check in bars.track(checks, description=f"{kind}, {len(names)} lines"):
            conclude(sessions, check)
    sessions.kw["bind"].dispose()


def _scrape(port: int) -> Scraped:
    began = time.monotonic()
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics") as answer:
        body = answer.read()
    seconds = time.monotonic() - began
    samples = [
        sample
        for family in text_string_to_metric_families(body.decode())
        for sample in family.samples
        if sample.name.startswith(PREFIX)
    ]
    unreadable = [
        sample.labels["part"]
        for sample in samples
        if sample.name == f"{PREFIX}exporter_scrape_error" and sample.value
    ]
    return Scraped(seconds, len(body) / 1000, len(samples), unreadable)
