"""The data sets of mathematics on rows made up here: what is asked, and how it is judged."""

from __future__ import annotations

import json
import pickle
from collections.abc import Mapping, Sequence
from pathlib import Path
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ablate.errors import RecipeError
from ablate.options import build
from ablate.plugins import Registry
from ablate_datasets import BUILT_IN, ablate_register, harness
from ablate_datasets.aime import Aime24, Aime25
from ablate_datasets.gsm8k import Gsm8k, filtered
from ablate_datasets.harness import task_functions
from ablate_datasets.math500 import Math500

Rows = Sequence[Mapping[str, Any]]

WORD_PROBLEMS: Rows = [
    {
        "question": f"A box has {n} pens. How many do {n} boxes have?",
        "answer": f"It is {n} x {n} = <<{n}*{n}={n * n}>>{n * n:,} pens.\n#### {n * n:,}",
    }
    for n in range(30, 42)
]
FORMULAS: Rows = [
    {
        "problem": f"What is $x/{n}$ at $x = 1$?",
        "solution": f"It is $\\boxed{{\\frac{{1}}{{{n}}}}}$.",
        "answer": f"\\frac{{1}}{{{n}}}",
        "subject": subject,
        "level": level,
        "unique_id": f"test/{subject.lower().replace(' ', '_')}/{n}.json",
    }
    for n, (subject, level) in enumerate(
        [("Algebra", 1), ("Algebra", 5), ("Number Theory", 5), ("Geometry", 3)], start=2
    )
]
CONTEST: Rows = [{"ID": "2024-I-1", "Problem": "What is $30 + 3$?", "Answer": "033"}]


def file_of(rows: Rows, path: Path) -> str:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return str(path)


@pytest.fixture
def words(tmp_path: Path) -> str:
    return file_of(WORD_PROBLEMS, tmp_path / "test.jsonl")


@pytest.fixture
def formulas(tmp_path: Path) -> str:
    pytest.importorskip("math_verify")
    return file_of(FORMULAS, tmp_path / "math.jsonl")


def test_they_are_registered_and_picklable() -> None:
    registry = Registry()
    ablate_register(registry)
    assert {d.name for d in BUILT_IN} <= set(registry.all("domain"))
    for domain in (Gsm8k(), Math500(subjects=("Algebra",)), Aime24(), Aime25()):
        assert pickle.loads(pickle.dumps(domain)) == domain  # noqa: S301  # just made
        assert hash(domain) == hash(domain)


# gsm8k


def test_gsm8k_asks_for_a_box(words: str) -> None:
    problems = Gsm8k(path=words, limit=5).problems()
    assert len({p.id for p in problems}) == 5
    for problem in problems:
        row = WORD_PROBLEMS[int(problem.id.removeprefix("gsm8k-"))]
        assert problem.prompt.startswith(row["question"])
        assert problem.prompt.endswith("\\boxed{}.")
        assert problem.reference == row["answer"].rpartition(" ")[2].replace(",", "")
        assert (problem.difficulty, problem.chat, problem.stop) == (1.0, True, ())


def test_gsm8k_judges_by_protocol(words: str) -> None:
    asked = Gsm8k(path=words, limit=1)
    (problem,) = asked.problems()
    n = int(problem.reference)
    assert asked.grade(problem, f"<think>7</think>\\boxed{{{n:,}}}", "stop").outcome == "correct"
    assert asked.grade(problem, f"#### {n + 1}", "stop").outcome == "wrong"
    assert asked.grade(problem, f"so {n}", "length").outcome == "truncated"


def test_gsm8k_as_the_harness_asks_it(words: str, tmp_path: Path) -> None:
    train = file_of(WORD_PROBLEMS[:7], tmp_path / "train.jsonl")
    asked = Gsm8k(path=words, train_path=train, protocol="lm_eval", limit=3)
    problems = asked.problems()
    rng = Random(1234)
    for row, problem in zip(WORD_PROBLEMS, problems, strict=False):
        shown = rng.sample(WORD_PROBLEMS[:7], 5)
        examples = [f"Question: {r['question']}\nAnswer: {r['answer']}\n\n" for r in shown]
        assert problem.prompt == "".join(examples) + f"Question: {row['question']}\nAnswer:"
        assert (problem.chat, problem.max_tokens) == (False, 256)
        assert problem.stop == ("Question:", "</s>", "<|im_end|>")
    assert Gsm8k(path=words, train_path=train, protocol="lm_eval", limit=1).problems() == [
        problems[0]
    ]


@pytest.mark.parametrize(
    ("text", "strict", "flexible"),
    [
        ("#### 900", "correct", "correct"),
        ("#### 900.", "correct", "correct"),
        ("#### 7 #### 900", "wrong", "correct"),
        ("#### 900\n7 left", "correct", "wrong"),
        ("It is $900.", "unparsed", "correct"),
        ("It is 900.0", "unparsed", "wrong"),
        ("nine hundred", "unparsed", "unparsed"),
        ("", "unparsed", "unparsed"),
    ],
)
def test_gsm8k_as_the_harness_judges_it(words: str, text: str, strict: str, flexible: str) -> None:
    for name, outcome in (("strict", strict), ("flexible", flexible)):
        asked, wrong = build(
            Gsm8k, {"path": words, "train_path": words, "protocol": "lm_eval", "filter": name}, "d"
        )
        assert not wrong
        assert asked is not None
        problem = asked.problems()[0]
        assert asked.grade(problem, text, "stop").outcome == outcome
        cut = outcome if outcome == "correct" else "truncated"
        assert asked.grade(problem, text, "length").outcome == cut


