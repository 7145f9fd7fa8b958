"""A request that nobody answers is told with the host, and without what the URL may hide."""

import pytest

from alerts.channel import UnclearError
from alerts.destinations.http_post import post
from tests.services import free_port


def test_who_does_not_answer_is_named_and_the_path_is_not() -> None:
    with pytest.raises(UnclearError, match=r"no answer from 127\.0\.0\.1") as caught:
        post(f"http://127.0.0.1:{free_port()}/hooks/s3cret", b"{}", {}, 5.0, 0.0)
    assert "s3cret" not in str(caught.value)
