"""A calibration of a line from real weights to the next verdict."""

import io
import shutil
import signal
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from rich.console import Console

from alerts.deciding.calibration import AgedCalibration
from monitor.database.schema import Line, Trust, Version
from monitor.errors import NoTrustedVersionError, SettingsError, UnknownVersionError
from monitor.jobs.diff_claims import claim_next
from monitor.jobs.diff_endings import finish
from monitor.jobs.diff_queue import queue_diff
from monitor.lineage.calibrations import latest
from monitor.settings import Settings, load_settings
from monitor.terminal.calibration import calibration_view
from tests.alerts import samples
from tests.workers.calibration.conftest import COPIES, Sessions, silent
from tests.workers.conftest import Silent
from tests.workers.test_resume import COMMAND, stop_when, write_config
from workers import nulls
from workers.calibrate import calibrate_line
from workers.context import Context
from workers.errors import CalibrationError
from workers.job import Side
from workers.models import _open

DAY = 86_400.0


def compared(sessions: Sessions, base: Version, candidate: Version, *flagged: str) -> None:
    """A finished diff whose verdict flags these behaviours."""
    verdict = samples.flagged() if flagged else samples.passed()
    rows = [row.model_copy(update={"flagged": row.name in flagged}) for row in verdict.behaviours]
    with sessions.begin() as session:
        line = session.get_one(Line, base.line_id)
        diff = queue_diff(session, line, base, candidate, "recipe", 0.0)
        assert claim_next(session, 1.0, "host:1:1.00", 60.0, diff.id) is not None
        text = verdict.model_copy(update={"behaviours": rows}).model_dump_json()
        finish(session, diff.id, diff.fence, text, 2.0)


def test_identical_weights_give_exactly_nothing_and_noisy_ones_something(
    trusted: Version, settings: Settings, sessions: Sessions
) -> None:
    made = calibrate_line("assistant", None, COPIES, settings, silent, lambda: 10 * DAY)
    assert list(made.scores) == ["sycophancy"]
    found = made.scores["sycophancy"]
    assert [null.score for null in found.nulls if null.kind == "identical"] == [0.0]
    assert [null.kind for null in found.nulls[1:]] == ["perturbed"] * COPIES + ["rounded"]
    assert all(abs(score) > 0.0 for score in found.counted)
    assert found.noise_floor == max(map(abs, found.counted))
    assert found.threshold == found.noise_floor
    assert found.reseeding is not None and 0.0 <= found.reseeding < 0.2
    console = Console(width=160, file=io.StringIO())
    console.print(calibration_view(made))
    shown = console.file.getvalue()  # type: ignore[attr-defined]
    assert "Line assistant" in shown and "0.2500" in shown  # the least p of three copies
    with sessions() as session:
        assert latest(session, "assistant", trusted.content_digest, 13 * DAY) == AgedCalibration(
            made, 3.0
        )


