"""GPQA, MMLU-Pro and BIG-Bench Hard on made-up rows: what is asked, in which order, how graded."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from ablate.errors import RecipeError
from ablate.options import build
from ablate.types import Problem
from ablate_datasets.bbh import TASKS, Bbh
from ablate_datasets.gpqa import Gpqa
from ablate_datasets.harness import harness_version
from ablate_datasets.mmlu_pro import SUBJECTS, MmluPro

ESTIMATES = ("Easy undergraduate level (or easier)", "Post-graduate level or harder", "Unknown")


def write(path: Path, rows: Sequence[Mapping[str, Any]]) -> str:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return str(path)


def gpqa_row(n: int) -> dict[str, str]:
    wrong = {f"Incorrect Answer {k}": f"wrong {k}" for k in (1, 2, 3)}
    return wrong | {
        "Record ID": f"rec{n}",
        "Question": f"Secret question {n}?",
        "Correct Answer": "right\n",
        "Writer's Difficulty Estimate": ESTIMATES[n % 3],
    }


@pytest.fixture(scope="module")
def gpqa(tmp_path_factory: pytest.TempPathFactory) -> Gpqa:
    folder = tmp_path_factory.mktemp("gpqa")
    write(folder / "gpqa_diamond.jsonl", [gpqa_row(n) for n in range(40)])
    return Gpqa(path=str(folder))


def lettered(problem: Problem) -> dict[str, str]:
    lines = [line for line in problem.prompt.splitlines() if line.startswith("(")]
    return {line[1]: line[4:] for line in lines}


def test_gpqa_lists_the_right_answer_under_its_letter(gpqa: Gpqa) -> None:
    for problem in gpqa.problems():
        choices = lettered(problem)
        assert sorted(choices.values()) == ["right", "wrong 1", "wrong 2", "wrong 3"]
        assert choices[problem.reference] == "right"
        assert problem.chat
        answer = f"I see.</think>So \\boxed{{\\text{{({problem.reference})}}}}"
        assert gpqa.grade(problem, answer, "stop").outcome == "correct"


def test_gpqa_shuffles_each_question_by_seed_and_record(gpqa: Gpqa, tmp_path: Path) -> None:
    order = {p.id: p.reference for p in gpqa.problems()}
    assert set(order.values()) == set("ABCD")
    assert {p.id: p.reference for p in gpqa.problems()} == order
    assert {p.id: p.reference for p in replace(gpqa, seed=1).problems()} != order
    moved = write(tmp_path / "x.jsonl", [gpqa_row(n) for n in reversed(range(40))])
    by_prompt = {p.prompt for p in replace(gpqa, path=moved).problems()}
    assert by_prompt == {p.prompt for p in gpqa.problems()}
    assert "order drawn for each question from seed 0" in gpqa.statement


def test_gpqa_shows_its_text_in_prompts_only(gpqa: Gpqa) -> None:
    for problem in gpqa.problems():
        assert "ecret" not in problem.id
        assert problem.reference in "ABCD"
    assert {p.difficulty for p in gpqa.problems()} == {1.0, 4.0, None}


def test_gpqa_as_the_harness_asks(gpqa: Gpqa) -> None:
    domain = replace(gpqa, protocol="lm_eval", limit=3)
    problem, *_ = domain.problems()
    assert [p.id for p in domain.problems()] == [f"gpqa-diamond-{n}" for n in range(3)]
    assert problem.prompt.endswith("Let's think step by step: ")
    assert (problem.chat, problem.stop, problem.max_tokens) == (False, ("</s>",), 256)
    outcomes = {
        f"so ({problem.reference})": "correct",
        "It is right.": "correct",
        "It is wrong 1.": "wrong",
        "no": "unparsed",
    }
    found = {text: domain.grade(problem, text, "stop").outcome for text in outcomes}
    assert found == outcomes
    assert domain.grade(problem, "no", "length").outcome == "truncated"
    strict = replace(domain, filter="strict")
    assert strict.grade(problem, f"({problem.reference})", "stop").outcome == "unparsed"
    with pytest.raises(RecipeError, match="add 'protocol: lm_eval'"):
        replace(gpqa, filter="strict")


def mmlu_row(n: int) -> dict[str, Any]:
    return {
        "question_id": 100 + n,
        "question": f"Question {n}?",
        "options": [f"option {k}" for k in range(10)],
        "answer": "ABCDEFGHIJ"[n % 10],
        "category": SUBJECTS[n % len(SUBJECTS)],
        "cot_content": "A: Let's think step by step. The answer is (A).",
    }


@pytest.fixture(scope="module")
def mmlu_pro(tmp_path_factory: pytest.TempPathFactory) -> MmluPro:
    folder = tmp_path_factory.mktemp("mmlu")
    write(folder / "test.jsonl", [mmlu_row(n) for n in range(70)])
    write(folder / "validation.jsonl", [mmlu_row(n) for n in range(70, 140)])
    return MmluPro(path=str(folder))


def test_mmlu_pro_asks_the_subjects_wanted(mmlu_pro: MmluPro) -> None:
    assert len(mmlu_pro.problems()) == 70
    law = replace(mmlu_pro, subjects=("law",)).problems()
    assert {p.id for p in law} == {f"mmlu_pro-{108 + 14 * n}" for n in range(5)}
    assert all("(J) option 9" in p.prompt for p in law)
    made, problems = build(MmluPro, {"subjects": ["lwa", "math"]}, "domains.mmlu_pro")
    assert made is None
    assert problems == [
        "domains.mmlu_pro: subjects: there is no subject 'lwa'. Did you mean 'law'?"
    ]
    made, _ = build(MmluPro, {"subjects": ["law"]}, "domains.mmlu_pro")
    assert made is not None
    assert hash(made)


def test_mmlu_pro_as_the_harness_asks(mmlu_pro: MmluPro) -> None:
    domain = replace(mmlu_pro, protocol="lm_eval", limit=14)
    problems = domain.problems()
    assert [p.id for p in problems] == [f"mmlu_pro-{100 + n}" for n in range(14)]  # of each subject
    assert problems[3].prompt.count("Question:\n") == 6
    assert "about computer science." in problems[3].prompt
    assert domain.grade(problems[3], "so the answer is (D).", "stop").outcome == "correct"
    assert domain.grade(problems[3], "so the answer is K", "stop").outcome == "unparsed"
    one_file = replace(domain, path=f"{domain.path}/test.jsonl")
    with pytest.raises(RecipeError, match=r"a folder with files test\.\* and validation\.\*"):
        one_file.problems()


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"answer": "K"}, "row 1: the answer must be one of the letters A to J, not K"),
        ({"options": "A, B"}, "row 1: the choices must be a list of texts"),
        ({"options": ["a"]}, "row 1: there must be 2 to 26 choices, not 1"),
        ({"category": "maths"}, "row 1: there is no category 'maths'. Did you mean 'math'?"),
    ],
)
def test_rows_that_cannot_be_asked_are_refused(
    tmp_path: Path, change: dict[str, Any], said: str
) -> None:
    path = write(tmp_path / "x.jsonl", [mmlu_row(0) | change])
    with pytest.raises(RecipeError) as raised:
        MmluPro(path=path).problems()
    assert said in str(raised.value)


@pytest.fixture(scope="module")
def bbh(tmp_path_factory: pytest.TempPathFactory) -> Bbh:
    """As the repository of its authors has it: a JSON file for each task."""
    folder = tmp_path_factory.mktemp("bbh")
    targets = {"boolean_expressions": "True", "dyck_languages": "] >", "snarks": "(B)"}
    for task, target in targets.items():
        asked = "Which?\nOptions:\n(A) one\n(B) two" if target == "(B)" else "What is it?"
        rows = [{"input": f"{asked} {n}", "target": target} for n in range(4)]
        (folder / f"{task}.json").write_text(json.dumps({"canary": "x", "examples": rows}))
    return Bbh(path=str(folder), task=tuple(targets))


@pytest.mark.parametrize(
    ("task", "text", "outcome"),
    [
        ("boolean_expressions", r"\boxed{\text{true}}", "correct"),
        ("boolean_expressions", "The answer is False.", "wrong"),
        ("boolean_expressions", "Who\nknows", "unparsed"),
        ("dyck_languages", r"\boxed{]>}", "correct"),
        ("snarks", r"\boxed{B}", "correct"),
        ("snarks", "So the answer is (B) two 1.", "correct"),
        ("snarks", r"\boxed{C}", "unparsed"),
    ],
)
def test_bbh_grades_letters_and_text(bbh: Bbh, task: str, text: str, outcome: str) -> None:
    problem = replace(bbh, task=task).problems()[0]
    assert problem.id.startswith(f"bbh-{task}-")
    assert bbh.grade(problem, text, "stop").outcome == outcome
    cut = {"unparsed": "truncated"}.get(outcome, outcome)
    assert bbh.grade(problem, text, "length").outcome == cut


def test_bbh_asks_several_tasks(bbh: Bbh) -> None:
    assert len({p.id for p in bbh.problems()}) == 12
    assert bbh.statement.startswith(f"{Path(str(bbh.path)).name} (test split, sha256 ")
    assert Bbh().tasks == TASKS
    assert len(TASKS) == 27
    with pytest.raises(RecipeError, match="folder with a file for each task"):
        replace(bbh, path=f"{bbh.path}/snarks.json").problems()


@pytest.mark.parametrize(
    ("task", "said"),
    [
        ("navigat", "there is no task 'navigat'. Did you mean 'navigate'?"),
        (["snarks", "snarks"], "name at least one, and none twice"),
        ([], "name at least one"),
        (3, "there is no task 3"),
    ],
)
def test_bbh_names_unknown_tasks(task: object, said: str) -> None:
    made, problems = build(Bbh, {"task": task}, "domains.bbh")
    assert made is None
    assert said in problems[0]


@pytest.mark.skipif(bool(harness_version()), reason="the harness is installed")
def test_bbh_needs_the_harness_for_its_examples(bbh: Bbh) -> None:
    with pytest.raises(RecipeError, match=r'pip install "ablate-inference\[lm-eval\]"'):
        replace(bbh, protocol="lm_eval").problems()
