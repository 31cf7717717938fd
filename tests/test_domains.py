"""The built-in domains: splits, ids, graders, and solutions that are true."""

from __future__ import annotations

import hashlib
import operator
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import pairwise, product

import pytest
from hypothesis import given
from hypothesis import strategies as st
from omegaconf import OmegaConf

from ablate.domains import BUILT_IN, Algebra, Arithmetic, Code, Knowledge, Logic, Sorting
from ablate.domains._elements import ELEMENTS
from ablate.domains._split import Generated, split_of
from ablate.domains.base import Domain
from ablate.errors import RecipeError
from ablate.types import Problem

GENERATED = (Arithmetic(), Algebra(), Logic(), Code(), Sorting())
DOMAINS: tuple[Domain, ...] = (*GENERATED, Knowledge())
each_domain = pytest.mark.parametrize("domain", DOMAINS, ids=lambda domain: str(domain.name))
each_generated = pytest.mark.parametrize("domain", GENERATED, ids=lambda domain: str(domain.name))
a_domain = st.sampled_from(DOMAINS)
a_generated = st.sampled_from(GENERATED)
a_seed = st.integers(0, 2**40)

SIGNS = {"+": operator.add, "-": operator.sub, "*": operator.mul}
FLIPPED = {"true": "false", "false": "true", "knight": "knave", "knave": "knight"}
# The results for false false, false true, true false, true true.
TABLES = {"and": "0001", "or": "0111", "xor": "0110", "implies": "1101"}


FINGERPRINTS = {
    "arithmetic": "549fca6304ff9987",
    "algebra": "4be873b6e4c5bf9e",
    "logic": "800ccdf494bbe3ee",
    "code": "c2f1648332349808",
    "sorting": "e1d82b9c23d3c50a",
    "knowledge": "471045613336a7a6",
}


def test_every_domain_is_tested() -> None:
    assert {type(domain) for domain in DOMAINS} == set(BUILT_IN)


def lines_of(problem: Problem) -> list[str]:
    assert problem.solution is not None
    opening, *lines, closing, answer = problem.solution.split("\n")
    assert (opening, closing, int(answer) if answer.isdigit() else answer) == (
        "<think>",
        "</think>",
        int(problem.reference) if problem.reference.isdigit() else problem.reference,
    )
    return lines


@given(a_domain, a_seed, a_seed)
def test_no_training_problem_is_a_test_problem(domain: Domain, one: int, other: int) -> None:
    tested = {problem.prompt for problem in replace(domain, seed=one, limit=20).problems()}
    trained = {problem.prompt for problem in domain.training(20, other)}
    assert {split_of(prompt) for prompt in tested} == {"test"}
    assert {split_of(prompt) for prompt in trained} == {"train"}


def fingerprint(domain: Domain) -> str:
    prompts = [problem.prompt for problem in (*domain.problems(), *domain.training(50, seed=0))]
    return hashlib.sha256("\n".join(prompts).encode()).hexdigest()[:16]


@each_domain
def test_problems_are_stable_across_releases(domain: Domain) -> None:
    """A changed hash or generator would silently move training problems into the test set."""
    if isinstance(domain, Generated):
        domain = replace(domain, max_difficulty=10)
    assert fingerprint(replace(domain, limit=50)) == FINGERPRINTS[domain.problems()[0].domain]


@given(a_domain, a_seed, st.integers(0, 40), st.integers(0, 40))
def test_a_larger_limit_keeps_the_first_problems(
    domain: Domain, seed: int, small: int, more: int
) -> None:
    few = replace(domain, seed=seed, limit=small).problems()
    many = replace(domain, seed=seed, limit=small + more).problems()
    assert tuple(many[:small]) == tuple(few)
    assert len({problem.id for problem in many}) == small + more


@each_domain
def test_without_limit_a_whole_set_is_asked(domain: Domain) -> None:
    problems = replace(domain, limit=None).problems()
    assert len(problems) == len({problem.id for problem in problems}) >= 1024
    assert len({problem.prompt for problem in problems}) > 0.99 * len(problems)


@each_generated
def test_another_seed_asks_other_problems(domain: Generated) -> None:
    one, other = (replace(domain, seed=seed).problems() for seed in (0, 1))
    assert not {problem.id for problem in one} & {problem.id for problem in other}
    assert len({problem.prompt for problem in (*one, *other)}) > 120


@each_generated
def test_difficulties_are_spread_evenly(domain: Generated) -> None:
    levels = domain.max_difficulty - domain.min_difficulty + 1
    problems = replace(domain, limit=3 * levels).problems()
    counts = Counter(problem.difficulty for problem in problems)
    assert counts == {float(level): 3 for level in range(1, levels + 1)}


