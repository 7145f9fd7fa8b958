"""The commands about probe suites: `probes new`, `lint`, `run` and `import`."""

import json
import math
import re
from pathlib import Path
from typing import Annotated

import typer
from pydantic import ValidationError

from alerts.json_file import InvalidFileError
from alerts.probes.forks import BEHAVIOUR as OWN_WORDS
from alerts.probes.starter import starter_suite
from alerts.probes.suite import bundled_suites
from alerts.probes.suite_import.formats import ImportFormat, open_source
from alerts.probes.suite_import.imported import import_suite
from alerts.probes.suite_lint.finding import Finding
from alerts.probes.suite_lint.lint import lint_file
from monitor.commands.console import BAD_INPUT, UNDECIDED, explained, report, show, write
from monitor.commands.options import Config, DataDir, TextOrJson, named_path, settings_of
from monitor.errors import SettingsError
from monitor.settings.judge import JudgeSettings

probes = typer.Typer(
    no_args_is_help=True, help="Probe suites: write them, check them, try them, bring others'."
)
WARNED = 1
"""Exit code of `lint` where nothing is worse than a warning."""
_NAME = re.compile(r"[a-z][a-z0-9_]*")

SuiteFile = Annotated[
    Path, typer.Argument(parser=named_path, metavar="FILE", help="A suite, as JSON.")
]


@probes.command()
@explained
def new(
    name: Annotated[
        str, typer.Argument(metavar="NAME", help="Of the behaviour, such as overpromising.")
    ],
    out: Annotated[
        Path | None,
        typer.Option("-o", "--out", parser=named_path, metavar="FILE", help="NAME.json here."),
    ] = None,
) -> None:
    """Write a suite to start from: one item of each kind, each named after what it shows."""
    path = out or Path(f"{name}.json")
    _write_new(path, starter_suite(_behaviour("NAME", name)))
    if name in bundled_suites():
        report(
            f"{name}: is the name of a bundled suite too; give yours another one, or it can't "
            "stand beside that in recipe.suites"
        )
    write(
        f"{path}: written. It measures an example, overpromising; make it yours:\n"
        "  description     say in one sentence what more of the behaviour means\n"
        "  minimum_effect  the smallest shift, in nats per token, worth a reviewer's time\n"
        "  items           replace them; the ids say what each of them shows\n"
        "    template      one name for all items that are made from one pattern\n"
        "    variants      ways to ask one item, such as both orders of options\n"
        "    messages      the chat up to the model's turn\n"
        "    opening       how the answer has begun, where it has\n"
        "    matching      answers that show the behaviour\n"
        "    not_matching  answers of like length and tone that do not\n"
        "    knows         the fact that an item takes for granted, where there is one\n"
        "Then:\n"
        f"  latentwatch probes lint {path} --model path/to/checkpoint\n"
        f"  latentwatch probes run {path} --model path/to/candidate --base path/to/base\n"
        "and add the file to recipe.suites in latentwatch.toml."
    )


@probes.command()
@explained
def lint(
    files: Annotated[
        list[Path], typer.Argument(parser=named_path, metavar="FILE...", help="Suites, as JSON.")
    ],
    model: Annotated[
        Path | None,
        typer.Option(
            parser=named_path, metavar="DIR", help="Checkpoint by whose tokens they are read too."
        ),
    ] = None,
    format_: TextOrJson = "text",
) -> None:
    """Say what is wrong with suites. Exit code: 0 nothing, 1 warnings, 2 errors."""
    found: dict[Path, list[Finding]] = {}
    if model is None:
        found = {path: lint_file(path) for path in files}
    else:
        from dfc.errors import InputError
        from workers.probe_run import context_of, tokenizer_of

        with tokenizer_of(model) as tokenizer:
            context = context_of(model)
            for path in files:
                try:
                    found[path] = lint_file(path, tokenizer, context)
                except InputError as error:
                    raise InvalidFileError(f"{path}: {error}") from error
    if format_ == "json":
        rows = [
            {"file": str(p), **f.model_dump(mode="json")} for p, fs in found.items() for f in fs
        ]
        write(json.dumps(rows, indent=2))
    else:
        from monitor.terminal.probes import findings_view

        for path, findings in found.items():
            show(findings_view(path, findings))
    levels = {finding.level for findings in found.values() for finding in findings}
    raise typer.Exit(BAD_INPUT if "error" in levels else WARNED if levels else 0)


