"""``ablate plugins check``: the checks of ``ablate.testing`` on what is installed."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.text import Text

from ablate import testing
from ablate.compatibility import example
from ablate.errors import AblateError, did_you_mean
from ablate.plugins import Found, Installed, Kind
from ablate.project import as_installed, read_project
from ablate.show.one import names
from ablate.show.plugins import REGISTERED, origin
from ablate.show.tables import table

if TYPE_CHECKING:
    from ablate.testing import Finding

Examine = Callable[[Any], "list[Finding]"]
EXAMINE: Mapping[Kind, Examine] = {
    "engine": testing.examine_engine,
    "domain": testing.examine_domain,
    "arrival": testing.examine_arrival,
    "metric": testing.examine_metric,
}


@dataclass(frozen=True)
class Subject:
    """One thing to be checked: what it is, whose, and how it is done."""

    name: str
    what: str
    origin: str
    examine: Callable[[], list[Finding]]


def check_project(folder: Path) -> int:
    """Check every plugin of a project in a process that sees it installed; returns its exit code.

    In a process of its own: the project may be installed here as well, in another state.
    """
    project = read_project(folder)
    with as_installed(project) as environment:
        command = [sys.executable, "-m", "ablate", "plugins", "check", *project.entry_points]
        done = subprocess.run(command, env=environment, check=False)  # noqa: S603 - ourselves
        return done.returncode


def check_installed(installed: Installed, wanted: Sequence[str], console: Console) -> bool:
    """Check what has these names and print each finding; returns whether all is well.

    Raises AblateError for a name that nothing has.
    """
    subjects = [subject for name in wanted for subject in _found(installed, name)]
    failed = [subject for subject in subjects if not _check(subject, console)]
    return not failed


def _check(subject: Subject, console: Console) -> bool:
    whose = f"  {subject.what} of {subject.origin}"
    console.print(Text.assemble((subject.name, "bold"), whose))
    findings = subject.examine()
    rows = [("ok" if f.ok else "FAIL", f.check, f.message) for f in findings]
    console.print(table(("", "check", ""), rows))
    failed = sum(not f.ok for f in findings)
    verdict = f"{failed} of {len(findings)} checks fail" if failed else "all checks hold"
    console.print(f"{verdict}\n", markup=False)
    return not failed


def _found(installed: Installed, name: str) -> list[Subject]:
    points = [_of_point(installed, f) for f in installed.found if f.name == name]
    subjects = [subject for found in points for subject in found]
    subjects = subjects or list(_registered(installed, lambda _, n: n == name))
    if not subjects:
        known = names(installed) | {f.name for f in installed.found}
        raise AblateError(f"nothing named {name!r} is installed.{did_you_mean(name, known)}")
    return subjects


def _of_point(installed: Installed, found: Found) -> Iterator[Subject]:
    """What an entry point brings: an optimization, registered components, or an error."""
    plugin = found.plugin
    if found.error:
        yield Subject(found.name, "plugin", origin(found), lambda: [_broken(found)])
    elif plugin is not None:
        yield Subject(found.name, "optimization", origin(found), lambda: _plugin(found, plugin))
    else:
        yield from _registered(
            installed, lambda k, n: installed.registry.origin(k, n).entry_point == found.name
        )


def _plugin(found: Found, plugin: type[Any]) -> list[Finding]:
    deprecated = [testing.Finding("deprecated", False, text) for text in found.deprecated]
    return [*testing.examine_plugin(plugin), *deprecated]


def _broken(found: Found) -> Finding:
    return testing.Finding("loads", False, f"it cannot be loaded: {found.error}")


def _registered(installed: Installed, wanted: Callable[[Kind, str], bool]) -> Iterator[Subject]:
    for kind in REGISTERED:
        for name, cls in installed.registry.all(kind).items():
            if wanted(kind, name):
                whose = str(installed.registry.origin(kind, name))
                yield Subject(name, kind, whose, _component(kind, cls))


def _component(kind: Kind, cls: type[Any]) -> Callable[[], list[Finding]]:
    examine = EXAMINE.get(kind)
    if examine is None:
        return lambda: [testing.Finding("loads", True, f"there are no further checks of {kind}s")]
    return lambda: _examined(cls, examine)


def _examined(cls: type[Any], examine: Examine) -> list[Finding]:
    try:
        made = example(cls)
    except Exception as error:  # a third party's options can be refused in any way
        said = f"its default options are refused ({type(error).__name__}: {error}); give it an "
        return [testing.Finding("options", False, f"{said}`example: ClassVar` with some that work")]
    return examine(made)
