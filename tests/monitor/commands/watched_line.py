"""A line in the directory of a test, and what the database there says of it."""

from pathlib import Path

from sqlalchemy import func, select

from deploy.bench.made_up import write_checkpoint
from monitor.database.opening import open_database

CONFIG = """
[[lines]]
name = "chat"
directory = "chat"
quiet_seconds = 0.0
trusted = "v1"
"""


def count(table: type) -> int:
    with open_database("sqlite:///.latentwatch/latentwatch.db")() as session:
        return session.scalar(select(func.count()).select_from(table)) or 0


def watched(**seeds: int) -> Path:
    """A configured line with these versions."""
    Path("latentwatch.toml").write_text(CONFIG + '[recipe]\nsuites = ["sycophancy"]\n')
    for name, seed in seeds.items():
        write_checkpoint(Path("chat") / name.replace("_", "-"), seed)
    return Path("chat")
