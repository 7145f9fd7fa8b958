"""The tables and the plot on the zoo, from hand-made rows."""

import json
import re
import subprocess
import sys
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from deploy.bench.picture import page_colours
from deploy.bench.zoo.causes import Causes
from deploy.bench.zoo.figures import Row
from deploy.bench.zoo.report import keep_report
from deploy.bench.zoo.tables import page

MADE_BY: dict[str, Any] = {"base_digest": "a" * 64, "recipe_digest": "b" * 64, "limits": None}
MEASURED = Causes(
    ceiling=0.8, best=0.2, five=0.4, five_low=0.2, every=0.6, control=0.1, nll_rise=-0.02
)
GAPS = Causes(ceiling=0.5, five=0.4)
SVG = "{http://www.w3.org/2000/svg}"


def _row(version: str, kind: str, half: str = "report", **changes: Any) -> Row:
    made_by = {"version_key": "v", "recipe_digest": "r"}
    fields = {"version": version, "kind": kind, "half": half, "expected": None, **made_by}
    return Row(**(fields | {"verdict": "passed"} | changes))


def _flagged(version: str, half: str = "report", **changes: Any) -> Row:
    found = {"verdict": "flagged", "severity": "critical", "flagged": True, "named": True}
    fields = {"expected": "sycophancy", "behaviours": ["sycophancy"], "causes": MEASURED}
    fields["largest"] = "sycophancy"
    return _row(version, "planted", half, **(found | fields | changes))


ROWS = [
    _flagged("flattering", shift=1.25, score=2.5, surfaced=True, seed_agreement=0.9, minutes=7.5),
    _flagged("gappy", score=2.0, causes=GAPS),
    _flagged("lost", score=3.0, causes=Causes()),
    _row("quiet", "planted", expected="sycophancy", score=0.5, shift=0.25),
    _row("town", "benign", score=0.9),
    _row("identical", "benign", score=0.0, only_rounded=True),
    _row("broken", "benign", "tuning", verdict="undecided", failure="the disk\nis full"),
    _flagged("tuned", "tuning", score=2.0),
    _flagged("tuned again", "tuning", score=2.0),
    _flagged("found", score=2.0),
]


@pytest.fixture
def made(tmp_path: Path) -> Path:
    keep_report(tmp_path, tmp_path / "images" / "zoo.svg", ROWS, ["int8"], MADE_BY)
    return tmp_path


@pytest.fixture
def tables(made: Path) -> dict[str, list[str]]:
    """The cells of every line, by its first."""
    lines = (made / "zoo.md").read_text(encoding="utf-8").splitlines()
    cells = [line.strip("| ").split(" | ") for line in lines if line.startswith("| ")]
    return {first: rest for first, *rest in cells}


@pytest.fixture
def picture(made: Path) -> ET.Element:
    return ET.parse(made / "images" / "zoo.svg").getroot()


def test_a_version_s_line_has_its_causes_as_parts_of_the_ceiling(
    tables: dict[str, list[str]],
) -> None:
    cells = " ".join(tables["flattering"]).replace("\u202f", "")
    found = "report planted sycophancy flagged, critical sycophancy sycophancy +1.25 2.50 yes yes"
    assert cells == f"{found} 80% 25% 50% 75% 12% yes −0.020 0.90 7.5"
    assert all(
        len(line) == 19 for name, line in tables.items() if name in {r.version for r in ROWS}
    )


def test_what_is_unknown_is_called_so_and_is_neither_zero_nor_no(
    tables: dict[str, list[str]],
) -> None:
    half, kind, expected, verdict, behaviours, largest, shift, score, named, *rest = tables[
        "broken"
    ]
    assert (half, kind, expected, verdict) == ("tuning", "benign", "nothing", "undecided")
    assert (shift, named) == ("–", "–")
    assert {behaviours, largest, score, *rest} == {"not measured"}
    best, five, every, control, above = tables["gappy"][11:16]
    assert five == "80\u202f%"
    assert {best, every, control, above} == {"not measured"}
    assert tables["quiet"][4:10] == ["none", "none", "+0.25", "0.50", "no", "no"]


def test_both_halves_have_their_figures_with_exact_intervals(tables: dict[str, list[str]]) -> None:
    assert tables["figure"] == ["tuning half", "report half"]
    shares = {name: [cell.replace("\u202f", "") for cell in line] for name, line in tables.items()}
    # Two of two: the lower limit of Clopper and Pearson is the root of 0.025.
    assert shares["planted: flagged"] == ["2 of 2 (16% to 100%)", "4 of 5 (28% to 99%)"]
    assert shares["benign: flagged, a false page"] == ["not measured", "0 of 1 (0% to 98%)"]
    rounded = shares["benign, weights only written or rounded again: flagged"]
    assert rounded == ["not measured", "0 of 1"]
    above = shares["plants whose best five exceed the control"]
    assert above == ["2 of 2 (16% to 100%)", "2 of 5 (5% to 85%)"]
    assert shares["undecided"] == ["broken", "none"]
    assert shares["AUC of the score: planted and diluted against benign"] == [
        "not measured",
        "0.80",
    ]
    assert shares["best five, part of the ceiling, median"] == ["50%", "50%"]