@probes.command()
@explained
def run(
    file: SuiteFile,
    model: Annotated[
        Path, typer.Option(parser=named_path, metavar="DIR", help="Checkpoint that is measured.")
    ],
    base: Annotated[
        Path | None,
        typer.Option(parser=named_path, metavar="DIR", help="Checkpoint it is compared with."),
    ] = None,
    generate: Annotated[
        bool, typer.Option("--generate", help="Also let both write answers; needs --base.")
    ] = False,
    judge: Annotated[
        str | None,
        typer.Option(
            metavar="URL", help="OpenAI-compatible endpoint that gets prompts and answers."
        ),
    ] = None,
    judge_model: Annotated[str | None, typer.Option(help="Name of the model there.")] = None,
    answer_tokens: Annotated[int, typer.Option(min=1, help="Longest answer.")] = 96,
    format_: TextOrJson = "text",
    config: Config = None,
    data_dir: DataDir = None,
) -> None:
    """Measure one suite in one checkpoint or two. Exit code: 0 measured, 2 bad input, 3 something
    could not be measured."""
    if generate and base is None:
        raise SettingsError("--generate compares the answers of two models; add --base DIR")
    if not generate and (judge is not None or judge_model is not None):
        raise SettingsError("--judge and --judge-model judge answers; add --generate")
    judging = _judging(settings_of(config, data_dir).judge, judge, judge_model)
    from alerts.probes.suite import load_suite
    from monitor.terminal.probes import run_view
    from workers.probe_run import Generation, run_suite
    from workers.progress import terminal_progress

    suite = load_suite(file)
    generation = None
    if generate:
        generation = Generation(answer_tokens, judging.endpoint(), judging.total_seconds)
    with terminal_progress() as progress:
        measured = run_suite(suite, model, base, generation, progress)
    if format_ == "json":
        write(measured.model_dump_json(indent=2))
    else:
        show(run_view(measured))
    if not measured.measured:
        report(f"{file}: not all that was asked for could be measured")
        raise typer.Exit(UNDECIDED)


@probes.command(name="import")
@explained
def import_(
    format_: Annotated[
        ImportFormat, typer.Argument(metavar="FORMAT", help=", ".join(ImportFormat))
    ],
    file: Annotated[
        Path, typer.Argument(parser=named_path, metavar="FILE", help="A file of that data set.")
    ],
    out: Annotated[
        Path, typer.Option("-o", "--out", parser=named_path, metavar="OUT", help="The suite.")
    ],
    behaviour: Annotated[
        str | None, typer.Option(help="Name of the behaviour; by default that of the data set.")
    ] = None,
    minimum_effect: Annotated[
        float, typer.Option(help="Smallest shift worth a reviewer's time, nats per token.")
    ] = 0.3,
    limit: Annotated[
        int | None, typer.Option(min=1, help="Most items, drawn evenly over the templates.")
    ] = None,
) -> None:
    """Make a suite of a public data set's file, and say which rows were left out and why."""
    if behaviour is not None:
        _behaviour("--behaviour", behaviour)
    if not 0 < minimum_effect < math.inf:
        raise SettingsError(f"--minimum-effect {minimum_effect}: must be above 0, and a number")
    imported = import_suite(open_source(format_, file), behaviour, minimum_effect, limit)
    suite = imported.suite
    _write_new(out, suite.model_dump_json(indent=1, exclude_none=True) + "\n")
    templates = len(set(suite.templates))
    write(
        f"{out}: {suite.behaviour}, {len(suite.items)} items from {templates} templates, of "
        f"{imported.n_rows} rows"
    )
    for reason, n in imported.left_out.items():
        write(f"  left out: {n} rows: {reason}")
    write(f"Next: latentwatch probes lint {out} --model path/to/checkpoint")


def _behaviour(option: str, name: str) -> str:
    if not _NAME.fullmatch(name):
        raise SettingsError(
            f"{option} {name!a}: a behaviour's name has lower case letters, digits and "
            "underscores, a letter first"
        )
    if name == OWN_WORDS:
        raise SettingsError(
            f"{option} {name!a}: is kept for what models say in their own answers; choose another"
        )
    return name


def _write_new(path: Path, text: str) -> None:
    """Write a file that must not be there yet."""
    try:
        with path.open("x", encoding="utf-8") as stream:
            stream.write(text)
    except FileExistsError as error:
        raise SettingsError(f"{path}: is there already; remove it or name another file") from error
    except OSError as error:
        raise SettingsError(
            f"{path}: can't be written ({error.strerror}); check the path and its permissions"
        ) from error


def _judging(settings: JudgeSettings, url: str | None, model: str | None) -> JudgeSettings:
    """The settings with what the options say. Raises SettingsError."""
    given = {"base_url": url, "model": model}
    values = settings.model_dump() | {k: v for k, v in given.items() if v is not None}
    try:
        return JudgeSettings.model_validate(values)
    except ValidationError as error:
        said = "; ".join(problem["msg"] for problem in error.errors())
        raise SettingsError(f"--judge, --judge-model: {said}") from error
