"""Which of the project's own code a figure depends on, as a digest.

Free of torch: modules are read, not imported.
"""

import ast
import hashlib
from collections.abc import Iterator
from functools import cache
from importlib import resources
from importlib.resources.abc import Traversable
from typing import TypeGuard

PACKAGES = ("alerts", "deploy", "dfc", "workers")
"""Where figures are made. What the control plane hands over enters a result by its own digest."""

CARRIERS = frozenset(
    f"alerts.{name}"
    for name in (
        "causes.detection",
        "causes.explainer",
        "causes.explanation",
        "chat_endpoint",
        "json_file",
        "pages.markdown",
        "pages.plots",
        "pages.report",
        "pages.svg",
        "pages.templating",
        "plain_text",
        "slack.actions",
        "slack.message",
        "slack.sections",
        "slack.text",
    )
) | frozenset(
    f"workers.{name}"
    for name in (
        "check",
        "context",
        "dispatch.local",
        "explain",
        "inputs",
        "job",
        "keeping.artifact",
        "keeping.sources",
        "keeping.stage_keys",
        "keeping.store",
        "processes.heartbeat",
        "progress",
        "recipe",
        "verdicts.outcome",
    )
)
"""Modules that only carry or show results. One missing here means needless work, never a stale
result."""


@cache
def sources_digest(*modules: str, packages: tuple[str, ...] = PACKAGES) -> str:
    """SHA-256 (hex) of `modules` and of every module of `packages` that they import, at any remove.

    Of each what is run counts: a better comment makes no result stale. Taken once per process:
    files that are replaced later are not what this process runs. Raises ModuleNotFoundError for a
    name that is no module of ours.
    """
    digest = hashlib.sha256()
    for name, content in sorted(_closure(modules, packages).items()):
        digest.update(f"{name}\0".encode() + what_is_run(content) + b"\0")
    return digest.hexdigest()


def what_is_run(source: bytes) -> bytes:
    """The lines of a module without comments on lines of their own, strings that stand alone, such
    as docstrings, and what is empty.

    Lines and not a syntax tree, whose form differs between versions of Python.
    """
    lines = source.splitlines()
    alone: set[int] = set()
    text: set[int] = set()  # what looks empty or like a comment within a string is text
    for node in ast.walk(ast.parse(source)):
        if _stands_alone(node, lines):
            alone.update(range(node.lineno, (node.end_lineno or node.lineno) + 1))
        elif isinstance(node, ast.Constant | ast.JoinedStr):
            text.update(range(node.lineno + 1, (node.end_lineno or node.lineno) + 1))
    return b"\n".join(
        line
        for number, line in enumerate(lines, start=1)
        if number not in alone
        and (number in text or (line.strip() and not line.lstrip().startswith(b"#")))
    )


def _stands_alone(node: ast.AST, lines: list[bytes]) -> TypeGuard[ast.Expr]:
    """Whether `node` is a statement that is nothing but a string and has its lines to itself."""
    if not (
        isinstance(node, ast.Expr)
        and isinstance(node.value, ast.Constant)
        and isinstance(node.value.value, str)
    ):
        return False
    before = lines[node.lineno - 1][: node.col_offset]
    after = lines[(node.end_lineno or node.lineno) - 1][node.end_col_offset :]
    return not before.strip() and not after.strip()


def _closure(modules: tuple[str, ...], packages: tuple[str, ...] = PACKAGES) -> dict[str, bytes]:
    found: dict[str, bytes] = {}
    left = list(modules)
    while left:
        name = left.pop()
        if name in found or name in CARRIERS:
            continue
        file = _file(name)
        if file is None:
            raise ModuleNotFoundError(f"{name} is not a module of {', '.join(PACKAGES)}")
        found[name] = file.read_bytes()
        left += (one for one in _imported(found[name]) if one.partition(".")[0] in packages)
    return found


def _imported(source: bytes) -> Iterator[str]:
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if _file(alias.name))
        elif isinstance(node, ast.ImportFrom) and node.module:
            # "from dfc import corpus" names a module, "from dfc.corpus import x" a part of one.
            names = (node.module, *(f"{node.module}.{alias.name}" for alias in node.names))
            yield from (name for name in names if _file(name))


@cache
def _file(module: str) -> Traversable | None:
    package, _, path = module.partition(".")
    if package not in PACKAGES or not path:
        return None
    file = resources.files(package).joinpath(*path.split(".")[:-1], f"{path.split('.')[-1]}.py")
    return file if file.is_file() else None
