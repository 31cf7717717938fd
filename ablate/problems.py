"""A domain's problems, made once per process, and those of them that a stream with weights asks."""

from __future__ import annotations

from collections.abc import Mapping
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


def asked_of(
    domains: Mapping[str, Domain], mix: Mapping[str, float]
) -> dict[str, tuple[Problem, ...]]:
    """By domain, the problems of one stream whose domains have these weights.

    They are each domain's first ones, as with a smaller ``limit``.
    """
    every = {name: problems_of(domain) for name, domain in domains.items()}
    sizes = mixed({name: len(problems) for name, problems in every.items()}, mix)
    return {name: problems[: sizes[name]] for name, problems in every.items()}


def mixed(counts: Mapping[str, int], mix: Mapping[str, float]) -> dict[str, int]:
    """How many problems each domain gives to a stream that ends where the first has none left.

    In proportion to the weights, to the nearest whole one; a domain that ``mix`` does not name
    weighs 1. All of them where ``mix`` is empty.
    """
    if not mix or not counts:
        return dict(counts)
    weights = {name: mix.get(name, 1.0) for name in counts}
    scarcest = min(counts, key=lambda name: counts[name] / weights[name])
    # the scarcest domain's own size is exact, whatever is lost in dividing
    return {
        name: min(n, round(counts[scarcest] * weights[name] / weights[scarcest]))
        for name, n in counts.items()
    }