@each_generated
def test_difficulty_range_is_kept(domain: Generated) -> None:
    narrow = replace(domain, min_difficulty=3, max_difficulty=4, limit=6)
    assert {problem.difficulty for problem in narrow.problems()} == {3.0, 4.0}
    with pytest.raises(RecipeError, match="min_difficulty"):
        replace(domain, min_difficulty=5, max_difficulty=4)
    with pytest.raises(RecipeError, match="max_difficulty"):
        replace(domain, max_difficulty=domain.hardest + 1)


@pytest.mark.parametrize("share", [0.0, 1.0])
def test_the_share_of_a_kind_can_be_chosen(share: float) -> None:
    assert {is_equation(p) for p in Algebra(equations=share).problems()} == {share == 1}
    assert {is_boolean(p) for p in Logic(knights=share).problems()} == {share == 0}


@pytest.mark.parametrize("share", [-0.1, 1.1, float("nan")])
def test_a_share_outside_its_range_is_refused(share: float) -> None:
    with pytest.raises(RecipeError, match="algebra: equations must be from 0 to 1"):
        Algebra(equations=share)
    with pytest.raises(RecipeError, match="logic: knights must be from 0 to 1"):
        Logic(knights=share)


@each_generated
def test_the_hardest_problem_can_be_made(domain: Generated) -> None:
    hardest = min(domain.hardest, 40)
    asked = replace(domain, min_difficulty=hardest, max_difficulty=hardest, limit=4)
    assert len(asked.problems()) == 4


@each_generated
def test_options_can_be_written_in_a_recipe(domain: Generated) -> None:
    schema = OmegaConf.structured(type(domain))
    made = OmegaConf.to_object(OmegaConf.merge(schema, {"limit": 3, "max_difficulty": 4}))
    assert made == type(domain)(limit=3, max_difficulty=4)


def changed(answer: str) -> str:
    """Another answer of the same form."""
    if answer.isdigit():
        return str(int(answer) + 1)
    first, *rest = answer.split(" ")
    return " ".join([FLIPPED.get(first, "Bronze"), *rest])


@given(a_domain, a_seed)
def test_grader_accepts_the_solution_and_rejects_another(domain: Domain, seed: int) -> None:
    for problem in replace(domain, seed=seed, limit=10).problems():
        solution = problem.solution or ""
        assert domain.grade(problem, solution, "stop").outcome == "correct"
        thinking, _ = solution.rsplit("\n", 1)
        wrong = changed(problem.reference)
        grade = domain.grade(problem, f"{thinking}\n{wrong}", "stop")
        assert (grade.outcome, grade.parsed) == ("wrong", wrong)


@each_domain
def test_thinking_alone_is_no_answer(domain: Domain) -> None:
    problem = domain.problems()[0]
    thinking = (problem.solution or "").split("</think>")[0]
    assert domain.grade(problem, thinking, "length").outcome == "truncated"
    assert domain.grade(problem, f"{thinking}</think>\n...", "stop").outcome == "unparsed"


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
@pytest.mark.parametrize("domain", [Arithmetic(), Algebra(), Code(), Sorting()])
def test_whole_number_answers(domain: Domain, visible: str, answer: str | None) -> None:
    assert domain.extract(visible) == answer


@pytest.mark.parametrize(
    ("visible", "answer"),
    [
        ("true false true", "true false true"),
        ("They are: False, TRUE and\nfalse.", "false true false"),
        ("Ann is a knight, Bob a knave, Cal a Knight.", "knight knave knight"),
        ("not true, so false; then true; false", "false true false"),
        ("true", None),
        ("true untrue falsehood", None),
        ("", None),
    ],
)
def test_logic_answers(visible: str, answer: str | None) -> None:
    assert Logic().extract(visible) == answer


@pytest.mark.parametrize(
    ("reference", "visible", "right"),
    [
        ("26", "The atomic number of iron is 26.", True),
        ("26", "62", False),
        ("Fe", "Its symbol is Fe.", True),
        ("Fe", "FE", False),
        ("Aluminium", "aluminum", True),
        ("Caesium", "It is Cesium.", True),
        ("Gold", "gold", True),
        ("Gold", "Au", False),
    ],
)
def test_knowledge_answers(reference: str, visible: str, right: bool) -> None:
    problem = Problem("some", "knowledge", "some", reference)
    grade = Knowledge().grade(problem, visible, "stop")
    assert grade.outcome == ("correct" if right else "wrong")


