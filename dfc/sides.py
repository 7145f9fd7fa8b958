"""The two models of a diff, by name."""

from typing import Literal

SideName = Literal["base", "candidate"]
