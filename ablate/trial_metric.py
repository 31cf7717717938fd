"""What a metric of a plugin is: a number of one trial, beside those of ``ablate.metrics``."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar, Literal

from ablate.types import Trial


@dataclass(frozen=True)
class TrialMetric(ABC):
    """Base of metrics that plugins register; the docstring's first line is the definition.

    It is computed for every report where its plugin is installed; recipes need not name it.
    ``timed``: it depends on the clock or on the machine's state, so a resumed trial has none.
    ``per_domain``: it is also asked with the records of one domain alone.
    """

    unit: ClassVar[str] = ""
    better: ClassVar[Literal["higher", "lower", "neither"]] = "neither"
    timed: ClassVar[bool] = True
    per_domain: ClassVar[bool] = False

    @abstractmethod
    def measure(self, trial: Trial) -> float | None:
        """The number, finite, of a trial that succeeded; None where it cannot be had."""
