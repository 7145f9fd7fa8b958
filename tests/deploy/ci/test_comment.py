"""The comment on a pull request, through a `gh` that keeps comments as GitHub's API does."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

COMMENT = Path("deploy/ci/comment.sh").resolve()
GH = r"""#!{python}
import json, re, sys
from pathlib import Path
kept = Path("comments.json")
comments = json.loads(kept.read_text())
words = sys.argv[1:]
assert words[0] == "api", words
method = words[words.index("--method") + 1] if "--method" in words else "GET"
(path,) = [word for word in words if word.startswith("repos/org/models/issues/")]
if method == "GET":
    assert path.endswith("/issues/7/comments") and "--paginate" in words
    chosen = r'\.user\.type == "Bot" and \(\.body \| startswith\("(.*)"\)\)'
    asked = rf"\.\[\] \| select\({{chosen}}\) \| \.id"
    mark = re.fullmatch(asked, words[words.index("--jq") + 1])[1]
    for one in comments:
        if one["user"]["type"] == "Bot" and one["body"].startswith(mark):
            print(one["id"])
else:
    name, _, file = words[words.index("-F") + 1].partition("=@")
    assert name == "body"
    body = Path(file).read_text()
    if method == "POST":
        assert path.endswith("/issues/7/comments")
        bot = {{"type": "Bot"}}
        comments.append({{"id": 100 + len(comments), "user": bot, "body": body}})
    else:
        (one,) = [one for one in comments if path.endswith("/issues/comments/" + str(one["id"]))]
        one["body"] = body
    kept.write_text(json.dumps(comments))
"""


@pytest.fixture
def place(tmp_path: Path) -> Path:
    gh = tmp_path / "gh"
    gh.write_text(GH.format(python=sys.executable))
    gh.chmod(0o755)
    (tmp_path / "comments.json").write_text("[]")
    return tmp_path


def comment(place: Path, checked: str, text: str) -> None:
    (place / "report.md").write_text(text)
    environment = os.environ | {
        "PATH": f"{place}:{os.environ['PATH']}",
        "GITHUB_REPOSITORY": "org/models",
    }
    subprocess.run([COMMENT, "7", checked, "report.md"], cwd=place, env=environment, check=True)


def bodies(place: Path) -> list[str]:
    found = json.loads((place / "comments.json").read_text())
    return [one["body"].partition("-->\n")[2] or one["body"] for one in found]


def test_each_check_keeps_a_comment_of_its_own_and_no_other_is_touched(place: Path) -> None:
    comment(place, "trusted --line chat", "first")
    comment(place, "trusted --line code", "of code")
    comments = json.loads((place / "comments.json").read_text())
    other = {"id": 999, "user": {"type": "Bot"}, "body": "of another tool with the same token"}
    (place / "comments.json").write_text(json.dumps([*comments, other]))
    comment(place, "trusted --line chat", "second")
    assert bodies(place) == ["second", "of code", "of another tool with the same token"]


def test_who_copies_the_mark_first_gets_no_verdict_into_a_comment_of_theirs(place: Path) -> None:
    comment(place, "trusted --line chat", "first")
    [own] = json.loads((place / "comments.json").read_text())
    theirs = {"id": 99, "user": {"type": "User"}, "body": own["body"]}
    (place / "comments.json").write_text(json.dumps([theirs, own]))
    comment(place, "trusted --line chat", "second")
    assert bodies(place) == ["first", "second"]
