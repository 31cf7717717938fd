"""Optimizations that fail in every way that an arm can fail, and one that does nothing."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Generator
from dataclasses import dataclass
from typing import Any

from ablate.plugins import Plugin, hookimpl
from ablate.types import Evidence, EvidenceState, Limits, ModelSpec


@dataclass(frozen=True)
class Harmless(Plugin):
    """Passes the cache on as it is."""

    @hookimpl(wrapper=True)
    def ablate_setup_cache(self, model: Any, limits: Limits) -> Generator[None, Any, Any]:
        return (yield)

    @hookimpl
    def ablate_evidence(self, state: EvidenceState) -> Evidence:
        return Evidence("harmless", True, "passed the cache on")


@dataclass(frozen=True)
class Crash(Harmless):
    """Dies of a signal that is nobody's memory limit."""

    @hookimpl
    def ablate_schedule(self, cache: Any, limits: Limits) -> Any:
        os.abort()


@dataclass(frozen=True)
class Killed(Harmless):
    """Is killed as the kernel kills when memory runs out."""

    @hookimpl
    def ablate_schedule(self, cache: Any, limits: Limits) -> Any:
        os.kill(os.getpid(), signal.SIGKILL)


@dataclass(frozen=True)
class Hang(Harmless):
    """Never comes back."""

    @hookimpl
    def ablate_schedule(self, cache: Any, limits: Limits) -> Any:
        time.sleep(3600)


@dataclass(frozen=True)
class Hungry(Harmless):
    """Asks torch for more memory than there is."""

    @hookimpl
    def ablate_load_model(self, model: ModelSpec, device: str) -> Any:
        import torch

        return torch.empty(1 << 60)


@dataclass(frozen=True)
class Raises(Harmless):
    """Raises an error of its own."""

    @hookimpl
    def ablate_load_model(self, model: ModelSpec, device: str) -> Any:
        raise ZeroDivisionError("the plugin's own mistake")


@dataclass(frozen=True)
class ForgetsReturn(Harmless):
    """Builds a component and forgets to return it."""

    @hookimpl
    def ablate_schedule(self, cache: Any, limits: Limits) -> Any:
        object()


@dataclass(frozen=True)
class NoEffect(Harmless):
    """Admits that it did nothing."""

    @hookimpl
    def ablate_evidence(self, state: EvidenceState) -> Evidence:
        return Evidence("no_effect", None, "nothing to see")


@dataclass(frozen=True)
class NoEvidence(Plugin):
    """Does something and proves nothing."""

    @hookimpl(wrapper=True)
    def ablate_setup_cache(self, model: Any, limits: Limits) -> Generator[None, Any, Any]:
        return (yield)
