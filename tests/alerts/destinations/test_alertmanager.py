"""Who is asked whether it is an Alertmanager may answer anything."""

import pytest

from alerts.channel import RefusedError
from alerts.destinations import alertmanager
from alerts.destinations.alertmanager import Alertmanager


@pytest.mark.parametrize("answer", [b"no", b"{}", b"[]", b"[" * 100_000])
def test_what_answers_otherwise_is_no_alertmanager(
    monkeypatch: pytest.MonkeyPatch, answer: bytes
) -> None:
    monkeypatch.setattr(alertmanager, "get", lambda *_: answer)
    with pytest.raises(RefusedError, match="is no Alertmanager"):
        Alertmanager("http://127.0.0.1", 300.0, 5.0).probe(0.0)
