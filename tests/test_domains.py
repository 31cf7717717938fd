"""The generated domains: splits, ids, graders, and solutions that are true."""

from __future__ import annotations

import operator
import re
from collections import Counter
from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from omegaconf import OmegaConf

from ablate.domains._split import Generated, split_of
from ablate.domains.arithmetic import Arithmetic
from ablate.domains.logic import Logic
from ablate.errors import RecipeError
from ablate.types import Problem

DOMAINS = (Arithmetic(), Logic())
each_domain = pytest.mark.parametrize("domain", DOMAINS, ids=lambda domain: str(domain.name))
a_domain = st.sampled_from(DOMAINS)
a_seed = st.integers(0, 2**40)

SIGNS = {"+": operator.add, "-": operator.sub, "*": operator.mul}
FLIPPED = {"true": "false", "false": "true"}
# The results for false false, false true, true false, true true.
TABLES = {"and": "0001", "or": "0111", "xor": "0110", "implies": "1101"}


FIRST_PROMPTS = {
    "arithmetic": (
        "Start with 655. Subtract 537. Multiply by 4. Add 2. Add 112. Subtract 423. "
        "Multiply by 2. Subtract 191. Multiply by 2. Add 583. What is the result?"
    ),
    "logic": (
        "Evaluate ((not (true implies (not true implies (true xor not false))) or (false "
        "xor true)) implies (not (((true and not true) xor false) implies (false and "
        "(true or not false))) xor not (false implies false))). Answer true or false."
    ),
}


def lines_of(problem: Problem) -> list[str]:
    assert problem.solution is not None
    opening, *lines, closing, answer = problem.solution.split("\n")
    assert (opening, closing, answer) == ("<think>", "</think>", problem.reference)
    return lines


def truth(text: str) -> str:
    """The value of a logic expression, by rewriting text with truth tables."""
    while " " in text:
        text = re.sub(r"not (true|false)", lambda match: FLIPPED[match[1]], text)
        text = re.sub(r"\((\w+) (\w+) (\w+)\)", lambda match: _table(*match.groups()), text)
    return text


def _table(left: str, word: str, right: str) -> str:
    row = (left == "true") * 2 + (right == "true")
    return "false" if TABLES[word][row] == "0" else "true"


@given(a_domain, a_seed, a_seed)
def test_no_training_problem_is_a_test_problem(domain: Generated, one: int, other: int) -> None:
    tested = {problem.prompt for problem in replace(domain, seed=one, limit=20).problems()}
    trained = {problem.prompt for problem in domain.training(20, other)}
    assert {split_of(prompt) for prompt in tested} == {"test"}
    assert {split_of(prompt) for prompt in trained} == {"train"}


@each_domain
def test_split_is_stable_across_releases(domain: Generated) -> None:
    """A changed hash or generator would silently move training problems into the test set."""
    first = replace(domain, limit=1).problems()[0]
    assert first.prompt == FIRST_PROMPTS[domain.name]


@given(a_domain, a_seed, st.integers(0, 40), st.integers(0, 40))
def test_a_larger_limit_keeps_the_first_problems(
    domain: Generated, seed: int, small: int, more: int
) -> None:
    few = replace(domain, seed=seed, limit=small).problems()
    many = replace(domain, seed=seed, limit=small + more).problems()
    assert tuple(many[:small]) == tuple(few)
    assert len({problem.id for problem in many}) == small + more


@each_domain
def test_without_limit_a_whole_set_is_asked(domain: Generated) -> None:
    problems = replace(domain, limit=None).problems()
    assert len(problems) == len({problem.id for problem in problems}) == 1024
    # The easiest logic problems are so few that some come twice.
    assert len({problem.prompt for problem in problems}) > 950


@each_domain
def test_another_seed_asks_other_problems(domain: Generated) -> None:
    one, other = (replace(domain, seed=seed).problems() for seed in (0, 1))
    assert not {problem.id for problem in one} & {problem.id for problem in other}
    assert len({problem.prompt for problem in (*one, *other)}) > 120


@each_domain
def test_difficulties_are_spread_evenly(domain: Generated) -> None:
    levels = domain.max_difficulty - domain.min_difficulty + 1
    problems = replace(domain, limit=3 * levels).problems()
    counts = Counter(problem.difficulty for problem in problems)
    assert counts == {float(level): 3 for level in range(1, levels + 1)}


