"""What the switches have in common."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from ablate.evidence import resolved
from ablate.plugins import Plugin, hookimpl
from ablate.types import Evidence, EvidenceState, ModelSpec


@dataclass(frozen=True)
class Switch(Plugin, ABC):
    """A plugin that is nothing but engine arguments."""

    name: ClassVar[str]

    @abstractmethod
    def arguments(self, backend: str) -> Mapping[str, Any] | None:
        """What a back end is started with; None: it cannot do this."""

    @hookimpl
    def ablate_engine_args(self, engine: str, model: ModelSpec) -> Mapping[str, Any] | None:
        return self.arguments(engine)

    @hookimpl
    def ablate_evidence(self, state: EvidenceState) -> Evidence:
        return resolved(self.name, state, self.arguments(state.engine) or {})
