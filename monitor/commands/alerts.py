"""The commands about alerts: `alerts list`, `test`, `serve`, `ask` and `answers`, and `doctor`."""

import json
import signal
import time
from pathlib import Path
from threading import Event, Thread
from types import FrameType
from typing import Annotated

import typer
from pydantic import ValidationError

from alerts.alert_steps import Refusal
from alerts.question import LONGEST_PROMPT, MOST_SEEDS, Asked, PromptAsked, SeedsAsked, SuiteAsked
from monitor.closed_memory import close_memory
from monitor.commands.console import BAD_INPUT, explained, report, show, write
from monitor.commands.options import Config, DataDir, Reason, TextOrJson, named_path, settings_of
from monitor.database.opening import open_database, read_database
from monitor.database.schema import Question
from monitor.errors import AlertingError, QuestionError, SettingsError
from monitor.jobs.asking import find_alert, put
from monitor.jobs.questions import cancel_question
from monitor.owner import this_user
from monitor.terminal.alert_list import alert_rows, alerts_table
from monitor.terminal.questions import question_rows, questions_view

alerts = typer.Typer(no_args_is_help=True, help="Alerts: list them, send them, take the answers.")


@alerts.command(name="list")
@explained
def list_alerts(
    every: Annotated[bool, typer.Option("--all", help="Those that are resolved too.")] = False,
    format_: TextOrJson = "text",
    config: Config = None,
    data_dir: DataDir = None,
) -> None:
    """List the alerts that wait for an answer, the worst first, and whether they were sent."""
    with read_database(settings_of(config, data_dir).database_url)() as session:
        rows = alert_rows(session, every)
    if format_ == "json":
        write(json.dumps([row._asdict() for row in rows], ensure_ascii=False, indent=2))
    else:
        show(alerts_table(rows))


@alerts.command(name="test")
@explained
def post_sample(
    channel: Annotated[
        str, typer.Option(help="Id of a channel, such as C0123ABCD, or name of a destination.")
    ],
    config: Config = None,
    data_dir: DataDir = None,
) -> None:
    """Post a sample alert, with a picture in its thread and buttons that do nothing; or tell a
    destination of it, which may page somebody."""
    from alerts.channel import ChannelError
    from monitor.paging.sample_alert import post_sample_alert, tell_sample
    from monitor.settings.alerts import is_channel

    settings = settings_of(config, data_dir).alerts
    if channel not in settings.destinations and not is_channel(channel):
        known = ", ".join(sorted(settings.destinations)) or "none in [alerts.destinations]"
        raise SettingsError(
            f"--channel: no destination is called {channel!r}; there are {known}. A channel of "
            "Slack is named by its id, such as C0123ABCD (in Slack under Copy link)"
        )
    post = tell_sample if channel in settings.destinations else post_sample_alert
    try:
        where = post(settings, channel, time.time())
    except ChannelError as error:
        raise AlertingError(
            f"{channel}: {error}; `latentwatch doctor` says what is missing"
        ) from error
    write(f"posted to {channel}: message {where}")


@alerts.command()
@explained
def serve(config: Config = None, data_dir: DataDir = None) -> None:
    """Send alerts and take reviewers' answers, until SIGTERM; of several, one sends."""
    from monitor.paging.doctor import examine
    from monitor.paging.pager import Pager
    from monitor.paging.route_doctor import examine_routes
    from workers.keeping.results import StoredResults

    settings = settings_of(config, data_dir)
    if not settings.alerts.routes:
        raise SettingsError("alerts.routes: there is none; add [[alerts.routes]] with a channel")
    close_memory()
    results = StoredResults(settings)
    sessions = open_database(settings.database_url)
    pager = Pager(sessions, settings.alerts, results, report, settings.recipe.suites)
    stop = Event()

    def ended(number: int, frame: FrameType | None) -> None:
        stop.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, ended)

    def look() -> None:
        routes = examine_routes(settings.alerts, settings.recipe)
        for finding in [*routes, *examine(settings.alerts, time.time)]:
            if not finding.ok:
                report(f"{finding.what}: {finding.said}")

    Thread(target=look, daemon=True).start()  # who does not answer delays nothing
    pager.run(stop)


AlertName = Annotated[
    str, typer.Argument(metavar="ALERT", help="The start of its fingerprint, as listed.")
]