@each_domain
def test_difficulty_range_is_kept(domain: Generated) -> None:
    narrow = replace(domain, min_difficulty=3, max_difficulty=4, limit=6)
    assert {problem.difficulty for problem in narrow.problems()} == {3.0, 4.0}
    with pytest.raises(RecipeError, match="min_difficulty"):
        replace(domain, min_difficulty=5, max_difficulty=4)


@each_domain
def test_options_can_be_written_in_a_recipe(domain: Generated) -> None:
    schema = OmegaConf.structured(type(domain))
    made = OmegaConf.to_object(OmegaConf.merge(schema, {"limit": 3, "max_difficulty": 4}))
    assert made == type(domain)(limit=3, max_difficulty=4)


@given(a_domain, a_seed)
def test_grader_accepts_the_solution_and_rejects_another(domain: Generated, seed: int) -> None:
    for problem in replace(domain, seed=seed, limit=10).problems():
        solution = problem.solution or ""
        assert domain.grade(problem, solution, "stop").outcome == "correct"
        right = problem.reference
        wrong = FLIPPED[right] if right in FLIPPED else str(int(right) + 1)
        grade = domain.grade(problem, solution.removesuffix(right) + wrong, "stop")
        assert (grade.outcome, grade.parsed) == ("wrong", wrong)


@each_domain
def test_thinking_alone_is_no_answer(domain: Generated) -> None:
    problem = domain.problems()[0]
    thinking = (problem.solution or "").split("</think>")[0]
    assert domain.grade(problem, thinking, "length").outcome == "truncated"
    assert domain.grade(problem, f"{thinking}</think>\nI cannot say.", "stop").outcome == "unparsed"


@pytest.mark.parametrize(
    ("visible", "answer"),
    [
        ("1072", "1072"),
        ("The result is 1072.", "1072"),
        ("1,072", "1072"),
        ("First 3, then 1,072!", "1072"),
        ("It is 3,4", "4"),
        ("-12", "-12"),
        ("007", "7"),
        ("none", None),
        ("", None),
    ],
)
def test_arithmetic_answers(visible: str, answer: str | None) -> None:
    assert Arithmetic().extract(visible) == answer


@pytest.mark.parametrize(
    ("visible", "answer"),
    [
        ("true", "true"),
        ("The answer is False.", "false"),
        ("not true, so FALSE", "false"),
        ("untrue", None),
        ("", None),
    ],
)
def test_logic_answers(visible: str, answer: str | None) -> None:
    assert Logic().extract(visible) == answer


@given(a_seed)
def test_arithmetic_solutions_are_true(seed: int) -> None:
    for problem in Arithmetic(seed=seed, limit=10).problems():
        lines = lines_of(problem)
        assert len(lines) == problem.difficulty
        for line in lines:
            left, result = line.split(" = ")
            value, sign, operand = left.split(" ")
            assert SIGNS[sign](int(value), int(operand)) == int(result)
            assert 100 <= int(result) <= 999
        for line, following in pairwise(lines):
            assert following.startswith(f"{line.split(' = ')[1]} ")
        operands = re.findall(r"\d+", problem.prompt)
        steps = [line.split(" = ")[0].split(" ")[-1] for line in lines]
        assert operands == [lines[0].split(" ")[0], *steps]
        assert lines[-1].endswith(f"= {problem.reference}")


@given(a_seed)
def test_logic_solutions_are_true(seed: int) -> None:
    for problem in Logic(seed=seed, limit=16).problems():
        expression = problem.prompt.removeprefix("Evaluate ").split(". ")[0]
        assert len(re.findall("and|x?or|implies", expression)) == problem.difficulty
        for line in (expression, *lines_of(problem)):
            assert truth(line) == problem.reference
        assert lines_of(problem)[-1] == problem.reference


@each_domain
def test_solutions_are_short(domain: Generated) -> None:
    """Serving one must stay cheap: words, digits and signs bound the tokens from above."""
    pieces = re.compile(r"\d|[a-z]+|\S|\n")
    for problem in domain.problems():
        assert len(pieces.findall(problem.solution or "")) < 300
