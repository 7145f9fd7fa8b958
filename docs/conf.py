"""How Sphinx makes the site of these pages: `make site`."""

from importlib import metadata

project = "latentwatch"
release = metadata.version("latentwatch")
extensions = ["myst_parser"]
myst_heading_anchors = 4
html_theme = "furo"
html_title = "latentwatch"
html_show_copyright = False
exclude_patterns = ["benchmarks/*"]