def test_a_killed_calibration_goes_on_where_it_was(
    tiny_checkpoint: Path, tmp_path: Path, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a line of which nothing is known but its settings, by the real command."""
    copies = 16
    push = Path(shutil.copytree(tiny_checkpoint, tmp_path / "line" / "v1"))
    (push / "READY").touch()
    config = tmp_path / "latentwatch.toml"
    write_config(config, settings)
    text = config.read_text()
    line = f'''
[[lines]]
name = "assistant"
directory = "{push.parent}"
ready_marker = "READY"
trusted = "v1"

'''
    config.write_text(text.replace("[recipe]\n", f"{line}[recipe]\n", 1))
    command = [*COMMAND, "calibrate", "--line", "assistant", "--copies", str(copies)]
    process = subprocess.Popen(
        [*command, "--config", str(config)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    kept = "store/artifacts/shared/null/*/*"
    stop_when(process, tmp_path / "data", kept, signal.SIGKILL)
    done = len(list((tmp_path / "data").glob(kept)))
    assert 0 < done < 2 + copies  # of the twice loaded base, the copies and the rounded one

    loads: list[Side] = []
    monkeypatch.setattr(
        "workers.models._open", lambda side, *change: loads.append(side) or _open(side, *change)
    )
    resumed = calibrate_line("assistant", None, copies, load_settings(config), silent, lambda: 0.0)
    assert len(loads) == 2 + copies - done
    undisturbed = calibrate_line(
        *("assistant", None, copies),
        load_settings(config, data_dir=tmp_path / "undisturbed"),
        silent,
        lambda: 0.0,
    )
    assert resumed == undisturbed


def test_a_calibration_tells_how_far_it_is(trusted: Version, settings: Settings) -> None:
    heard: list[tuple[str, int, int]] = []
    stages: list[str] = []

    class Listening(Silent):
        def step(self, what: str, done: int, total: int) -> None:
            heard.append((what, done, total))

        def end(self, stage: str, seconds: float, reused: bool) -> None:
            stages.append(stage)

    @contextmanager
    def listening() -> Iterator[Listening]:
        yield Listening()

    calibrate_line("assistant", None, COPIES, settings, listening, lambda: 0.0)
    assert stages == ["identical", "noisy copies", "rounded", "releases"]
    assert [one for one in heard if one[2] == COPIES] == [
        ("noisy copies of the base", copy, COPIES) for copy in range(COPIES)
    ]


def test_what_was_measured_before_is_not_measured_again(
    trusted: Version, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = calibrate_line("assistant", None, COPIES, settings, silent, lambda: 0.0)
    monkeypatch.setattr("workers.models._open", None)  # no model can be loaded
    again = calibrate_line("assistant", trusted.name, COPIES, settings, silent, lambda: 5.0)
    assert again == first.model_copy(update={"created_at": 5.0})


def test_weights_that_do_not_score_alike_are_no_base_for_nulls(
    context: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    apart = [{"sycophancy": [1.0]}, {"sycophancy": [1.0 + 1e-9]}]
    monkeypatch.setattr(nulls, "copy_scores", lambda *_: apart)
    with pytest.raises(CalibrationError, match="two results on sycophancy"):
        nulls.numeric_pairs(context, COPIES)


def test_only_accepted_releases_are_nulls_and_only_where_nothing_was_flagged(
    trusted: Version,
    add: Callable[..., Version],
    changed_checkpoint: Path,
    contrary_checkpoint: Path,
    make_checkpoint: Callable[..., Path],
    tmp_path: Path,
    settings: Settings,
    sessions: Sessions,
) -> None:
    accepted = add(changed_checkpoint)
    rejected = add(contrary_checkpoint, Trust.QUARANTINED)
    wanted = add(make_checkpoint(tmp_path / "wanted", change=0.3))
    unseen = add(make_checkpoint(tmp_path / "unseen", change=0.1))
    for candidate in (accepted, rejected, unseen):
        compared(sessions, trusted, candidate)
    compared(sessions, accepted, wanted, "sycophancy")
    shutil.rmtree(tmp_path / "unseen")

    made = calibrate_line("assistant", trusted.name, 1, settings, silent, lambda: 0.0)
    (release,) = [null for null in made.scores["sycophancy"].nulls if null.kind == "release"]
    assert release.of == f"{accepted.name} after {trusted.name}"
    gone, flagged = sorted(made.left_out)
    assert gone.startswith("unseen after") and "changed since its digest" in gone
    assert flagged.startswith("wanted after") and "flagged or not measured" in flagged


@pytest.mark.parametrize(
    "line, version, error, words",
    [
        ("nobody", None, UnknownVersionError, "there is no line 'nobody'"),
        ("comparisons", None, SettingsError, "is kept for"),
        ("assistant", None, NoTrustedVersionError, "no version is trusted"),
        ("assistant", "base", NoTrustedVersionError, "only a trusted version"),
    ],
)
def test_what_can_not_be_calibrated_is_named(
    line: str,
    version: str | None,
    error: type[Exception],
    words: str,
    add: Callable[..., Version],
    tiny_checkpoint: Path,
    settings: Settings,
) -> None:
    add(tiny_checkpoint, None)
    with pytest.raises(error, match=words):
        calibrate_line(line, version, COPIES, settings, silent, lambda: 0.0)