@alerts.command()
@explained
def ask(
    alert: AlertName,
    feature: Annotated[
        str | None, typer.Option(help="New feature with which a prompt is steered.")
    ] = None,
    prompt: Annotated[str | None, typer.Option(help="The prompt.")] = None,
    prompt_file: Annotated[
        Path | None, typer.Option(parser=named_path, metavar="FILE", help="File with the prompt.")
    ] = None,
    suite: Annotated[
        str | None, typer.Option(help="Behaviour of a suite: of the recipe, or a bundled one.")
    ] = None,
    seeds: Annotated[
        int | None,
        typer.Option(help=f"Train with so many further seeds, {MOST_SEEDS} at most."),
    ] = None,
    config: Config = None,
    data_dir: DataDir = None,
) -> None:
    """Ask for more than the verdict says: a prompt of yours answered by both models and by both
    steered with a feature, another suite, or whether further trainings find the same. A worker
    answers, in the alert's thread too."""
    asked = _asked(feature, _prompt(prompt, prompt_file), suite, seeds)
    settings = settings_of(config, data_dir)
    with open_database(settings.database_url).begin() as session:
        row = find_alert(session, alert)
        suites = settings.recipe.suites
        question = put(session, row, asked, this_user(), time.time(), suites)
        if isinstance(question, Refusal):
            raise QuestionError(f"nothing was asked: {question.reason}")
    write(f"question {question.id}: asked; `latentwatch alerts answers {alert}` shows the answer")


@alerts.command()
@explained
def cancel(
    question: Annotated[
        int, typer.Argument(metavar="QUESTION", min=1, max=2**31 - 1, help="Its number.")
    ],
    reason: Reason,
    config: Config = None,
    data_dir: DataDir = None,
) -> None:
    """Cancel a question that waits or is being answered."""
    with open_database(settings_of(config, data_dir).database_url).begin() as session:
        found = session.get(Question, question)
        if found is None:
            raise QuestionError(
                f"question {question}: there is none; `latentwatch status` shows those that wait"
            )
        refused = cancel_question(session, found, this_user(), reason, time.time())
        if refused is not None:
            raise QuestionError(f"nothing was cancelled: {refused.reason}")
        state = found.state
    write(f"question {question}: {'cancelled' if state == 'cancelled' else 'to be cancelled'}")


@alerts.command()
@explained
def answers(
    alert: AlertName,
    format_: TextOrJson = "text",
    config: Config = None,
    data_dir: DataDir = None,
) -> None:
    """Show what was asked about an alert beyond its verdict, and all of every answer."""
    with read_database(settings_of(config, data_dir).database_url)() as session:
        rows = question_rows(session, find_alert(session, alert))
    if format_ == "json":
        write(json.dumps([row._asdict() for row in rows], ensure_ascii=False, indent=2))
    else:
        show(questions_view(rows))


def _prompt(prompt: str | None, file: Path | None) -> str | None:
    if file is None:
        return prompt
    if prompt is not None:
        raise SettingsError("--prompt and --prompt-file name two prompts; give one of them")
    try:
        with file.open(encoding="utf-8") as stream:
            return stream.read(LONGEST_PROMPT + 1)  # one more is refused as too long
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"--prompt-file {file}: can't be read as text: {error}") from error


def _asked(feature: str | None, prompt: str | None, suite: str | None, seeds: int | None) -> Asked:
    try:
        match feature, prompt, suite, seeds:
            case None, None, str(), None:
                return SuiteAsked(suite=suite)
            case None, None, None, int():
                return SeedsAsked(seeds=seeds)
            case str(), str(), None, None:
                return PromptAsked(prompt=prompt, feature=feature)
    except ValidationError as error:
        [first, *_] = error.errors()
        raise SettingsError(f"--{first['loc'][0]}: {first['msg']}") from error
    raise SettingsError(
        "give one of --suite, --seeds, and --feature with --prompt or --prompt-file"
    )


@explained
def doctor(config: Config = None, data_dir: DataDir = None) -> None:
    """Check what alerts need: Slack's tokens, scopes, channels, groups and clock, all destinations,
    and what could not be sent. Exits with 2 if something is missing."""
    from monitor.paging.doctor import examine, undelivered
    from monitor.paging.route_doctor import examine_routes, without_ladder

    settings = settings_of(config, data_dir)
    findings = examine_routes(settings.alerts, settings.recipe)
    findings += without_ladder(settings.alerts)
    findings += examine(settings.alerts, time.time)
    findings += undelivered(read_database(settings.database_url), time.time())
    for finding in findings:
        write(f"{'ok     ' if finding.ok else 'PROBLEM'} {finding.what}: {finding.said}")
    if not all(finding.ok for finding in findings):
        raise typer.Exit(BAD_INPUT)
