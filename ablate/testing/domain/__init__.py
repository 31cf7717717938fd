"""Domains: the same problems each time, and a grader that knows right from wrong."""

from __future__ import annotations

import pickle
from collections.abc import Callable, Iterator

from ablate.domains.base import Domain
from ablate.testing import options
from ablate.testing.domain import grading, problems
from ablate.testing.findings import Finding, guarded, judged
from ablate.types import Problem


def examine(domain: Domain, answer: Callable[[Problem], str] | None) -> list[Finding]:
    """What ``check_domain`` looks at."""
    found = [
        *guarded("options", options.examine, domain),
        *guarded("problems", problems.examine, domain),
    ]
    if all(f.ok for f in found if f.check == "problems"):
        found += guarded("training", problems.training, domain)
        found += guarded("pickle", _picklable, domain)
        found += guarded("answers", grading.answers, domain, answer)
        found += guarded("other texts", grading.other_texts, domain)
    return found


def _picklable(domain: Domain) -> Iterator[Finding]:
    if not domain.slow:
        return
    sent = (domain, tuple(domain.problems()[:8]))
    wrong = []
    try:
        if pickle.loads(pickle.dumps(sent)) != sent:  # noqa: S301 - our own bytes
            wrong.append("a slow domain and its problems should be equal after being pickled")
    except Exception as error:  # what cannot be pickled raises anything
        wrong.append(
            "a slow domain and its problems are sent to the processes that grade, so they should "
            f"be picklable, and are not: {error}"
        )
    yield from judged("pickle", wrong, "slow, and picklable")
