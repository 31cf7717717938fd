"""check_domain and check_arrival pass what is shipped and find what is not fair."""

from __future__ import annotations

from pathlib import Path

import pytest

from ablate.arrivals import Arrival, Batch, Gamma
from ablate.domains import BUILT_IN, Arithmetic
from ablate.domains.base import Domain
from ablate.testing import CheckError, check_arrival, check_domain
from ablate.types import Problem
from tests.testing import liars


@pytest.mark.parametrize("domain", BUILT_IN, ids=lambda domain: domain.__name__)
def test_built_in_domains_are_fair(domain: type[Domain]) -> None:
    check_domain(domain())


@pytest.mark.parametrize(
    ("domain", "why"), liars.DOMAINS, ids=lambda case: getattr(case, "__name__", "")
)
def test_an_unfair_domain_is_found(domain: type[Domain], why: str) -> None:
    with pytest.raises(CheckError) as caught:
        check_domain(domain())
    assert why in str(caught.value)


def test_an_answer_can_be_given_where_no_usual_form_is_read() -> None:
    def answer(problem: Problem) -> str:
        return f"It is <<{problem.reference}>>, I think, not 7"

    with pytest.raises(CheckError, match="should be correct"):
        check_domain(Arithmetic(), answer=answer)


@pytest.mark.parametrize(
    "arrival", [Batch(), Batch(concurrency=1), Gamma(2.0), Gamma(9.0, 0.3, concurrency=4)]
)
def test_built_in_arrivals_are_fair(arrival: Arrival) -> None:
    check_arrival(arrival)


@pytest.mark.parametrize("how", liars.ARRIVALS)
def test_an_unfair_arrival_process_is_found(how: str) -> None:
    with pytest.raises(CheckError) as caught:
        check_arrival(liars.Late(how))
    assert liars.ARRIVALS[how] in str(caught.value)


def test_a_page_of_the_docs_passes_nothing_by(tmp_path: Path) -> None:
    """An output of one digit, for ever, is graded as any other."""
    domain = Arithmetic()
    grade = domain.grade(domain.problems()[0], "9" * 100_000, "length")
    assert grade.outcome == "wrong"
