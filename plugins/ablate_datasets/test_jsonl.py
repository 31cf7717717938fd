"""Problems of one's own: which fields hold what, and what is said of rows that cannot be asked."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from ablate.errors import RecipeError
from ablate.options import build
from ablate.sandbox import unavailable
from ablate_datasets.jsonl import Jsonl

ROWS: list[dict[str, Any]] = [
    {"q": "1 + 1?", "a": 2, "level": 1, "key": "x"},
    {"q": "2 + 2?", "a": "4", "level": "2.5", "key": "y"},
]
FIELDS = {"problem": "q", "answer": "a"}


def made(folder: Path, rows: Sequence[Mapping[str, Any]], **options: Any) -> Jsonl:
    path = folder / "x.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    domain, problems = build(Jsonl, {"path": str(path), **FIELDS, **options}, "domains.jsonl")
    assert not problems
    assert domain is not None
    return domain


def test_fields_are_named(tmp_path: Path) -> None:
    domain = made(tmp_path, ROWS, difficulty="level", id="key", grader="numeric")
    one, other = sorted(domain.problems(), key=lambda problem: problem.id)
    assert (one.id, one.domain, one.reference, one.difficulty) == ("jsonl-x", "jsonl", "2", 1.0)
    assert (other.id, other.reference, other.difficulty) == ("jsonl-y", "4", 2.5)
    assert one.prompt == (
        "1 + 1?\n\nPlease reason step by step, and put your final answer within \\boxed{}."
    )
    assert domain.grade(one, r"\boxed{2}", "stop").outcome == "correct"
    assert domain.grade(one, "two", "stop").outcome == "unparsed"
    assert domain.statement.startswith("x.jsonl (sha256 ")
    assert "numeric" in domain.statement


def test_limit_and_seed_choose_which(tmp_path: Path) -> None:
    rows = [{"q": f"{n}?", "a": n} for n in range(20)]
    asked = {seed: made(tmp_path, rows, limit=5, seed=seed).problems() for seed in (0, 1)}
    assert made(tmp_path, rows, limit=9).problems()[:5] == asked[0]
    assert {p.id for p in asked[0]} != {p.id for p in asked[1]}


def test_choices_are_listed(tmp_path: Path) -> None:
    rows = [{"q": "Which?", "a": answer, "c": ["red", "blue"]} for answer in (1, "B", "(b)")]
    domain = made(tmp_path, rows, grader="choice", choices="c")
    for problem in domain.problems():
        assert problem.reference == "B"
        assert problem.prompt.startswith("Which?\n\n(A) red\n(B) blue\n\nPlease")
        assert domain.grade(problem, r"\boxed{B}", "stop").outcome == "correct"
        assert domain.grade(problem, r"\boxed{C}", "stop").outcome == "unparsed"


def test_a_template_names_fields_and_leaves_latex_alone(tmp_path: Path) -> None:
    domain = made(tmp_path, ROWS[:1], template="({level}) {problem} {q} \\boxed{answer} {} {x, y}")
    assert domain.problems()[0].prompt == "(1) 1 + 1? 1 + 1? \\boxed{answer} {} {x, y}"


@pytest.mark.skipif(unavailable() is not None, reason="there is no sandbox here")
def test_an_answer_can_be_a_test_program(tmp_path: Path) -> None:
    domain = made(
        tmp_path, [{"q": "Write f, which doubles.", "a": "assert f(2) == 4"}], grader="code"
    )
    (problem,) = domain.problems()
    grades = [
        domain.grade(problem, f"```python\ndef f(x): return x * {n}\n```", "stop") for n in (2, 3)
    ]
    assert [grade.outcome for grade in grades] == ["correct", "wrong"]


WRONG: list[tuple[dict[str, Any], dict[str, Any], str]] = [
    ({"a": "three"}, {"grader": "numeric"}, "row 2: field 'a': 'three' is not one number"),
    ({"a": " "}, {}, "row 2: field 'a': it is empty"),
    ({"a": [3]}, {}, "row 2: field 'a': must be text or a number, not [3]"),
    ({"q": " "}, {}, "row 2: field 'q' is empty"),
    (
        {"level": "hard"},
        {"difficulty": "level"},
        "row 2: the difficulty must be a number, not 'hard'",
    ),
    ({"level": float("nan")}, {"difficulty": "level"}, "the difficulty must be a number"),
    ({"key": "x"}, {"id": "key"}, "jsonl: two rows have the id 'jsonl-x'"),
    ({}, {"problem": "question"}, "row 1 has no field 'question'; its fields: 'q', 'a'"),
    (
        {},
        {"template": "{probelm}"},
        "no field 'probelm' as the template has it. Did you mean 'prob",
    ),
    ({"a": "C"}, {"grader": "choice", "choices": "c"}, "one of the letters A to B, not C"),
    ({"a": 2}, {"grader": "choice", "choices": "c"}, "one of the letters A to B, not C"),
    ({"a": -1}, {"grader": "choice", "choices": "c"}, "not another"),
    ({"c": 3}, {"grader": "choice", "choices": "c"}, "the choices must be a list of texts"),
    ({"a": "red"}, {"grader": "choice"}, "'red' is not the letter of a choice"),
]


@pytest.mark.parametrize(("change", "options", "said"), WRONG)
def test_what_is_wrong_with_a_row_is_said(
    tmp_path: Path, change: dict[str, Any], options: dict[str, Any], said: str
) -> None:
    row: dict[str, Any] = {**ROWS[0]}
    if options.get("grader") == "choice":
        row |= {"a": "A", "c": ["red", "blue"]}
    with pytest.raises(RecipeError) as raised:
        made(tmp_path, [row, row | {"key": "z"} | change], **options).problems()
    assert said in str(raised.value)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({}, "domains.jsonl.path: a value is needed"),
        ({"path": "x", "grader": "math"}, "there is no choice 'math'"),
        ({"path": "x", "protocol": "lm_eval"}, "no task for a file of your own"),
        ({"path": "x", "choices": "c"}, "choices are for grader choice"),
    ],
)
def test_options_that_do_not_fit_are_refused(options: dict[str, Any], said: str) -> None:
    domain, problems = build(Jsonl, options, "domains.jsonl")
    assert domain is None
    assert said in problems[0]


def test_huge_answers_are_fine(tmp_path: Path) -> None:
    huge = "x" * 10**6
    domain = made(tmp_path, [{"q": "?", "a": huge}])
    grade = domain.grade(domain.problems()[0], f"\\boxed{{{huge}}}", "stop")
    assert grade.outcome == "correct"
    assert len(grade.parsed or "") == 200
