"""Chat templates that run on or write without end are refused; all others are left alone."""

import sys
from pathlib import Path

import pytest

from deploy.bench.made_up import write_checkpoint
from monitor.errors import CheckpointRefusedError
from tests.edits import edit_json
from tests.workers.service import ROOT
from workers.processes.template_trial import try_templates

ENDLESS = "{% for i in range(99999) %}{% for j in range(99999) %}{% endfor %}{% endfor %}"
HOSTILE = {
    "loops": (ENDLESS, "runs on"),
    "loops and writes": (ENDLESS.replace("%}{% endfor", "%}x{% endfor", 1), "writes without end"),
    "more loops than the sandbox allows": ("{% for i in range(99999999) %}{% endfor %}", "runs on"),
    "one huge text": ("{{ 'x' * 10**11 }}", "writes without end"),
    "texts that double": (
        "{% set n = namespace(t='x') %}{% for i in range(60) %}{% set n.t = n.t ~ n.t %}"
        "{% endfor %}",
        "runs on|writes without end",
    ),
}
HARMLESS = {
    "refuses the chat": "{{ raise_exception('no assistant') }}{{ messages.nothing.at_all }}",
    "broken": "{% for %}",
    "loop controls": "{% for m in messages %}{% if m %}{% continue %}{% endif %}{% endfor %}",
}


@pytest.fixture(autouse=True)
def _found_by_children(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", str(ROOT))


@pytest.mark.parametrize("case", HOSTILE)
def test_a_template_without_end_is_refused(tmp_path: Path, case: str) -> None:
    template, message = HOSTILE[case]
    path = write_checkpoint(tmp_path / "push")
    (path / "chat_template.jinja").write_text(template)
    with pytest.raises(CheckpointRefusedError, match=message):
        try_templates(path)


@pytest.mark.parametrize("case", HARMLESS)
def test_every_other_template_is_left_to_the_stages(tmp_path: Path, case: str) -> None:
    path = write_checkpoint(tmp_path / "push")
    (path / "chat_template.jinja").write_text(HARMLESS[case])
    try_templates(path)


def test_named_templates_of_the_tokenizer_are_tried_too(tmp_path: Path) -> None:
    path = write_checkpoint(tmp_path / "push")
    named = [{"name": "default", "template": "x"}, {"name": "tool_use", "template": ENDLESS}]
    edit_json(path / "tokenizer_config.json", chat_template=named)
    with pytest.raises(CheckpointRefusedError, match="runs on"):
        try_templates(path)


def test_a_trial_that_somebody_ended_says_nothing_of_the_template(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ended = tmp_path / "python"
    ended.write_text("#!/bin/sh\nkill -TERM $$\n")
    ended.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(ended))
    with pytest.raises(RuntimeError, match="ended by SIGTERM"):
        try_templates(write_checkpoint(tmp_path / "push"))
