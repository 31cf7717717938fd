"""What a grader is, and which there are."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from importlib import import_module
from types import MappingProxyType

from ablate.errors import RecipeError, did_you_mean
from ablate.thinking import visible_text
from ablate.types import FinishReason, Grade, Problem

LONGEST = 200
"""Characters of a read answer that are kept."""

GRADERS: Mapping[str, str] = MappingProxyType(
    {
        "choice": "ablate.grading.choice:Choice",
        "code": "ablate.grading.code:Code",
        "exact": "ablate.grading.exact:Exact",
        "numeric": "ablate.grading.numeric:Numeric",
        "symbolic": "ablate.grading.symbolic:Symbolic",
    }
)
"""Graders by the name that a recipe gives them, imported when they are asked for."""


class Grader(ABC):
    """Judges free answers as reasoning models give them; made without arguments, picklable.

    What it needs of a problem stands in ``reference`` and ``payload``.
    """

    @abstractmethod
    def read(self, visible: str, problem: Problem, *, firm: bool = False) -> str | None:
        """The answer in a visible text, normalized; None if there is none.

        ``firm``: only where it is stated to be the answer (in a box, after "final answer is"), not
        where it is taken to be the answer because nothing else could be (the last number).
        """

    @abstractmethod
    def equal(self, answer: str, problem: Problem) -> bool:
        """Whether an answer that was read is right."""

    def problem_with(self, reference: str) -> str | None:
        """Why nothing could equal this reference answer, in words; None if it is fine."""
        return None if reference.strip() else "it is empty"

    def grade(self, problem: Problem, text: str, finish_reason: FinishReason) -> Grade:
        """Judge a whole output. In one that was cut off only a firmly stated answer counts."""
        cut = finish_reason == "length"
        answer = self.read(visible_text(text), problem, firm=cut)
        if answer is None:
            return Grade("truncated" if cut else "unparsed")
        return Grade("correct" if self.equal(answer, problem) else "wrong", answer[:LONGEST])


def grader(name: str) -> Grader:
    """The grader of that name. Raises RecipeError if there is none."""
    if name not in GRADERS:
        raise RecipeError([f"there is no grader {name!r}.{did_you_mean(name, GRADERS)}"])
    module, _, attribute = GRADERS[name].partition(":")
    made = getattr(import_module(module), attribute)()
    assert isinstance(made, Grader)  # noqa: S101  # a promise of the table above
    return made
