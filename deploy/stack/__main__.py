"""`python -m deploy.stack`: the whole service on this machine, until Ctrl-C."""

import argparse
import signal
from pathlib import Path
from threading import Event

from rich.console import Console
from rich.table import Table
from rich.text import Text

from alerts.plain_text import strip_controls
from deploy.bench.servers import free_port
from deploy.stack.composition import CompositionError
from deploy.stack.programs import NOT_HERE
from deploy.stack.start import PAGES, Running, running_stack
from monitor.errors import LatentwatchError

LOOK_SECONDS = 0.5


def main() -> int:
    """Start it and say where everything is. Exit code 2 where it can't start."""
    parser = argparse.ArgumentParser(prog="python -m deploy.stack", description=__doc__)
    parser.add_argument("--directory", type=Path, default=Path("build/stack"))
    parser.add_argument("--config", type=Path, help="latentwatch.toml in the place of the bundled")
    parser.add_argument("--no-fake-slack", action="store_true", help="a token of yours is set")
    parser.add_argument("--free-ports", action="store_true", help="any that nobody listens on")
    given = parser.parse_args()
    console, stop = Console(highlight=False, soft_wrap=True), Event()
    try:
        given.directory.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        console.print(f"error: --directory {given.directory}: can't be made ({error.strerror})")
        return 2
    directory = given.directory.resolve()
    profiles = ["cpu"] if given.no_fake_slack else ["cpu", "demo"]
    port = (lambda _: free_port()) if given.free_ports else int
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())

    def tell(sentence: str) -> None:
        console.print(Text(strip_controls(sentence)))

    try:
        with running_stack(directory, profiles, tell, port, given.config) as running:
            _introduce(console, running, directory)
            while not stop.wait(LOOK_SECONDS):
                running.stack.raise_if_lost()
            console.print("stopping; a comparison saves its training first")
    except (CompositionError, LatentwatchError) as error:
        tell(f"error: {error}")
        return 2
    return 0


def _introduce(console: Console, running: Running, directory: Path) -> None:
    table = Table(box=None, pad_edge=False)
    table.add_column("where")
    table.add_column("what")
    for name, address in running.pages.items():
        table.add_row(address, PAGES[name])
    console.print(table)
    for image, why in NOT_HERE.items():
        console.print(f"{image} is not run: {why}; deploy/compose runs it in a container.")
    console.print(
        f"\nPush a version into {directory}/checkpoints/chat/NAME, and touch _SUCCESS in it last.\n"
        f"The first one to trust:  {running.command} trust chat NAME --reason 'the one in use'\n"
        f"What happens:            {running.command} status\n"
        f"Logs:                    {directory}/logs\n"
        "Ctrl-C stops it; what it knows stays."
    )


if __name__ == "__main__":
    raise SystemExit(main())
