"""What a check finds: one sentence for each thing looked at, and the error that lists failures."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import ParamSpec

P = ParamSpec("P")


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at.

    ``check``: what was looked at, in a word or two. ``message``: where ``ok``, what was seen; else
    what was expected, what was seen and what to do.
    """

    check: str
    ok: bool
    message: str


class CheckError(AssertionError):
    """Everything that failed, one sentence each; ``findings`` has the rest as well."""

    def __init__(self, what: str, findings: Iterable[Finding]) -> None:
        self.findings = tuple(findings)
        failed = [f for f in self.findings if not f.ok]
        lines = [f"  {f.check}: {f.message}" for f in failed]
        super().__init__("\n".join([f"{what} fails {len(failed)} of its checks:", *lines]))


def demand(what: str, findings: Iterable[Finding]) -> None:
    """Raises CheckError unless every finding is good."""
    found = tuple(findings)
    if not all(f.ok for f in found):
        raise CheckError(what, found)


def good(check: str, message: str) -> Finding:
    return Finding(check, True, message)


def bad(check: str, message: str) -> Finding:
    return Finding(check, False, message)


def judged(check: str, problems: Iterable[str], fine: str) -> Iterator[Finding]:
    """A finding for each problem, or one that says what is fine."""
    found = list(problems)
    yield from (bad(check, problem) for problem in found)
    if not found:
        yield good(check, fine)


def guarded(
    check: str, look: Callable[P, Iterable[Finding]], *args: P.args, **more: P.kwargs
) -> list[Finding]:
    """What ``look`` finds; if it raises, what it found until then and the error."""
    found: list[Finding] = []
    try:
        found.extend(look(*args, **more))
    except Exception as error:  # what is examined can fail in any way
        found.append(bad(check, f"should not raise, and raised {said(error)}"))
    return found


def said(error: BaseException) -> str:
    """An error in one line: its first and, where there are more, its last."""
    lines = str(error).strip().splitlines()
    words = " … ".join([lines[0], *lines[1:][-1:]]) if lines else ""
    return f"{type(error).__name__}: {words}" if words else type(error).__name__
