"""The documentation's site: ``sphinx-build -W --keep-going -c docs . build/site``.

The source is the repository, so that pages link to each other, to the plugins' READMEs and to files
as they do where the repository is read. Only the pages named here are in it. A link that leads
nowhere is a warning, and with ``-W`` an error.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

project = "ablate"
html_title = "ablate"
extensions = ["myst_parser"]
root_doc = "docs/index"
include_patterns = ["docs/**.md", "plugins/*/README.md", "ablate/models/*/README.md"]
exclude_patterns = [".*", "build", "dist", "runs", "tests"]
myst_heading_anchors = 4
html_theme = "furo"
html_copy_source = False
html_show_copyright = False

ROOT = Path(__file__).parents[1]
SECTIONS: Mapping[str, tuple[str, ...]] = {
    "Tutorials": ("docs/*.md", "docs/tutorial*/*.md"),
    "How-to": ("docs/how-to/*.md",),
    "Reference": ("docs/reference/*.md",),
    "Explanation": ("docs/explanation/*.md",),
    "Built-in plugins": ("plugins/*/README.md",),
    "Shipped models": ("ablate/models/*/README.md",),
}
"""The navigation: every page of these places, in this order."""


def add_navigation(_: Any, name: str, source: list[str]) -> None:
    """Put the navigation behind the front page's text, which stays plain Markdown."""
    if name == root_doc:
        source[0] += "".join(_toctree(caption, places) for caption, places in SECTIONS.items())


def reread_navigation(*_: Any) -> list[str]:
    """The front page is read again at every build: another page may have come."""
    return [root_doc]


def _toctree(caption: str, places: tuple[str, ...]) -> str:
    files = [file.relative_to(ROOT) for place in places for file in sorted(ROOT.glob(place))]
    pages = [str(file.with_suffix("")) for file in files]
    lines = [":hidden:", f":caption: {caption}", "", *(f"/{p}" for p in pages if p != root_doc)]
    return "\n".join(["\n\n```{toctree}", *lines, "```\n"])


def add_entrance(app: Any, error: Exception | None) -> None:
    """The site's own address leads to the front page."""
    if error is None:
        to = f"{root_doc}.html"
        page = f'<!doctype html><meta http-equiv="refresh" content="0; url={to}">{to}'
        Path(app.outdir, "index.html").write_text(page, encoding="utf-8")


def setup(app: Any) -> None:
    app.connect("env-get-outdated", reread_navigation)
    app.connect("source-read", add_navigation)
    app.connect("build-finished", add_entrance)
