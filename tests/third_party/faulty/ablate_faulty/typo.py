"""A misspelt hook."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ablate.plugins import Plugin, hookimpl
from ablate.types import Limits


@dataclass(frozen=True)
class Typo(Plugin):
    """Would be ignored if nobody looked."""

    @hookimpl
    def ablate_setup_cahce(self, model: Any, limits: Limits) -> Any:
        return None
