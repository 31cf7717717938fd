"""What another interpreter's environment has: an engine or a quantizer may live in its own."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from functools import cache
from pathlib import Path

from ablate.errors import TrialError

FIND = """
import json, re, sys
from importlib.metadata import distributions
def plain(name): return re.sub("[-_.]+", "-", name or "").lower()
asked = {plain(name): name for name in sys.argv[1:]}
found = {asked.get(plain(d.metadata["Name"])): d.version for d in distributions()}
print(json.dumps({name: version for name, version in found.items() if name}))
"""


def interpreter(python: str) -> str:
    """The interpreter that ``python`` names: a path or a command; empty is this one.

    Absolute and not resolved, as a virtual environment's interpreter is a link to another.
    """
    if not python:
        return sys.executable
    found = shutil.which(Path(python).expanduser())
    return str(Path(found or python).expanduser().absolute())


def unusable(python: str, where: str) -> list[str]:
    """A sentence if ``python`` cannot be run; ``where`` is the option's place in the recipe."""
    path = Path(interpreter(python))
    if path.is_file() and os.access(path, os.X_OK):
        return []
    return [f"{where}: {python} is no interpreter that can be run"]


def installed(
    python: str, where: str, name: str, distributions: tuple[str, ...], install: str
) -> tuple[str, list[str]]:
    """The version of what an interpreter must have, any of ``distributions``; or a sentence.

    ``where``: the engine's place in the recipe; ``install``: the command that would bring it.
    """
    if wrong := unusable(python, f"{where}.python"):
        return "", wrong
    path = interpreter(python)
    found = versions(path, distributions)
    if found or not distributions:
        return next(iter(found.values()), ""), []
    sentence = (
        f"{where}: {name} is not installed for {path}: {install}, or name an interpreter that has "
        f"it, {where}.python"
    )
    return "", [sentence]


@cache
def versions(path: str, distributions: Sequence[str]) -> dict[str, str]:
    """Those of ``distributions`` that an interpreter's environment has, with their versions.

    Names are compared as pip does, whatever their case, dashes and underscores.
    """
    asked = [path, "-I", "-c", FIND, *distributions]
    done = subprocess.run(asked, capture_output=True, text=True, check=False)  # noqa: S603 - the user's
    return dict(json.loads(done.stdout)) if done.returncode == 0 else {}


def versions_of_all(
    path: str, name: str, distributions: tuple[str, ...], make: str
) -> dict[str, str]:
    """The versions of ``distributions``, all of which an interpreter's environment must have.

    Raises TrialError if one is missing: that it has no ``name`` to run, and ``make``, the command.
    """
    found = versions(path, distributions)
    missing = [each for each in distributions if each not in found]
    if missing:
        lacks = ", ".join(missing)
        raise TrialError(f"{path} has no {name} to run: it lacks {lacks}. Make it: {make}")
    return found