@given(a_seed)
def test_arithmetic_solutions_are_true(seed: int) -> None:
    for problem in Arithmetic(seed=seed, limit=20).problems():
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


# What each sentence of a story does to the number it starts from.
STORY = {
    "finds": "+", "buys": "+", "given": "+", "sells": "-", "loses": "-", "away": "-", "times": "*",
    "Add": "+", "Subtract": "-", "Multiply": "*",
}  # fmt: skip


@given(a_seed)
def test_arithmetic_prompts_say_what_is_computed(seed: int) -> None:
    for problem in Arithmetic(seed=seed, limit=20).problems():
        start, *sentences, _question = re.findall(r"[^.?]+[.?]", problem.prompt)
        value = int(re.findall(r"\d+", start)[0])
        for sentence in sentences:
            (word,) = set(re.findall(r"\w+", sentence)) & set(STORY)
            value = SIGNS[STORY[word]](value, int(re.findall(r"\d+", sentence)[0]))
        assert str(value) == problem.reference


def side_at(side: str, x: int) -> int:
    """One side of an equation with a number for x."""
    terms = re.findall(r"([+-]?) ?(\d+)(x?)", side)
    return sum(
        (-1 if sign == "-" else 1) * int(n) * (x if has_x else 1) for sign, n, has_x in terms
    )


def is_equation(problem: Problem) -> bool:
    return problem.prompt.startswith("Solve")


@given(a_seed)
def test_equations_have_the_one_solution_given(seed: int) -> None:
    for problem in filter(is_equation, Algebra(seed=seed, limit=20).problems()):
        left, right = problem.prompt.removeprefix("Solve ").removesuffix(" for x.").split(" = ")
        found = int(problem.reference)
        assert side_at(left, found) == side_at(right, found)
        assert side_at(left, found + 1) != side_at(right, found + 1)
        assert problem.difficulty is not None
        assert problem.prompt.count(" + ") + problem.prompt.count(" - ") == 1 + problem.difficulty
        lines = lines_of(problem)
        middle = next(place for place, line in enumerate(lines) if line.startswith("right"))
        for side, collected in ((left, lines[middle - 1]), (right, lines[-4])):
            text = collected.split(": ")[1]
            assert all(side_at(text, x) == side_at(side, x) for x in (0, 1, 7))


@given(a_seed)
def test_products_are_true(seed: int) -> None:
    for problem in Algebra(seed=seed, limit=20).problems():
        if is_equation(problem):
            continue
        value, *factors = re.findall(r"\d+", problem.prompt)
        assert sum(map(len, factors)) == problem.difficulty
        whole = int(value)
        for factor in factors:
            whole *= int(factor)
        assert int(problem.reference) == whole % 1000
        for line in lines_of(problem):
            first, sign, second, columns, result = re.fullmatch(
                r"(\d{3}) ([*+]) (\d+): ([\d ]+) = (\d{3}).*", line
            ).groups()  # type: ignore[union-attr]
            assert SIGNS[sign](int(first), int(second)) % 1000 == int(result)
            assert "".join(column[-1] for column in columns.split(" "))[::-1] == result


def truth(text: str) -> str:
    """The value of "true xor not false" and the like, by rewriting text with truth tables."""
    text = re.sub(r"not (true|false)", lambda match: FLIPPED[match[1]], text)
    return re.sub(r"(\w+) (\w+) (\w+)", lambda match: _table(*match.groups()), text)


def _table(left: str, word: str, right: str) -> str:
    row = (left == "true") * 2 + (right == "true")
    return "false" if TABLES[word][row] == "0" else "true"


def is_boolean(problem: Problem) -> bool:
    return problem.prompt.startswith("Say")


@given(a_seed)
def test_boolean_solutions_are_true(seed: int) -> None:
    for problem in filter(is_boolean, Logic(seed=seed, limit=20).problems()):
        told, question = problem.prompt.removeprefix("Say ").split(". ", 1)
        values: dict[str, str] = {}
        for definition in told.split(", "):
            name, text = definition.split(" is ")
            words = [values.get(word, word) for word in text.split()]
            values[name] = truth(" ".join(words))
        assert len(values) == 2 * (problem.difficulty or 0) + 4
        asked = re.findall(r"\b[a-z]\b", question)
        assert " ".join(values[name] for name in asked) == problem.reference
        for line in lines_of(problem):
            for name, value in re.findall(r"\b([a-z]) (true|false)", line):
                assert values[name] == value


