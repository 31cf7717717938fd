"""Graders that domains share: each reads an answer out of a text and says whether it is right."""

from __future__ import annotations

from ablate.grading.base import GRADERS, Grader, grader

__all__ = ["GRADERS", "Grader", "grader"]
