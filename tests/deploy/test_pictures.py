"""The pictures of the docs are taken anew, by a real Chromium."""

import shutil
import struct
from pathlib import Path

import pytest

from deploy.pictures import __main__ as pictures


@pytest.mark.long
@pytest.mark.skipif(not any(map(shutil.which, pictures.PROGRAMS)), reason="needs Chromium")
def test_every_picture_is_taken_and_shows_something_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pictures, "IMAGES", tmp_path)
    pictures.main()
    taken = {path.stem: path.read_bytes() for path in tmp_path.iterdir()}
    assert set(taken) == {"alert", "thread", "ask", "decide"}
    assert len(set(taken.values())) == 4
    assert all(content[:8] == b"\x89PNG\r\n\x1a\n" for content in taken.values())
    assert struct.unpack(">II", taken["thread"][16:24]) == (1700, 1400)
    docs = "".join(p.read_text("utf-8") for p in Path("docs").glob("*.md"))
    assert all(f"images/{name}.png" in docs for name in taken)


def test_without_chromium_it_is_said_what_to_install(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(pictures, "PROGRAMS", ("no-such-program",))
    with pytest.raises(SystemExit) as ended:
        pictures.main()
    assert ended.value.code == 2 and "install chromium" in capsys.readouterr().out