def test_a_boolean_operator_gives_no_value_away() -> None:
    values: dict[str, list[str]] = {word: [] for word in TABLES}
    for problem in Logic(knights=0, limit=400).problems():
        for word, value in re.findall(
            r"(\w+) (?:not )?\w \w+; \w (true|false)", problem.solution or ""
        ):
            values[word].append(value)
    for given_values in values.values():
        assert 0.45 < given_values.count("true") / len(given_values) < 0.55


Statement = tuple[str, str, str]


def statements_of(prompt: str) -> list[Statement]:
    """Speaker, whom he speaks of, and what he says of him."""
    return re.findall(
        r"(\w+) (?:says )?(\w+) (true|false|as \w+|not \w+|is of my kind|is not of my kind)\.",
        prompt,
    )


def holds(statement: Statement, knights: set[str]) -> bool:
    speaker, other, said = statement
    match said.split(" "):
        case ["true"]:
            claim = other in knights
        case ["false"]:
            claim = other not in knights
        case ["as" | "not" as how, name]:
            claim = ((other in knights) == (name in knights)) == (how == "as")
        case ["is", *how]:
            claim = ((other in knights) == (speaker in knights)) == ("not" not in how)
        case _:
            raise AssertionError(said)
    return claim == (speaker in knights)


def possible_knights(statements: Sequence[Statement]) -> Iterator[set[str]]:
    names = [speaker for speaker, _, _ in statements]
    for kinds in product((True, False), repeat=len(names)):
        knights = {name for name, knight in zip(names, kinds, strict=True) if knight}
        if all(holds(statement, knights) for statement in statements):
            yield knights


@given(a_seed)
def test_knights_and_knaves_have_the_one_solution_given(seed: int) -> None:
    for problem in Logic(seed=seed, limit=10, max_difficulty=4).problems():
        if is_boolean(problem):
            continue
        statements = statements_of(problem.prompt)
        assert problem.difficulty is not None
        assert len(statements) == 2 * problem.difficulty + 1
        (knights,) = possible_knights(statements)
        asked = re.findall(r"[A-Z]\w+", problem.prompt.split("What are ")[1])
        kinds = ["knight" if name in knights else "knave" for name in asked]
        assert " ".join(kinds) == problem.reference


@given(a_seed)
def test_programs_print_the_answer(seed: int) -> None:
    for problem in Code(seed=seed, limit=10).problems():
        program = problem.prompt.split("\n", 1)[1]
        printed: list[int] = []
        names = {"__builtins__": {}, "range": range, "print": printed.append}
        exec(program, names)  # noqa: S102 - a program that our generator wrote
        assert [str(number) for number in printed] == [problem.reference]
        lines = lines_of(problem)
        assert sum(";" in line for line in lines) == problem.difficulty
        final = {name: str(names[name]) for name in "abc"}
        words = lines[-1].split("; ")[-1].split(" ")
        assert dict(zip(words[::2], words[1::2], strict=True)) == final


@given(a_seed)
def test_sorting_solutions_are_true(seed: int) -> None:
    for problem in Sorting(seed=seed, limit=10).problems():
        *numbers, place = map(int, re.findall(r"\d+", problem.prompt))
        (line,) = lines_of(problem)
        assert [int(item.split(" ")[1]) for item in line.split(", ")] == sorted(numbers)[:place]
        assert int(problem.reference) == sorted(numbers)[place - 1]
        assert len(numbers) - 2 <= place <= len(numbers) == 3 * (problem.difficulty or 0)


def test_the_table_of_elements() -> None:
    assert len(ELEMENTS) == len({symbol for symbol, _ in ELEMENTS}) == 118
    known = {1: "H", 6: "C", 26: "Fe", 47: "Ag", 74: "W", 79: "Au", 92: "U", 101: "Md", 118: "Og"}
    assert {number: ELEMENTS[number - 1][0] for number in known} == known
    assert dict(ELEMENTS)["Na"] == "Sodium"


def test_every_fact_that_is_asked_can_be_learned_in_other_words() -> None:
    """A held-out wording asks for a fact that the training split tells in another."""

    def fact(problem: Problem) -> str:
        return problem.id.rsplit("-", 2)[0]

    learned = {fact(problem) for problem in Knowledge().training(40_000, seed=0)}
    asked = {fact(problem) for problem in Knowledge(limit=None).problems()}
    assert asked <= learned


@each_domain
def test_solutions_are_short(domain: Domain) -> None:
    """Serving one must stay cheap: words, digits and signs bound the tokens from above."""
    pieces = re.compile(r"\d|[a-z]+|\S|\n")
    for problem in domain.problems():
        assert len(pieces.findall(problem.solution or "")) < 450
