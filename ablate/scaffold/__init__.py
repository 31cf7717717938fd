"""``ablate plugins new``: a small distribution with a working plugin, written from templates.

The templates lie beside this file, as ``string.Template`` reads them: ``common`` for every kind,
and a folder a kind with the plugin's modules, its test, its recipe and its part of the README.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from keyword import iskeyword
from pathlib import Path
from string import Template

from ablate import __version__
from ablate.errors import AblateError
from ablate.hookspecs import HOOKSPEC_VERSION
from ablate.plugins import Installed

HERE = Path(__file__).parent
SUFFIX = ".tmpl"
NAME = re.compile(r"[a-z][a-z0-9_]*")
OPTIMIZATIONS = ("weights", "kv", "decode", "schedule")
COMPONENTS = ("engine", "domain", "arrival", "metric")
KINDS = (*OPTIMIZATIONS, *COMPONENTS)


@dataclass(frozen=True)
class Names:
    """What a plugin's name turns into."""

    name: str

    @property
    def distribution(self) -> str:
        return f"ablate-{self.name.replace('_', '-')}"

    @property
    def module(self) -> str:
        return f"ablate_{self.name}"

    @property
    def cls(self) -> str:
        return "".join(part.capitalize() for part in self.name.split("_"))


def write_project(name: str, kind: str, folder: Path | None, installed: Installed) -> Path:
    """Write a new plugin's project; returns its folder.

    Raises AblateError for a name that is no identifier or is taken, and for a folder that is not
    empty.
    """
    _check_name(name, kind, installed)
    target = folder or Path(Names(name).distribution)
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise AblateError(f"{target} exists and is not empty; choose another with --output-dir")
    for path, text in render(name, kind).items():
        file = target / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")
    return target


def render(name: str, kind: str) -> dict[str, str]:
    """Every file of a new project: its path and its text."""
    names = Names(name)
    values = _values(names, kind)
    about = Template(_read(f"{kind}/about.md")).substitute(values)
    values |= {"about": about, "title": about.split("\n", 1)[0].removeprefix("# ")}
    return {
        path: Template(_read(template)).substitute(values)
        for path, template in _paths(names, kind).items()
    }


def _values(names: Names, kind: str) -> dict[str, str]:
    target = f"{names.module}:{names.cls}" if kind in OPTIMIZATIONS else names.module
    return {
        "name": names.name,
        "distribution": names.distribution,
        "module": names.module,
        "cls": names.cls,
        "kind": kind,
        "target": target,
        "bound": compatible(__version__),
        "hookspec_version": str(HOOKSPEC_VERSION),
    }


def compatible(version: str) -> str:
    """The versions that a plugin written for this one works with, as docs/explanation/stability.md
    promises: the same minor version while the major one is 0, then the same major one.
    """
    major, minor = (int(part) for part in version.split(".")[:2])
    return f">={major}.{minor},<{major + 1}" if major else f">=0.{minor},<0.{minor + 1}"


def _paths(names: Names, kind: str) -> Mapping[str, str]:
    """Path in the project -> template."""
    modules = {
        f"{names.module}/{file.name.removesuffix(SUFFIX)}": f"{kind}/{file.name}"
        for file in sorted((HERE / kind).glob(f"*.py{SUFFIX}"))
        if file.name != f"test.py{SUFFIX}"
    }
    return {
        "pyproject.toml": "common/pyproject.toml",
        "README.md": "common/README.md",
        ".gitignore": "common/gitignore",
        ".github/workflows/ci.yml": "common/ci.yml",
        f"{names.module}/py.typed": "common/py.typed",
        **modules,
        f"tests/test_{names.name}.py": f"{kind}/test.py",
        "recipe.yaml": f"{kind}/recipe.yaml",
    }


def _read(template: str) -> str:
    return (HERE / f"{template.removesuffix(SUFFIX)}{SUFFIX}").read_text(encoding="utf-8")


def _check_name(name: str, kind: str, installed: Installed) -> None:
    names = Names(name)
    if not NAME.fullmatch(name) or iskeyword(name):
        raise AblateError(
            f"{name!r} cannot name a module; use small letters, digits and _, such as 'my_idea'"
        )
    registry = installed.registry
    taken = {f.name: f"{f.distribution} {f.version}" for f in installed.found}
    if kind in COMPONENTS:
        taken |= {n: str(registry.origin(kind, n)) for n in registry.all(kind)}  # type: ignore[arg-type]
    if name in taken:
        raise AblateError(f"the name {name!r} is taken by {taken[name]}; choose another")
    if find_spec(names.module):
        raise AblateError(f"a module {names.module} is installed already; choose another name")
    if any(re.search(rf"import .*\b{names.cls}\b", text) for text in _sources(names, kind)):
        raise AblateError(f"a class {names.cls} would hide one that it needs; choose another name")


def _sources(names: Names, kind: str) -> list[str]:
    return [_read(t) for path, t in _paths(names, kind).items() if path.endswith(".py")]
