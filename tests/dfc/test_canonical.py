"""A digest names a meaning: what it was written like does not matter, what it says does."""

import hashlib

from dfc.canonical import digest_of


def test_the_digest_is_that_of_the_canonical_text() -> None:
    assert (
        digest_of({"b": [1, 2], "a": "é"})
        == hashlib.sha256(rb'{"a":"\u00e9","b":[1,2]}').hexdigest()
    )


def test_the_order_of_keys_means_nothing_and_that_of_a_list_something() -> None:
    assert digest_of({"a": 1, "b": 2}) == digest_of({"b": 2, "a": 1})
    assert digest_of([1, 2]) != digest_of([2, 1])
