"""Every link in the docs leads somewhere, and every command in them is one."""

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest
import typer
from typer.main import get_command

from monitor.checkpoints.model_config import ARCHITECTURES
from monitor.cli import app

PAGES = [Path("README.md"), *sorted(Path("docs").glob("*.md"))]
LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
CODE = re.compile(r"```.*?```", re.S)
COMMAND = re.compile(r"(?<![\w/.@-])latentwatch ([a-z][^`\n|]*)")


def anchors(page: Path) -> set[str]:
    """As GitHub makes them of headings."""
    text = CODE.sub("", page.read_text())
    headings = re.findall(r"^#+ (.+)$", text, re.M)
    return {re.sub(r"[^\w\- ]", "", h.lower()).replace(" ", "-") for h in headings}


@pytest.mark.parametrize("page", PAGES, ids=str)
def test_links_lead_somewhere(page: Path) -> None:
    dead = []
    for link in LINK.findall(CODE.sub("", page.read_text())):
        if re.match(r"[a-z]+:", link):
            continue  # of another site
        place, _, anchor = link.partition("#")
        target = (page.parent / place) if place else page
        if not target.exists() or (anchor and anchor not in anchors(target)):
            dead.append(link)
    assert dead == []


def test_the_site_can_be_made_of_every_page(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "sphinx", "-q", "-W", "-b", "html", "docs", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    front = (tmp_path / "index.html").read_text()
    for page in Path("docs").glob("*.md"):
        assert f'href="{page.stem}.html"' in front or page.stem == "index", page
    for image in re.findall(r'<img[^>]*src="([^"]+)"', front):
        assert (tmp_path / image).is_file(), image


@pytest.mark.parametrize("package", ["alerts", "deploy", "dfc", "monitor", "workers"])
def test_every_package_says_what_it_owns(package: str) -> None:
    silent = [path for path in Path(package).rglob("__init__.py") if not _docstring(path)]
    assert silent == []


@pytest.mark.parametrize("page", PAGES, ids=str)
def test_commands_are_commands(page: Path) -> None:
    wrong = []
    for block in [*CODE.findall(page.read_text()), *re.findall(r"`[^`\n]+`", page.read_text())]:
        for found in COMMAND.findall(block):
            if (problem := _problem(found)) is not None:
                wrong.append(f"latentwatch {found}: {problem}")
    assert wrong == []


def _problem(written: str) -> str | None:
    """What is wrong with the words after `latentwatch`: no such command, or no such option."""
    words = (re.sub(r"[\\'\"]", "", written.partition(" #")[0])).split()
    command = get_command(app)
    options: set[str] = set()
    for word in words:
        if word.startswith("--"):
            if word.partition("=")[0] not in options:
                return f"no option {word}"
        elif isinstance(command, typer.core.TyperGroup):
            if word not in command.commands:
                return f"no command {word}"
            command = command.commands[word]
        options = {name for one in command.params for name in one.opts} | {"--help"}
    return None


def _docstring(module: Path) -> str | None:
    return ast.get_docstring(ast.parse(module.read_text()))


def test_the_supported_architectures_are_listed() -> None:
    listed = re.sub(r"[^a-z0-9]", "", Path("README.md").read_text().split("## Limits")[1].lower())
    for model_type in ARCHITECTURES.values():
        assert model_type.removesuffix("_text").replace("_", "") in listed, model_type
