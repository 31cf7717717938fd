"""A domain's problems, made once per process: planning and every trial ask for them."""

from __future__ import annotations

from functools import lru_cache

from ablate.domains.base import Domain
from ablate.types import Problem


def problems_of(domain: Domain) -> tuple[Problem, ...]:
    """``domain.problems()``, remembered where the domain's options can be hashed."""
    try:
        hash(domain)
    except TypeError:
        return tuple(domain.problems())
    return _remembered(domain)


@lru_cache(maxsize=64)
def _remembered(domain: Domain) -> tuple[Problem, ...]:
    return tuple(domain.problems())
