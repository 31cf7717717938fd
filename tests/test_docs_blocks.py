"""What the documentation says works: links lead somewhere, code compiles and runs, recipes plan.

``<!-- run -->`` before a block of Python has it run here; the blocks of one page share a namespace.
``<!-- run slow -->`` does so where the page takes more than a few seconds. ``<!-- file: NAME -->``
before a block says that it is what a file holds, which the page's recipes and code find there.
Pages that build a project (``<!-- project: FILE -->``) are followed in tests/test_first_plugin.py.
"""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from itertools import groupby
from pathlib import Path

import pytest
import yaml

from ablate import cli
from ablate.errors import RecipeError
from ablate.planning import plan_recipe
from tests.markdown import PAGES, ROOT, Block, anchors, blocks, links, write_files

SIGNATURE = re.compile(r"\w+\(.*\) -> [^:\n]+\s*", re.DOTALL)


def name(page: Path) -> str:
    return str(page.relative_to(ROOT))


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_every_link_leads_somewhere(page: Path) -> None:
    broken = []
    for line, link in links(page):
        target, _, anchor = link.partition("#")
        file = (page.parent / target).resolve() if target else page
        there = file.is_relative_to(ROOT) and file.exists()
        if there and file.is_dir():
            there = page.parent == ROOT  # a site has no page for a folder
        if there and anchor:
            there = file.suffix == ".md" and anchor in anchors(file)
        if not there:
            broken.append(f"{name(page)}:{line}: {link}")
    assert not broken


@pytest.mark.parametrize(
    "block", [b for b in blocks("python") if not b.project], ids=lambda b: b.place
)
def test_python_compiles(block: Block) -> None:
    # a signature alone stands in the reference
    text = f"def {block.text.strip()}: ..." if SIGNATURE.fullmatch(block.text) else block.text
    compile(text, block.place, "exec")


def _runnable() -> list[object]:
    """Each page's blocks that are to be run, as one script with the lines of the page."""
    marked = [block for block in blocks("python") if block.run]
    params: list[object] = []
    for page, own in groupby(marked, key=lambda block: block.page):
        script, slow = "", False
        for block in own:
            script += "\n" * (block.line - script.count("\n") - 1) + block.text
            slow = slow or block.run == "slow"
        marks = [pytest.mark.slow] if slow else []
        params.append(pytest.param(page, script, id=name(page), marks=marks))
    return params


@pytest.mark.parametrize(("page", "script"), _runnable())
def test_what_is_marked_runs(page: Path, script: str, tmp_path: Path) -> None:
    write_files(page, tmp_path)
    file = tmp_path / f"{page.stem}.py"
    file.write_text(script, encoding="utf-8")
    done = subprocess.run(
        [sys.executable, str(file)], cwd=tmp_path, capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr


def _recipes() -> list[Block]:
    """Whole recipes: those without a model or domains are parts of one."""
    written = [block for block in blocks("yaml") if not (block.scaffold or block.project)]
    parsed = [(block, yaml.safe_load(block.text)) for block in written]
    needed = {"model", "domains"}
    return [block for block, tree in parsed if isinstance(tree, dict) and needed <= tree.keys()]


@pytest.mark.parametrize("block", _recipes(), ids=lambda b: b.place)
def test_a_recipe_can_be_planned(block: Block, tmp_path: Path) -> None:
    write_files(block.page, tmp_path)
    file = tmp_path / "recipe.yaml"
    file.write_text(block.text, encoding="utf-8")
    try:
        assert plan_recipe(file).trials
    except RecipeError as error:
        # All that may stand in the way is an extra that this environment does without.
        if not all("ablate-inference[" in problem for problem in error.problems):
            raise


def _commands() -> list[object]:
    """Every ``ablate`` command of a block of shell, with its place."""
    found: list[object] = []
    for block in [*blocks("bash"), *blocks("console"), *blocks("sh")]:
        text = block.text.replace("\\\n", " ")
        for offset, line in enumerate(text.splitlines()):
            for command in re.split(r"&&|\|\||[|;]", line.removeprefix("$ ")):
                words = shlex.split(command, comments=True)
                if words[:1] == ["ablate"]:
                    place = f"{name(block.page)}:{block.line + offset}"
                    found.append(pytest.param(words[1:], id=f"{place} {shlex.join(words)}"))
    return found


@pytest.mark.parametrize("words", _commands())
def test_a_command_is_one_of_ours(words: list[str]) -> None:
    assert callable(cli._parse(words).command)


@pytest.mark.extra
@pytest.mark.slow
def test_the_site_builds(tmp_path: Path) -> None:
    pytest.importorskip("sphinx")
    pytest.importorskip("myst_parser")
    pytest.importorskip("furo")
    command = [sys.executable, "-m", "sphinx", "-q", "-W", "--keep-going", "-n", "-c", "docs"]
    done = subprocess.run(
        [*command, ".", str(tmp_path)], cwd=ROOT, capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr
    for page in PAGES:
        if page != ROOT / "README.md":
            assert (tmp_path / page.relative_to(ROOT).with_suffix(".html")).exists()