def test_the_page_names_what_was_not_checked_and_why(made: Path) -> None:
    page = (made / "zoo.md").read_text(encoding="utf-8")
    assert "Not checked: int8." in page
    assert "- broken: the disk is full" in page


def test_the_page_shows_beside_what_all_was_judged_wherever_that_was_measured(
    made: Path, tmp_path: Path
) -> None:
    heading = "## Shifts of the harmless updates by which all are judged"
    assert heading not in (made / "zoo.md").read_text(encoding="utf-8")
    suite = {"shifts": {"neutral": 0.1, "terse": -0.2}, "noise_floor": 0.02, "threshold": 0.1}
    suite["limit"] = 0.34
    limits = {"alpha": 0.05, "updates": ["neutral", "terse"], "suites": {"sycophancy": suite}}
    here = tmp_path / "more", tmp_path / "zoo.svg"
    keep_report(*here, ROWS, [], MADE_BY | {"limits": limits})
    keep_report(*here, ROWS, [], MADE_BY)  # by a machine that has calibrated nothing
    page = (tmp_path / "more" / "zoo.md").read_text(encoding="utf-8")
    assert heading in page and "| sycophancy | +0.10 | -0.20 | 0.02 | 0.10 | 0.34 |" in page


def test_the_page_of_the_docs_is_that_of_the_kept_results() -> None:
    kept = json.loads(Path("docs/benchmarks/zoo.json").read_text(encoding="utf-8"))
    assert Path("docs/benchmarks/zoo.md").read_text(encoding="utf-8") == page(kept)


def test_every_measured_part_is_a_bar_as_long_as_it_is(picture: ET.Element) -> None:
    best, five, every, control = (
        _bars(picture, role) for role in ("base", "candidate", "ablated", "chance")
    )
    # In their order: flattering, gappy (five alone), lost (none), found, and the tuning half's two.
    assert [len(bars) for bars in (best, five, every, control)] == [4, 5, 4, 4]
    unit = five[0] / 0.5
    lengths = [length / unit for length in (*best, *five, *every, *control)]
    expected = [0.25] * 4 + [0.5, 0.8, 0.5, 0.5, 0.5] + [0.75] * 4 + [0.125] * 4
    assert lengths == pytest.approx(expected, abs=1e-3)
    assert _texts(picture).count("not measured") == 3 + 4


def test_curves_carry_their_auc_and_what_they_rest_on(picture: ET.Element) -> None:
    texts = _texts(picture)
    assert "report half: AUC 0.80 (5 planted or diluted, 1 benign)" in texts
    assert "tuning half: AUC not measured (2 planted or diluted, 0 benign)" in texts


def test_a_zoo_without_flagged_plants_is_drawn_as_not_measured(tmp_path: Path) -> None:
    keep_report(tmp_path, tmp_path / "zoo.svg", [ROWS[3]], [], MADE_BY)
    picture = ET.parse(tmp_path / "zoo.svg").getroot()
    assert _texts(picture).count("not measured") == 1
    assert [_bars(picture, role) for role in ("base", "candidate")] == [[], []]


def test_every_colour_has_a_value_in_light_and_in_dark(made: Path) -> None:
    text = (made / "images" / "zoo.svg").read_text(encoding="utf-8")
    body = text.split("</style>")[1]
    used = set(re.findall(r"var\((--\w+)\)", body))
    light, dark = page_colours().split("@media")[:2]
    assert {"--paper", "--ink", "--candidate", "--chance"} <= used
    for colours in (light, dark):
        assert used <= set(re.findall(r"(--\w+):", colours))
    assert not re.findall(r"#[0-9a-f]{6}", body)


def test_the_same_results_give_the_same_bytes(made: Path, tmp_path: Path) -> None:
    again = tmp_path / "again"
    keep_report(again, again / "zoo.svg", ROWS, ["int8"], MADE_BY)
    assert (again / "zoo.svg").read_bytes() == (made / "images" / "zoo.svg").read_bytes()


def test_the_report_of_nothing_fails_at_once_and_says_what_to_run(tmp_path: Path) -> None:
    program = (
        "import sys\n"
        "from deploy.bench.cli import app\n"
        "try: app(['zoo', '--report', '--work', sys.argv[1], '--out', sys.argv[1]])\n"
        "finally: sys.stdout.write(str('torch' in sys.modules))"
    )
    command = [sys.executable, "-c", program, str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "run `latentwatch bench zoo` first" in done.stderr
    assert done.stdout == "False"


def _texts(picture: ET.Element) -> list[str]:
    return [text.text or "" for text in picture.iter(f"{SVG}text")]


def _bars(picture: ET.Element, role: str) -> list[float]:
    """Lengths of the filled bars of one colour, in pixels, without the legend's."""
    return [
        max(xs) - min(xs)
        for path in _outside_legends(picture)
        if path.tag == f"{SVG}path" and f"fill: var(--{role})" in path.get("style", "")
        for xs in [[float(x) for x in re.findall(r"[ML] (\S+) ", path.get("d", ""))]]
    ]


def _outside_legends(element: ET.Element) -> Iterator[ET.Element]:
    yield element
    for child in element:
        if "legend" not in child.get("id", ""):
            yield from _outside_legends(child)
