"""A budget for thinking: at its end the reasoning is closed, and the answer follows."""

from __future__ import annotations

from collections.abc import Generator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from ablate.evidence import undecided
from ablate.plugins import Plugin, hookimpl
from ablate.thinking import THINK_CLOSE
from ablate.types import Evidence, EvidenceState

if TYPE_CHECKING:
    from ablate.engines.local.interfaces import DecodeStep, KVStore
    from ablate.engines.text import Codebook


@dataclass(frozen=True)
class BudgetForcing(Plugin):
    """Close the reasoning after ``max_thinking_tokens`` by writing ``closing`` for the model.

    What follows is the model's own. ``closing``: text with ``</think>`` in it, such as
    ``"\\n</think>\\nFinal answer:"``. ``wait``: how many times a model that closes its reasoning
    sooner is made to go on, by "Wait" in the place of its ``</think>``.
    """

    max_thinking_tokens: int
    closing: str = THINK_CLOSE
    wait: int = 0

    source: ClassVar[str] = "budget forcing: Muennighoff et al. 2025, s1 (2501.19393)"
    example: ClassVar[Mapping[str, Any]] = {"max_thinking_tokens": 4}

    def __post_init__(self) -> None:
        if self.max_thinking_tokens < 1:
            raise ValueError(
                f"max_thinking_tokens must be at least 1, not {self.max_thinking_tokens}"
            )
        if THINK_CLOSE not in self.closing:
            raise ValueError(f"closing must have {THINK_CLOSE} in it, and is {self.closing!r}")
        if self.wait < 0:
            raise ValueError(f"wait must be at least 0, not {self.wait}")

    @hookimpl(wrapper=True)
    def ablate_decode_step(
        self, cache: KVStore, codebook: Codebook
    ) -> Generator[None, DecodeStep, DecodeStep]:
        from ablate_budget_forcing.step import BudgetStep
        from ablate_budget_forcing.thinking import Budget

        inner = yield
        budget = Budget(self.max_thinking_tokens, self.closing, self.wait, codebook)
        return BudgetStep(inner, cache, budget)

    @hookimpl
    def ablate_evidence(self, state: EvidenceState) -> Evidence:
        names = ("num_thinking", "num_thinking_closed", "num_thinking_waits")
        if names[0] not in state.counters:
            return Evidence("budget_forcing", False, "nothing watches how long requests think")
        numbers = {name: state.counters[name] for name in names}
        thinking, closed, waits = numbers.values()
        if not thinking:
            told = "no request opened its thinking with <think>, so there was nothing to close"
            return Evidence("budget_forcing", undecided(state), told, numbers)
        longest = getattr(state.components["step"], "longest", 0)
        told = (
            f"{closed:.0f} of {thinking:.0f} requests that think were closed at "
            f"{self.max_thinking_tokens} tokens, {waits:.0f} times one went on; none thought more "
            f"than {longest}"
        )
        kept = longest <= self.max_thinking_tokens
        return Evidence("budget_forcing", kept, told, {**numbers, "longest_thinking": longest})
