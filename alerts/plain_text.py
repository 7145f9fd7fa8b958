"""Text that came from a model or a file name, made safe to look at.

Escaping for a particular output (HTML, Slack) is not done here; this removes what no output may
carry: terminal escapes, direction overrides, invisible characters, half characters.
"""

import re
import unicodedata

_KEPT_CONTROLS = "\n\t"
_JOINERS = "\u200c\u200d"  # needed by Persian, Indic scripts and emoji, and unable to reorder text
_LINE_ENDS = re.compile("\r\n|[\r\x0b\x0c\x85\u2028\u2029]")
_SPACES = re.compile(r"\s+")
_BETWEEN_WORDS = " \n\t"


def strip_controls(text: str) -> str:
    """`text` without control, direction, invisible and half characters; line ends are \\n."""
    return "".join(filter(_is_visible, _LINE_ENDS.sub("\n", text)))


def one_line(text: str) -> str:
    """`text` without controls and with every run of white space as one space."""
    return _SPACES.sub(" ", strip_controls(text)).strip()


def clip(text: str, limit: int) -> str:
    """The first `limit` characters of `text`, or somewhat fewer, followed by how many were left
    out, if any were."""
    if len(text) <= limit:
        return text
    kept = whole_words(text, limit)
    return f"{text[:kept].rstrip()} … [{len(text) - kept:,} more characters]"


def whole_words(text: str, limit: int) -> int:
    """How many characters to keep of a `text` that is longer than `limit`, so that no number or
    word is cut, unless one is longer than half of what there is room for."""
    cut = max(text.rfind(space, 0, limit + 1) for space in _BETWEEN_WORDS)
    return cut if cut > limit // 2 else limit


def _is_visible(character: str) -> bool:
    if character in _KEPT_CONTROLS or character in _JOINERS:
        return True
    return unicodedata.category(character) not in {"Cc", "Cf", "Cs"}
