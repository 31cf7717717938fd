"""Whether the packages of an extra are installed."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.util import find_spec

from ablate.types import Requirements


def requirements(extra: str, packages: Sequence[str]) -> Requirements:
    """A problem with its remedy where packages of an extra are missing."""
    missing = [name for name in packages if find_spec(name) is None]
    if not missing:
        return Requirements()
    hint = f'pip install "ablate-inference[{extra}]"'
    return Requirements(problems=(f"{' and '.join(missing)} is not installed: {hint}",))
