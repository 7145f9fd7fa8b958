"""A settings file as tests write it."""

from pathlib import Path


def write(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "latentwatch.toml"
    path.write_text(text)
    return path


LINE = '[[lines]]\nname = "{}"\ndirectory = "d"\n'
KEY = "sk-not-to-be-shown"
