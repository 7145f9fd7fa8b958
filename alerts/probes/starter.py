"""A suite to start one's own from: an example of everything that an item can be."""

import json
from importlib import resources


def starter_suite(behaviour: str) -> str:
    """The starter as the text of a file, for a suite called `behaviour`.

    The ids of its items say what each of them shows.
    """
    text = (resources.files("alerts.probes") / "starter_suite.json").read_text("utf-8")
    return text.replace(json.dumps("overpromising"), json.dumps(behaviour), 1)
