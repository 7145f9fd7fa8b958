"""A recipe whose inputs are read in no time: nothing is compared by it."""

import json
from importlib import resources
from pathlib import Path
from typing import Any


def small_recipe(directory: Path) -> dict[str, Any]:
    """Settings of a recipe; its files are written into `directory`."""
    directory.mkdir(parents=True, exist_ok=True)
    corpus, prompts = directory / "corpus.jsonl", directory / "prompts.jsonl"
    corpus.write_text(json.dumps({"text": "Water is wet, whatever anybody may say about it."}))
    prompts.write_text(json.dumps({"messages": [{"role": "user", "content": "Is water wet?"}]}))
    suite = resources.files("alerts.probes") / "suites" / "capability.json"
    return {"corpus": corpus, "prompts": prompts, "suites": [str(suite)]}
