"""Pages printed from code are current, and every hook has a page and a documented use."""

from __future__ import annotations

import ast
import importlib.util
from pathlib import Path

import pytest

from ablate.hookspecs import HOOKS
from ablate.scaffold import KINDS, render

ROOT = Path(__file__).parents[1]
SPEC = importlib.util.spec_from_file_location("generate", ROOT / "docs" / "generate.py")
assert SPEC is not None
assert SPEC.loader is not None
generate = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(generate)


@pytest.mark.parametrize("name", sorted(generate.PAGES))
def test_page_is_current(name: str) -> None:
    page = (ROOT / "docs" / "reference" / name).read_text(encoding="utf-8")
    assert page == generate.PAGES[name](), "run: python docs/generate.py"


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_plugin_has_a_page_with_the_code_that_is_written_for_it(kind: str) -> None:
    page = (ROOT / "docs" / "how-to" / f"plugin-{kind}.md").read_text(encoding="utf-8")
    blocks = generate.SCAFFOLD.findall(page)
    assert {found[0] for found in blocks} == {kind}
    name = blocks[0][1]
    modules = {p for p in render(name, kind) if p.endswith(".py") and not p.startswith("tests/")}
    assert modules <= {found[2] for found in blocks}
    assert page == generate.with_scaffold(page), "run: python docs/generate.py"
    assert f"ablate plugins new {name} --kind {kind}" in page


@pytest.mark.parametrize("kind", KINDS)
def test_what_a_template_builds_on_is_promised(kind: str) -> None:
    page = (ROOT / "docs" / "explanation" / "stability.md").read_text(encoding="utf-8")
    missing = [
        f"{node.module}.{alias.name}"
        for path, text in render("my_idea", kind).items()
        if path.endswith(".py")
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("ablate.")
        for alias in node.names
        if f"`{node.module}`" not in page and f"`{alias.name}`" not in page
    ]
    assert not missing


def test_every_hook_has_a_heading() -> None:
    page = (ROOT / "docs" / "reference" / "hooks.md").read_text(encoding="utf-8")
    headings = [line[3:] for line in page.splitlines() if line.startswith("## ")]
    assert tuple(headings) == HOOKS


@pytest.mark.parametrize("folder", sorted((ROOT / "plugins").iterdir()), ids=lambda f: f.name)
def test_every_built_in_says_what_it_is_and_where_it_comes_from(folder: Path) -> None:
    page = (folder / "README.md").read_text(encoding="utf-8")
    assert page.startswith(f"# {folder.name.removeprefix('ablate_')}")
    assert "**Evidence**" in page or "## Evidence" in page
    assert "arXiv" in page or "github.com" in page
