"""Keeps states of one request out of another one's cached prefix.

A cached prefix holds keys and values of the states as they were edited. vLLM finds it by the tokens
alone, so that a plain row after a steered one would read the steered prefix, and a steered row
after a plain one would skip its edits. A salt makes the edits a part of what is looked up.
"""

import hashlib
import json
import secrets

from dfc.vllm.plans import Plan


def cache_salt(plan: Plan, bank_digest: str) -> str | None:
    """The salt of a request; None for one that neither edits nor records nor patches.

    Rows share a prefix only under equal edits of an equal bank. A recorded or patched row shares
    with none, since hooks do not run for cached positions.
    """
    if plan.records or plan.patch is not None:
        return secrets.token_hex(16)
    if not plan.edits:
        return None
    content = json.dumps([bank_digest, plan.edits])
    return hashlib.sha256(content.encode()).hexdigest()
