"""Problems: unique, in order, the same each time, and never those that are trained on."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace

from ablate import plugins
from ablate.domains.base import Domain
from ablate.testing.findings import Finding, judged
from ablate.types import Problem

FEW, MANY = 8, 24
OTHER = 1  # added to the domain's seed


def examine(domain: Domain) -> Iterator[Finding]:
    many = _asked(domain, MANY)
    yield from judged("problems", _wrong(domain, many), f"{len(many)} with unique ids")
    if not many:
        return
    yield from judged("limit", _limits(domain, many), "a larger one keeps the first problems")
    yield from judged("seed", _seeds(domain, many), "the same one gives the same problems")


def _asked(domain: Domain, limit: int, seed: int = 0) -> Sequence[Problem]:
    return tuple(replace(domain, limit=limit, seed=domain.seed + seed).problems())


def _wrong(domain: Domain, found: Sequence[Problem]) -> Iterator[str]:
    if not found:
        yield f"there should be some, and with limit={MANY} there are none"
    twice = [i for i, n in Counter(p.id for p in found).items() if n > 1]
    if twice:
        yield f"ids should be unique, and {twice[0]!r} is not"
    names = {p.domain for p in found}
    known = [
        n for n, cls in plugins.installed().registry.all("domain").items() if cls is type(domain)
    ]
    if len(names) > 1 or (known and names - set(known)):
        name = known[0] if known else "one"
        yield f"should say that they are of domain {name!r}, and say {sorted(names)}"
    for problem in found:
        yield from (f"{problem.id}: {words}" for words in _odd(problem))


def _odd(problem: Problem) -> Iterator[str]:
    if not problem.prompt.strip():
        yield "the prompt should not be empty"
    if problem.difficulty is not None and not math.isfinite(problem.difficulty):
        yield f"difficulty should be a number or None, and is {problem.difficulty}"
    if not all(problem.stop):
        yield "an empty stop text would end every output at once; leave it out"
    if problem.max_tokens is not None and problem.max_tokens < 1:
        yield f"max_tokens should be at least 1, and is {problem.max_tokens}"


def _limits(domain: Domain, many: Sequence[Problem]) -> Iterator[str]:
    few = _asked(domain, FEW)
    if len(few) > FEW or len(many) > MANY:
        yield f"limit={FEW} should give at most {FEW} problems, and gives {len(few)}"
    elif few != many[:FEW]:
        yield (
            f"the same seed should give the same first problems, and limit={FEW} gives others than "
            f"limit={MANY} begins with; choose problems in an order that does not depend on limit"
        )


def _seeds(domain: Domain, many: Sequence[Problem]) -> Iterator[str]:
    if _asked(domain, MANY) != many:
        yield (
            "problems should be the same each time, and are not; draw from a Random that is made "
            "from the seed"
        )
    # a harness's protocol asks the first problems, whatever the seed
    first_ones = getattr(domain, "protocol", None) == "lm_eval"
    if first_ones or len(_asked(domain, 2 * MANY)) < 2 * MANY:
        return  # too few to tell
    if [p.prompt for p in _asked(domain, MANY, OTHER)] == [p.prompt for p in many]:
        yield "another seed should ask other problems, or the same in another order, and does not"


def training(domain: Domain) -> Iterator[Finding]:
    """Worked problems are never test problems."""
    trained = tuple(domain.training(MANY, 0))
    if not trained:
        return
    yield from judged(
        "training",
        _trained(domain, trained),
        f"{len(trained)} worked problems, none of them a test problem",
    )


def _trained(domain: Domain, trained: Sequence[Problem]) -> Iterator[str]:
    if len(trained) > MANY:
        yield f"training(n) should give at most n problems, and gives {len(trained)} for {MANY}"
    if tuple(domain.training(MANY, 0)) != trained:
        yield "training(n, seed) should give the same problems each time, and does not"
    tested = {p.prompt for seed in (0, OTHER) for p in _asked(domain, MANY, seed)}
    both = [p for p in trained if p.prompt in tested]
    if both:
        yield (
            f"a training problem should never be a test problem, and {both[0].id!r} is; split by a "
            "hash of the prompt"
        )
