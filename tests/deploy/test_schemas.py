"""What others run is written as their schemas say: Compose, GitHub, GitLab."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

WORKFLOW = re.compile(r"```yaml\n(on:.*?)```", re.S)


def problems(schema: str, file: Path) -> str:
    """What the published schema has against the file; empty for nothing."""
    checker = Path(sys.executable).parent / "check-jsonschema"
    command = [checker, "--builtin-schema", f"vendor.{schema}", file]
    done = subprocess.run(command, capture_output=True, text=True)
    return "" if done.returncode == 0 else done.stdout + done.stderr


@pytest.mark.parametrize(
    "schema, file, right, wrong",
    [
        ("compose-spec", "deploy/compose/compose.yaml", "services:", "servants:"),
        ("github-actions", "deploy/ci/action.yml", "runs:", "walks:"),
        ("gitlab-ci", "deploy/ci/gitlab.yml", "when: always", "when: whenever"),
    ],
)
def test_it_is_as_its_schema_says(
    schema: str, file: str, right: str, wrong: str, tmp_path: Path
) -> None:
    # GitLab's schema looks at jobs only, and what begins with a dot is none.
    text = re.sub(r"^\.", "", Path(file).read_text(), flags=re.M)
    written = tmp_path / "written.yml"
    written.write_text(text)
    assert problems(schema, written) == ""
    written.write_text(text.replace(right, wrong))
    assert problems(schema, written) != ""


@pytest.mark.parametrize("page", ["README.md", "docs/ci.md"])
def test_the_workflow_on_the_page_is_a_workflow(page: str, tmp_path: Path) -> None:
    (shown,) = WORKFLOW.findall(Path(page).read_text())
    workflow = tmp_path / "workflow.yml"
    workflow.write_text(shown)
    assert problems("github-workflows", workflow) == ""
    workflow.write_text(shown.replace("steps:", "stairs:"))
    assert problems("github-workflows", workflow) != ""
