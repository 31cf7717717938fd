"""A plugin's project on disk, made to look installed: for checking what is still being written."""

from __future__ import annotations

import os
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from ablate.errors import AblateError
from ablate.hookspecs import PROJECT

UNKNOWN_VERSION = "0"  # of a project whose version is made as it is built


@dataclass(frozen=True)
class Project:
    """What its ``pyproject.toml`` says that matters here."""

    folder: Path
    name: str
    version: str
    dependencies: tuple[str, ...]
    entry_points: Mapping[str, str]


def read_project(folder: Path) -> Project:
    """Raises AblateError where there is no project, or none with plugins."""
    file = folder / "pyproject.toml"
    try:
        table = tomllib.loads(file.read_text(encoding="utf-8"))["project"]
        points = table["entry-points"][PROJECT]
        return Project(
            folder.resolve(),
            table["name"],
            table.get("version", UNKNOWN_VERSION),
            tuple(table.get("dependencies", ())),
            {str(name): str(target) for name, target in points.items()},
        )
    except OSError as error:
        raise AblateError(f"cannot read {file}: {error.strerror}") from None
    except tomllib.TOMLDecodeError as error:
        raise AblateError(f"{file} is no TOML: {error}") from None
    except (KeyError, AttributeError):
        raise AblateError(
            f"{file} must have a name in [project], and plugins in [project.entry-points.{PROJECT}]"
        ) from None


@contextmanager
def as_installed(project: Project) -> Iterator[dict[str, str]]:
    """An environment for a child process, in which the project is installed.

    Metadata as an installer writes it lies in a temporary folder, and that and the project's
    module folders are on the path; nothing is built and this environment stays as it is.
    """
    with TemporaryDirectory() as site:
        info = Path(site, f"{project.name.replace('-', '_')}-{project.version}.dist-info")
        info.mkdir()
        (info / "METADATA").write_text(_metadata(project), encoding="utf-8")
        (info / "entry_points.txt").write_text(_entry_points(project), encoding="utf-8")
        paths = [site, *map(str, _module_folders(project.folder)), os.environ.get("PYTHONPATH", "")]
        yield {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, paths))}


def _metadata(project: Project) -> str:
    lines = ["Metadata-Version: 2.1", f"Name: {project.name}", f"Version: {project.version}"]
    return "\n".join([*lines, *(f"Requires-Dist: {text}" for text in project.dependencies)]) + "\n"


def _entry_points(project: Project) -> str:
    return "\n".join([f"[{PROJECT}]", *(f"{n} = {t}" for n, t in project.entry_points.items())])


def _module_folders(folder: Path) -> Sequence[Path]:
    return [f for f in (folder / "src", folder) if f.is_dir()]
