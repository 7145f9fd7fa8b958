"""Renders the chat templates of a checkpoint once, within limits, before any stage does without.

A template is a program that comes with the checkpoint. The sandbox keeps it from reaching anything,
not from running for ever; so it is tried on a short chat in a process of its own:
`python -m workers.processes.template_trial DIRECTORY`.
"""

import os
import resource
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from monitor.checkpoints.strict_json import read_json_object
from monitor.errors import CheckpointRefusedError
from workers.processes.isolation import environment_of_diffs

CPU_SECONDS, WALL_SECONDS = 2, 120.0
MEMORY_BYTES = 2 * 2**30
LONGEST_CHARACTERS = 1_000_000
_TOO_LONG, _TOO_LARGE, _TOO_OFTEN = 3, 4, 5
_OUT_OF_TIME = (-signal.SIGKILL, -signal.SIGXCPU)
"""How the kernel ends who is over RLIMIT_CPU."""
_CHAT = [
    {"role": "user", "content": "Hello."},
    {"role": "assistant", "content": "Hello."},
    {"role": "user", "content": "Goodbye."},
]


def try_templates(checkpoint: Path) -> None:
    """Raises CheckpointRefusedError when a template takes too long or writes too much.

    A template that refuses this chat, or has an error, is left to the stages. Raises RuntimeError
    when the trial was ended by another signal: that says nothing of the template.
    """
    command = [sys.executable, "-m", "workers.processes.template_trial", str(checkpoint)]
    try:
        code = subprocess.run(
            command,
            env=environment_of_diffs(os.environ),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=WALL_SECONDS,
        ).returncode
    except subprocess.TimeoutExpired:
        code = _TOO_OFTEN
    if code in (*_OUT_OF_TIME, _TOO_LONG, _TOO_LARGE, _TOO_OFTEN):
        what = "writes without end" if code in (_TOO_LONG, _TOO_LARGE) else "runs on"
        raise CheckpointRefusedError(
            f"{checkpoint}: its chat template {what} for a chat of three short messages; correct "
            "chat_template.jinja or chat_template of tokenizer_config.json"
        )
    if code < 0:
        raise RuntimeError(
            f"{checkpoint}: the trial of its chat template was ended by "
            f"{signal.Signals(-code).name}, which is not known to be the template's doing"
        )


def templates_of(checkpoint: Path) -> Iterator[str]:
    """Every template that a loader could take."""
    places = [checkpoint / "chat_template.jinja"]
    places += sorted((checkpoint / "additional_chat_templates").glob("*.jinja"))
    yield from (place.read_text(encoding="utf-8") for place in places if place.is_file())
    config = checkpoint / "tokenizer_config.json"
    named = read_json_object(config).get("chat_template") if config.is_file() else None
    for entry in named if isinstance(named, list) else [named]:
        template = entry.get("template") if isinstance(entry, dict) else entry
        if isinstance(template, str):
            yield template


def _render(template: str) -> int:
    """The length of what it writes for the chat, as transformers renders it."""
    from jinja2.sandbox import ImmutableSandboxedEnvironment

    environment = ImmutableSandboxedEnvironment(
        trim_blocks=True, lstrip_blocks=True, extensions=["jinja2.ext.loopcontrols"]
    )
    environment.globals["raise_exception"] = environment.globals["strftime_now"] = str
    length = 0
    for part in environment.from_string(template).generate(
        messages=_CHAT, add_generation_prompt=True, bos_token="", eos_token=""
    ):
        length += len(part)
        if length > LONGEST_CHARACTERS:
            break
    return length


def _main(checkpoint: Path) -> int:
    resource.setrlimit(resource.RLIMIT_CPU, (CPU_SECONDS, CPU_SECONDS))
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    for template in templates_of(checkpoint):
        try:
            if _render(template) > LONGEST_CHARACTERS:
                return _TOO_LONG
        except MemoryError:
            return _TOO_LARGE
        except OverflowError:  # the sandbox's own limit of a loop
            return _TOO_OFTEN
    return 0


if __name__ == "__main__":
    sys.exit(_main(Path(sys.argv[1])))
