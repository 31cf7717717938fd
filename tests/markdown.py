"""The project's Markdown pages as their readers see them: links, anchors and blocks of code."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from pathlib import Path

from markdown_it import MarkdownIt
from markdown_it.token import Token

ROOT = Path(__file__).parents[1]
PAGES = sorted([*ROOT.glob("docs/**/*.md"), ROOT / "README.md", *ROOT.glob("plugins/*/README.md")])
RUN = re.compile(r"<!-- run(?: (slow|fails))? -->")
FILE = re.compile(r"<!-- file: (\S+) -->")
PROJECT = re.compile(r"<!-- project: (\S+) -->")


@dataclass(frozen=True)
class Block:
    """A fenced block of code. ``run`` and ``file``: what the comment before it says, if any.

    ``scaffold``: it is printed from a template of ``ablate plugins new``, where it is tested.
    ``project``: the file, or the next part of it, of a plugin's project that the page builds.
    ``shows``: its lines are in what the commands before it print.
    """

    page: Path
    line: int
    language: str
    text: str
    run: str | None
    file: str | None
    scaffold: bool
    project: str | None
    shows: bool

    @property
    def place(self) -> str:
        return f"{self.page.relative_to(ROOT)}:{self.line}"


def blocks(language: str) -> list[Block]:
    """All blocks of a language, in the order of pages and lines."""
    return [block for page in PAGES for block in blocks_of(page) if block.language == language]


def links(page: Path) -> Iterator[tuple[int, str]]:
    """(line, target) of every link and image that does not leave the project."""
    for token in _tokens(page):
        for child in token.children or ():
            target = child.attrs.get("href") or child.attrs.get("src")
            if target and not re.match(r"[a-z]+:", str(target)):
                yield (token.map or [0])[0] + 1, str(target)


@cache
def anchors(page: Path) -> frozenset[str]:
    """What may stand behind ``#``: one for each heading, as GitHub and Sphinx make them."""
    seen: Counter[str] = Counter()
    found = []
    tokens = _tokens(page)
    for opening, inline in pairwise(tokens):
        if opening.type == "heading_open":
            text = "".join(c.content for c in inline.children or ())
            slug = re.sub(r"[^\w\- ]", "", text.strip().lower()).replace(" ", "-")
            found.append(f"{slug}-{seen[slug]}" if seen[slug] else slug)
            seen[slug] += 1
    return frozenset(found)


def write_files(page: Path, folder: Path) -> None:
    """Write the blocks of a page that stand for files."""
    for block in blocks_of(page):
        if block.file:
            (folder / block.file).write_text(block.text, encoding="utf-8")


def blocks_of(page: Path) -> Iterator[Block]:
    """All blocks of a page."""
    before: Token | None = None
    for token in _tokens(page):
        if token.type == "fence":
            comment = before.content if before and before.type == "html_block" else ""
            run, file, part = (mark.search(comment) for mark in (RUN, FILE, PROJECT))
            language = token.info.split()[0] if token.info.strip() else ""
            line = (token.map or [0])[0] + 2  # of the block's first line, from 1
            wanted = (run[1] or "quick") if run else None
            name, made = file[1] if file else None, "<!-- scaffold:" in comment
            project, shows = part[1] if part else None, "<!-- shows -->" in comment
            yield Block(page, line, language, token.content, wanted, name, made, project, shows)
        before = token


@cache
def _tokens(page: Path) -> tuple[Token, ...]:
    return tuple(MarkdownIt("gfm-like", {"linkify": False}).parse(page.read_text(encoding="utf-8")))