@given(st.text(alphabet="#$.,- 0189\n", max_size=60))
def test_gsm8k_filters_never_raise(text: str) -> None:
    strict, flexible = filtered(text, "strict"), filtered(text, "flexible")
    assert strict is None or flexible is not None


def test_gsm8k_trains_on_the_train_split_alone(words: str, tmp_path: Path) -> None:
    assert Gsm8k(path=words).training(3, 0) == ()
    train = file_of(WORD_PROBLEMS[:4], tmp_path / "train.jsonl")
    worked = Gsm8k(path=words, train_path=train).training(9, 0)
    assert sorted(p.id for p in worked) == [f"gsm8k-train-{i}" for i in range(4)]
    for problem in worked:
        assert problem.solution is not None
        assert "<<" not in problem.solution
        assert Gsm8k(path=words).grade(problem, problem.solution, "stop").outcome == "correct"


def test_gsm8k_says_what_is_wrong(words: str, tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match="give train_path"):
        Gsm8k(path=words, protocol="lm_eval").problems()
    few = file_of(WORD_PROBLEMS[:2], tmp_path / "few.jsonl")
    with pytest.raises(RecipeError, match="there are 2"):
        Gsm8k(path=words, train_path=few, protocol="lm_eval").problems()
    with pytest.raises(RecipeError, match="add 'protocol: lm_eval'"):
        Gsm8k(filter="strict")
    folder = str(tmp_path)  # with test.jsonl, and no train.jsonl
    with pytest.raises(RecipeError, match=r"none of train\.jsonl"):
        Gsm8k(path=folder, protocol="lm_eval").problems()
    with pytest.raises(RecipeError, match="row 1 has no number after ####"):
        Gsm8k(path=file_of([{"question": "?", "answer": "5"}], tmp_path / "bad.jsonl")).problems()


# MATH-500


def test_math500_has_subjects_and_levels(formulas: str) -> None:
    problems = Math500(path=formulas).problems()
    assert {p.id for p in problems} == {
        "math500-algebra-2",
        "math500-algebra-3",
        "math500-number_theory-4",
        "math500-geometry-5",
    }
    some = Math500(path=formulas, subjects=("Algebra", "Number Theory"), levels=(5,)).problems()
    assert {(p.id, p.difficulty) for p in some} == {
        ("math500-algebra-3", 5.0),
        ("math500-number_theory-4", 5.0),
    }


def test_math500_judges_formulas(formulas: str) -> None:
    asked = Math500(path=formulas, subjects=("Geometry",))
    (problem,) = asked.problems()
    assert asked.slow
    assert asked.grade(problem, "<think>$1$</think> $\\boxed{1/5}$", "stop").outcome == "correct"
    assert asked.grade(problem, "The final answer is $0.2$.", "length").outcome == "correct"
    assert asked.grade(problem, "\\boxed{\\frac15 + 1}", "stop").outcome == "wrong"


def test_math500_says_what_is_wrong() -> None:
    with pytest.raises(RecipeError) as caught:
        Math500(subjects=("algebra",), levels=(0,), filter="minerva")
    assert caught.value.problems == (
        "subjects: there is no subject 'algebra'. Did you mean 'Algebra'?",
        "levels are 1 to 5, not 0",
        "filter is how lm_eval judges an answer; add 'protocol: lm_eval'",
    )


# AIME


def test_aime_compares_integers(tmp_path: Path) -> None:
    asked = Aime24(path=file_of(CONTEST, tmp_path / "aime.jsonl"))
    (problem,) = asked.problems()
    assert (problem.id, problem.reference) == ("aime24-0", "33")
    assert asked.grade(problem, "\\boxed{033}", "stop").outcome == "correct"
    assert asked.grade(problem, "\\boxed{m+n=33}", "stop").outcome == "correct"
    assert asked.grade(problem, "\\boxed{34}", "stop").outcome == "wrong"


# The harness's own files


def test_what_the_harness_lacks_is_said(
    formulas: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    task_functions.cache_clear()
    contest = file_of(CONTEST, tmp_path / "aime.jsonl")
    for version, why in (("", "needs lm-evaluation-harness"), ("0.4.9.2", "otherwise than 0.4.13")):
        monkeypatch.setattr(harness, "harness_version", lambda version=version: version)
        for domain in (
            Math500(path=formulas, protocol="lm_eval"),
            Aime24(path=contest, protocol="lm_eval"),
        ):
            with pytest.raises(RecipeError, match=why):
                domain.problems()
    task_functions.cache_clear()


def test_statements_name_what_was_asked() -> None:
    assert "seed 1234" in Gsm8k(protocol="lm_eval").statement
    assert "math-verify" in Math500().statement
    assert "Maxwell-Jia/AIME_2024" in Aime24().statement
    assert "max" not in Aime25(path="x.jsonl").origin
