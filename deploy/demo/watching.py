"""Let the real command watch the demo's line, and collect what it found."""

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

from alerts.slack.message import render_text
from alerts.verdict import Verdict, to_json
from deploy.demo import atomic
from deploy.demo.line import MARKER
from workers.verdicts.outcome import MESSAGE, REPORT, report_directory

COMMAND = Path(sys.executable).with_name("latentwatch")
LINE = "smollm2"
SETTINGS = f"""\
data_dir = "data"

[[lines]]
name = "{LINE}"
directory = "line"
include = "v*"
ready_marker = "{MARKER}"
trusted = "v1"

# Small enough for two cores; the defaults probe, ask and answer more.
[recipe]
suites = ["sycophancy", "over_refusal", "harmful_compliance", "capability"]
max_prompts = 96
answer_tokens = 48
tokens = 60000
dfc = {{ candidate_exclusive = 512, steps = 300 }}
"""
LOOKED = (0, 1, 3)
"""Exit codes of `latentwatch watch --once` when it went through: passed, flagged, undecided."""


class Watched(NamedTuple):
    """What the watch found in the line."""

    verdicts: dict[str, Verdict]
    """Of v2 and v3, by name."""
    message: str
    """The Slack message about v3, as text."""
    report: Path
    """The page about v3."""


class WatchError(RuntimeError):
    """The command ended without a verdict on every version."""


def watch_line(build: Path) -> Watched:
    """Run `latentwatch watch --once` on `build`/line and copy its results into `build`.

    What an earlier run has decided is not computed again. Raises WatchError.
    """
    config = build / "latentwatch.toml"
    atomic.write_text(config, SETTINGS)
    command = [str(COMMAND), "watch", "--once", "--config", str(config)]
    code = subprocess.run(command, check=False).returncode
    if code not in LOOKED:
        raise WatchError(f"{' '.join(command)} ended with exit code {code}; see its output above")
    verdicts = {name: _verdict(name, config) for name in ("v2", "v3")}
    for name, verdict in verdicts.items():
        atomic.write_text(build / "verdicts" / f"{name}.json", to_json(verdict) + "\n")
    found = report_directory(build / "data", verdicts["v3"])
    report = build / "report.html"
    shutil.copyfile(found / REPORT, report)
    message = json.loads((found / MESSAGE).read_text(encoding="utf-8"))
    return Watched(verdicts, render_text(message["blocks"]), report)


def _verdict(version: str, config: Path) -> Verdict:
    command = [str(COMMAND), "show", LINE, version, "--format", "json", "--config", str(config)]
    shown = subprocess.run(command, check=False, stdout=subprocess.PIPE, text=True)
    if shown.returncode:
        raise WatchError(f"{' '.join(command)} ended with exit code {shown.returncode}")
    for diff in json.loads(shown.stdout)["diffs"]:
        if diff["verdict"] is not None:
            return Verdict.model_validate(diff["verdict"])
    raise WatchError(f"{version} has no verdict; `{' '.join(command)}` says why")
