"""2:4 structured pruning: of every four neighbouring weights the two smallest become zero."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from ablate.plugins import Plugin, hookimpl
from ablate.types import Evidence, EvidenceState, ModelSpec


@dataclass(frozen=True)
class Sparse24(Plugin):
    """Of every four neighbouring weights of a row, set the two smallest to zero.

    In every linear layer but the output layer, without retraining. The zeros are stored like other
    numbers: this shows what the pattern costs in accuracy; memory and speed stay as they are.

    ``share``: prune to that share of zeros instead, the smallest weights of each layer wherever
    they stand; None is the 2:4 pattern, half of them.
    """

    share: float | None = None

    hookspec_version: ClassVar[int] = 1
    source: ClassVar[str] = "Mishra et al. 2021, 2:4 sparsity (2104.08378)"

    def __post_init__(self) -> None:
        if self.share is not None and not 0 < self.share < 1:
            raise ValueError(f"share must be between 0 and 1, not {self.share}; null is 2:4")

    @hookimpl
    def ablate_load_model(self, model: ModelSpec, device: str) -> Any:
        from ablate.engines.local.loading import load_model

        from .pruning import prune

        loaded = load_model(model, device)
        prune(loaded, self.share)
        return loaded

    @hookimpl
    def ablate_evidence(self, state: EvidenceState) -> Evidence:
        from .pruning import count

        seen = count(state.components["model"])
        numbers = {"zeros": seen.zeros, "groups_2_4": seen.groups}
        if self.share is None:
            text = f"{seen.groups:.1%} of the groups of four have two zeros"
            return Evidence("sparse24", seen.groups == 1, f"{text}, {seen}", numbers)
        return Evidence("sparse24", seen.zeros >= self.share, str(seen), numbers)
