"""All that can be said about one suite file."""

from collections.abc import Iterator
from pathlib import Path

from alerts.json_file import InvalidFileError
from alerts.probes.suite import Suite, load_suite
from alerts.probes.suite_lint.amount import amount, duplicates
from alerts.probes.suite_lint.context import too_long
from alerts.probes.suite_lint.finding import Finding
from alerts.probes.suite_lint.name import taken_name
from alerts.probes.suite_lint.order import first_words, lengths, positions
from alerts.probes.suite_lint.shared import shared_completions
from alerts.probes.suite_lint.tokens import ChatTokenizer, tokens


def lint_file(
    path: Path, tokenizer: ChatTokenizer | None = None, context: int | None = None
) -> list[Finding]:
    """The errors of the file, or else the warnings about its suite; with a `tokenizer` also what
    can only be seen in tokens, of which the model sees `context` at once, where that is known."""
    try:
        suite = load_suite(path)
    except InvalidFileError as error:
        return [
            Finding(level="error", code="schema", field=p.field, said=p.said, remedy=p.remedy)
            for p in error.problems
        ]
    return list(lint(suite, tokenizer, context))


def lint(
    suite: Suite, tokenizer: ChatTokenizer | None = None, context: int | None = None
) -> Iterator[Finding]:
    """The findings about `suite`, the least specific first."""
    checks = (taken_name, amount, duplicates, shared_completions, lengths, first_words, positions)
    for check in checks:
        yield from check(suite)
    if tokenizer is not None:
        yield from tokens(suite, tokenizer)
        if context is not None:
            yield from too_long(suite, tokenizer, context)
