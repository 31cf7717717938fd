"""The field's data sets as domains."""

from __future__ import annotations

from ablate.plugins import Registry, hookimpl


@hookimpl
def ablate_register(registry: Registry) -> None:
    """Adds every data set."""
