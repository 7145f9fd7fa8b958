"""Turns a matplotlib figure into SVG that belongs to its page.

Text stays text, colours become the page's custom properties (so that light, dark and print follow
the page), the figure has a title for screen readers, and nothing refers to anything outside.
"""

import io
import re
import xml.etree.ElementTree as ET

import matplotlib
from markupsafe import Markup
from matplotlib.figure import Figure

from alerts.plain_text import one_line

# Every role has a colour of its own that `to_svg` can find again; none of these is ever seen.
ROLES = {
    "ink": "#000001",
    "muted": "#000002",
    "rule": "#000003",
    "base": "#000004",
    "candidate": "#000005",
    "ablated": "#000006",
    "induced": "#000007",
    "chance": "#000008",
    "band": "#000009",
    "paper": "#00000a",
}
STYLE = {
    "svg.fonttype": "none",
    "svg.hashsalt": "latentwatch",  # the same figure gives the same bytes
    "text.parse_math": False,  # a dollar sign in a name is a dollar sign
    "font.size": 11.0,
    "axes.labelsize": 11.0,
    "xtick.labelsize": 10.5,
    "ytick.labelsize": 10.5,
    "axes.unicode_minus": True,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": ROLES["rule"],
    "axes.labelcolor": ROLES["muted"],
    "axes.facecolor": "none",
    "text.color": ROLES["ink"],
    "xtick.color": ROLES["rule"],
    "ytick.color": ROLES["rule"],
    "xtick.labelcolor": ROLES["muted"],
    "ytick.labelcolor": ROLES["muted"],
    "lines.linewidth": 1.75,
    "lines.solid_capstyle": "round",
    "figure.facecolor": "none",
}

WIDTH = 360  # pixels: as wide as a phone shows, so that text is never shrunk

_SVG = "http://www.w3.org/2000/svg"
_XLINK = "{http://www.w3.org/1999/xlink}href"
_VARIABLES = {colour: f"var(--{role})" for role, colour in ROLES.items()}
_COLOUR = re.compile("|".join(_VARIABLES))
_FAMILY = re.compile(r"font-family: [^;]*;? ?")

styled = matplotlib.rc_context(STYLE)
"""Decorates a function that draws, so that the style holds there and nowhere else."""


def blank(height: float) -> Figure:
    """An empty figure, WIDTH by `height` pixels."""
    return Figure(figsize=(WIDTH / 72, height / 72), layout="constrained")


def to_svg(figure: Figure, name: str, title: str, description: str) -> Markup:
    """`figure` as an SVG element whose ids start with `name`, which must be unique on the page."""
    buffer = io.BytesIO()
    nothing = dict.fromkeys(("Date", "Creator", "Format", "Type"))
    figure.savefig(buffer, format="svg", transparent=True, metadata=nothing)
    root = ET.fromstring(buffer.getvalue())
    for parent in list(root.iter()):
        for child in list(parent):
            if child.tag in (f"{{{_SVG}}}metadata", f"{{{_SVG}}}style"):
                parent.remove(child)
    for element in root.iter():
        element.tag = element.tag.removeprefix(f"{{{_SVG}}}")
        _own(element, name)
    for unused in ("width", "height", "version"):
        root.attrib.pop(unused, None)
    root.attrib.update({"role": "img", "aria-labelledby": f"{name}-title {name}-description"})
    for position, (tag, text) in enumerate((("title", title), ("desc", description))):
        label = ET.Element(tag, {"id": f"{name}-{'title' if tag == 'title' else 'description'}"})
        label.text = one_line(text)
        root.insert(position, label)
    return Markup(ET.tostring(root, encoding="unicode"))


def _own(element: ET.Element, name: str) -> None:
    """Give ids the prefix, and colours and fonts to the page."""
    if _XLINK in element.attrib:
        element.set("href", element.attrib.pop(_XLINK))
    for key, value in element.attrib.items():
        if key == "id":
            element.set(key, f"{name}-{value}")
        elif key == "href":
            element.set(key, f"#{name}-{value.removeprefix('#')}")
        else:
            own = _COLOUR.sub(lambda colour: _VARIABLES[colour[0]], value)
            own = own.replace("url(#", f"url(#{name}-")
            element.set(key, _FAMILY.sub("", own))
