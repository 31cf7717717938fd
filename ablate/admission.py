"""Whether a distribution accepts the ablate that is running; asked before it is imported."""

from __future__ import annotations

from importlib.metadata import Distribution

from ablate import __version__
from ablate.errors import AblateError

OURS = "ablate-inference"


def check_requirement(dist: Distribution) -> None:
    """Raise AblateError if what the distribution says that it needs is another ablate.

    pip checks this as it installs; a later change of either, or ``--no-deps``, goes past it.
    """
    if dist.name == OURS:
        return
    from packaging.requirements import Requirement
    from packaging.utils import canonicalize_name

    for text in dist.requires or ():
        needed = Requirement(text)
        if canonicalize_name(needed.name) != OURS:
            continue
        if needed.marker and not needed.marker.evaluate({"extra": ""}):
            continue
        if not needed.specifier.contains(__version__, prereleases=True):
            raise AblateError(
                f"it needs {OURS}{needed.specifier} and {__version__} is running: upgrade "
                f"{dist.name}, or install an {OURS} that it accepts"
            )
