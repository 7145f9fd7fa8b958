"""What `latentwatch check` compares: both checkpoints read, then registered and queued at once.

Nothing is registered before both have turned out to be complete and safe.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from sqlalchemy.orm import Session, sessionmaker

from alerts.verdict import Checkpoint, Outcome, RecipeSummary, Verdict
from monitor.checkpoints.checkpoint import inspect_checkpoint
from monitor.checkpoints.listing import list_directory
from monitor.database.schema import Diff, DiffState, Line, Trust, Version
from monitor.errors import CancelledError, CheckpointRefusedError, SettingsError
from monitor.jobs.diff_queue import queue_diff
from monitor.lineage.lookup import find_line
from monitor.lineage.trust import trusted_base
from monitor.on_demand.trusted_version import trust_named_first
from monitor.settings import Settings
from monitor.settings.lines import COMPARISONS, usable_line_name
from monitor.sources.locate import find_files
from monitor.watching.intake import Push, ensure_line, identify_push, register
from monitor.watching.pairing import pinned_anchor

TRUSTED = "trusted"
"""The baseline that is not a path but the trusted version of a line."""


class Comparison(NamedTuple):
    """A candidate and its base, ready to be compared."""

    line: str | None
    base: Checkpoint
    candidate: Checkpoint
    recipe_digest: str
    diff_id: int | None
    """None where both have the same content, so that there is nothing to compare."""
    anchored: "Comparison | None" = None
    """The comparison of the same candidate with the anchor of its line, where that decides too."""

    def parts(self) -> "list[Comparison]":
        """This one, and the one with the anchor; without those that have nothing to compare."""
        both = (self, self.anchored)
        return [one for one in both if one is not None and one.diff_id is not None]

    def verdict(self, outcome: Outcome, reason: str) -> Verdict:
        """A verdict for which nothing was measured."""
        return Verdict(
            schema="latentwatch.verdict/1",
            line=self.line,
            base=self.base,
            candidate=self.candidate,
            recipe=RecipeSummary(digest=self.recipe_digest, layer=None, tokens=None, seeds=[]),
            verdict=outcome,
            severity=None,
            reasons=[reason],
            behaviours=[],
            features=[],
            timings={},
            versions={},
        )


def prepare(
    sessions: sessionmaker[Session],
    settings: Settings,
    candidate: Path,
    baseline: str,
    line_name: str | None,
    recipe_digest: str,
    now: float,
    take: Callable[[Session, Diff], None] = lambda *_: None,
) -> Comparison:
    """Queue the comparison of `candidate` with `baseline`, a path or "trusted".

    Where that is a trusted version of a watched line with an anchor, the comparison with the anchor
    is queued with it: the candidate passes by both, as if it had been pushed. `take` is called in
    the transaction that queues it: what is claimed there no worker that waits for messages can have
    claimed before.
    Raises a LatentwatchError, and leaves no row behind, when that can't be done.
    """
    if line_name is not None:
        try:
            usable_line_name(line_name)
        except ValueError as error:
            raise SettingsError(f"--line {line_name!a}: {error}") from error
    candidate = candidate.resolve()
    with _naming("candidate", candidate):
        inspect_checkpoint(candidate)  # before the long reading of either
    if baseline == TRUSTED:
        base = _trusted(sessions, settings, line_name, now)
    else:
        base = _read(sessions, "baseline", Path(baseline).resolve())
    push = _read(sessions, "candidate", candidate)
    comparison = Comparison(
        line=line_name,
        base=Checkpoint(digest=base.identity.content, locator=base.locator),
        candidate=Checkpoint(digest=push.identity.content, locator=push.locator),
        recipe_digest=recipe_digest,
        diff_id=None,
    )
    if push.identity.content == base.identity.content:
        return comparison
    with sessions.begin() as session:
        line = ensure_line(session, line_name or COMPARISONS, now)
        first, second = (register(session, line, side, now).version for side in (base, push))
        anchor = _anchor(session, line, settings, first, second)
        if anchor is not None:  # first: else the version would pass by the other one for a moment
            comparison = comparison._replace(
                anchored=comparison._replace(
                    base=Checkpoint(digest=anchor.content_digest, locator=anchor.locator),
                    diff_id=queue_diff(session, line, anchor, second, recipe_digest, now).id,
                )
            )
        diff = queue_diff(session, line, first, second, recipe_digest, now)
        take(session, diff)
        return comparison._replace(diff_id=diff.id)


def _anchor(
    session: Session, line: Line, settings: Settings, base: Version, candidate: Version
) -> Version | None:
    """The anchor with which `candidate` has to be compared besides `base`."""
    watched = settings.line(line.name)
    if watched is None or base.state != Trust.TRUSTED:
        return None
    anchor = pinned_anchor(session, line, watched)
    return None if anchor is None or anchor.id in (base.id, candidate.id) else anchor


def result_of(sessions: sessionmaker[Session], comparison: Comparison) -> Verdict:
    """The verdict on `comparison` after the worker has run; undecided where there is none.

    Of it and the one with the anchor the worse one: what could not be checked goes before a
    warning, which may be borne, and is never a pass.

    Raises CancelledError where one was cancelled, or skipped for newer versions, and the other one
    is not flagged.
    """
    if comparison.diff_id is None:
        return comparison.verdict("passed", "Both have the same content: nothing has changed.")
    found, cancelled = [], None
    for one in comparison.parts():
        try:
            found.append(_result(sessions, one))
        except CancelledError as error:
            cancelled = error
    worst = max(found, key=_badness, default=None)
    if cancelled is not None and (worst is None or worst.verdict != "flagged"):
        raise cancelled
    assert worst is not None
    return worst


def _badness(verdict: Verdict) -> int:
    order = (("passed", None), ("flagged", "warning"), ("undecided", None), ("flagged", "critical"))
    return order.index((verdict.verdict, verdict.severity))


def _result(sessions: sessionmaker[Session], comparison: Comparison) -> Verdict:
    with sessions() as session:
        diff = session.get_one(Diff, comparison.diff_id)
    if diff.verdict is not None and diff.state == DiffState.DONE:
        return Verdict.model_validate_json(diff.verdict)
    if diff.state == DiffState.CANCELLED:
        raise CancelledError(f"{comparison.candidate.locator} is not compared: {diff.error}")
    if diff.state == DiffState.FAILED:
        return comparison.verdict("undecided", diff.error or "The comparison failed.")
    if diff.state == DiffState.QUEUED and diff.error is not None:
        reason = f"It could not be compared this time: {diff.error}. Run this again to try again."
        return comparison.verdict("undecided", reason)
    return comparison.verdict(
        "undecided",
        "Another process is at work on this comparison; wait for it and run this again.",
    )


def _read(sessions: sessionmaker[Session], role: str, path: Path) -> Push:
    with _naming(role, path):
        return identify_push(sessions, path, path.name, str(path))


@contextmanager
def _naming(role: str, path: Path) -> Iterator[None]:
    """Say in a refusal which of the two checkpoints is meant."""
    if not str(path).isprintable():
        shown = ascii(str(path))[1:-1]
        raise CheckpointRefusedError(f"{role} {shown}: its path can't be shown; rename it")
    try:
        yield
    except CheckpointRefusedError as error:
        raise CheckpointRefusedError(f"{role} {path}: {error}") from error


def _trusted(
    sessions: sessionmaker[Session], settings: Settings, line_name: str | None, now: float
) -> Push:
    if line_name is None:
        raise SettingsError(
            "--baseline trusted: name the line whose trusted version is meant; add --line NAME"
        )
    watched = settings.line(line_name)
    if watched is not None and watched.trusted is not None:
        trust_named_first(sessions, settings, watched, now)
    with sessions() as session:
        base = trusted_base(session, find_line(session, line_name))
    path, locator = find_files(sessions, base)
    return identify_push(sessions, path, base.name, locator, list_directory(path, Path("/")))
