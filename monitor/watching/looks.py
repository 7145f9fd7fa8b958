"""Looks at the lines, one after the other, without waiting for one that has much to read.

To fetch and digest a push may take hours. Meanwhile that line is not looked at again, and all
others are.
"""

from collections.abc import Iterator, Sequence
from contextvars import copy_context
from threading import Thread

from monitor.watching.line_watch import LineWatch

PATIENCE_SECONDS = 10.0
"""How long the others wait for the look at one line."""


class Looks:
    """The looks at `lines` that are under way."""

    def __init__(self, lines: Sequence[LineWatch]) -> None:
        self._lines = lines
        self._under_way: dict[str, Thread] = {}

    def take(self) -> Iterator[LineWatch]:
        """Look at every line whose last look has ended; the lines of which the look is over now.

        What is not over within the patience is yielded by a later call.
        """
        for line in self._lines:
            name = line.settings.name
            thread = self._under_way.get(name)
            if thread is None:
                # A daemon: who stops the watch need not wait for what is read.
                thread = Thread(target=copy_context().run, args=(line.look,), daemon=True)
                self._under_way[name] = thread
                thread.start()
                thread.join(PATIENCE_SECONDS)
            if not thread.is_alive():
                del self._under_way[name]
                yield line
