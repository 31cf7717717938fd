"""Any task of the library reasoning-gym as a domain, judged by the task's own scorer."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING, Any, ClassVar

from ablate.domains.base import Domain
from ablate.errors import RecipeError
from ablate.plugins import Registry, hookimpl
from ablate.thinking import visible_text
from ablate.types import FinishReason, Grade, Problem
from ablate_reasoning_gym.answer import last_line, stated

if TYPE_CHECKING:
    from ablate_reasoning_gym.drawn import Drawn
    from ablate_reasoning_gym.library import Entry, Task

ASK = (
    "Give only the final answer, in the format of the examples if there are any, between "
    "<answer> and </answer>."
)

# The numbers that a seed of ours has to itself. The library makes item i from Random(seed + i), so
# with neighbouring seeds nearly all items would be the same.
SPACING = 2**20

# Some tasks seed numpy, which takes 32 bits.
SEEDS = 2**32 // SPACING


@dataclass(frozen=True, kw_only=True)
class ReasoningGym(Domain):
    """One task of reasoning-gym: ``task`` is its name, ``options`` what its configuration takes.

    ``limit``: how many different problems are asked; None asks up to 1024, or as many as the task
    has. Making it raises RecipeError if the library, the task or an option does not exist.
    """

    task: str
    options: dict[str, Any] = field(default_factory=dict, hash=False)

    name: ClassVar[str] = "reasoning_gym"

    def __post_init__(self) -> None:
        if not 0 <= self.seed < SEEDS:
            raise RecipeError([f"seed must be between 0 and {SEEDS - 1}, not {self.seed}"])
        _task(self)

    def problems(self) -> tuple[Problem, ...]:
        _task(self)  # imports the library now, not when an answer is judged, which is timed
        return tuple(self._problem(index) for index in _drawn(self).items)

    def extract(self, visible: str) -> str | None:
        return stated(visible) or last_line(visible)

    def is_correct(self, answer: str, problem: Problem) -> bool:
        return _task(self).accepts(answer, self._entry(problem))

    def grade(self, problem: Problem, text: str, finish_reason: FinishReason) -> Grade:
        """As for any domain, but the last line of a text cut off is no answer."""
        if finish_reason == "length" and stated(visible_text(text)) is None:
            return Grade("truncated")
        return super().grade(problem, text, finish_reason)

    def _problem(self, index: int) -> Problem:
        item = _drawn(self).items[index]
        return Problem(
            id=f"{self.name}-{self.task}-{self.seed}-{index}",
            domain=self.name,
            prompt=f"{item.question}\n\n{ASK}",
            reference=item.reference,
            difficulty=_difficulty(item.entry),
        )

    def _entry(self, problem: Problem) -> Entry:
        return _drawn(self).items[int(problem.id.rsplit("-", 1)[1])].entry


@hookimpl
def ablate_register(registry: Registry) -> None:
    registry.add("domain", ReasoningGym.name, ReasoningGym)


# Kept beside the domain, not in it: a domain is sent to every trial, and these are made there anew.


@lru_cache(maxsize=64)
def _task(domain: ReasoningGym) -> Task:
    from ablate_reasoning_gym.library import load

    return load(domain.task, domain.options, domain.seed * SPACING)


@lru_cache(maxsize=64)
def _drawn(domain: ReasoningGym) -> Drawn:
    from ablate_reasoning_gym.drawn import Wanted, drawn

    return drawn(Wanted(domain.task, domain.options, domain.seed * SPACING, domain.limit))


def _difficulty(entry: Entry) -> float | None:
    """What the task says of an item, if that is one number; most tasks repeat their options."""
    value = entry["metadata"].get("difficulty")
    if isinstance(value, dict) and len(value) == 1:
        value = next(iter(value.values()))
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
    return float(value) if is_number else None
