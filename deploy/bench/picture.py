"""A benchmark's plot as a file for the docs, in the colours of the report's page.

The picture follows the reader's light or dark mode and has a background of its own, so that it can
be read on any page.
"""

import xml.etree.ElementTree as ET
from importlib import resources
from pathlib import Path

from matplotlib.figure import Figure

from alerts.pages.svg import to_svg
from deploy.demo import atomic

FONT = 'text { font-family: system-ui, -apple-system, "Segoe UI", Roboto, sans-serif; }'


def save(figure: Figure, path: Path, title: str, description: str) -> None:
    """Write `figure`, drawn under `alerts.pages.svg.styled`, to `path`."""
    root = ET.fromstring(to_svg(figure, path.stem, title, description))
    width, height = root.attrib["viewBox"].split()[2:]
    size = {"width": f"{width}pt", "height": f"{height}pt"}
    root.attrib.update({"xmlns": "http://www.w3.org/2000/svg", **size})
    style = ET.Element("style")
    style.text = f"{page_colours()}\n{FONT}"
    paper = {"width": "100%", "height": "100%", "style": "fill: var(--paper)"}
    root.insert(2, style)  # behind title and description
    root.insert(3, ET.Element("rect", paper))
    atomic.write_text(path, ET.tostring(root, encoding="unicode") + "\n")


def page_colours() -> str:
    """What the page's stylesheet begins with: its custom properties in light, dark and print."""
    stylesheet = resources.files("alerts.pages") / "templates" / "style.css.j2"
    return stylesheet.read_text(encoding="utf-8").split("\n\n", maxsplit=1)[0]
