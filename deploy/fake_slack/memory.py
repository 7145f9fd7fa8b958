"""What was said in a fake workspace, kept in a file, so that a restart finds it again."""

import base64
import json
from pathlib import Path

from deploy.fake_slack.workspace import Workspace


def save(workspace: Workspace, path: Path) -> None:
    """Write messages and files to `path`, in one step."""
    with workspace.lock:
        files = [
            {**file, "content": base64.b64encode(file["content"]).decode()}
            for file in workspace.files.values()
            if "content" in file
        ]
        text = json.dumps({"messages": workspace.messages, "files": files}, ensure_ascii=False)
    scratch = path.with_name(f".{path.name}")
    scratch.write_text(text, encoding="utf-8")
    scratch.replace(path)


def load(workspace: Workspace, path: Path) -> None:
    """Put what `save` wrote into `workspace`; nothing where there is no such file."""
    if not path.exists():
        return
    kept = json.loads(path.read_text(encoding="utf-8"))
    with workspace.lock:
        workspace.messages.update(kept["messages"])
        for file in kept["files"]:
            workspace.files[file["id"]] = {**file, "content": base64.b64decode(file["content"])}
