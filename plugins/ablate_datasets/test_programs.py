"""HumanEval, MBPP and LiveCodeBench on made-up rows: what is asked, run, and refused."""

from __future__ import annotations

import base64
import json
import os
import pickle
import zlib
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ablate.errors import RecipeError
from ablate.sandbox import Limits, unavailable
from ablate.types import Problem
from ablate_datasets import programs
from ablate_datasets.harness import harness_version
from ablate_datasets.humaneval import STOPS, HumanEval
from ablate_datasets.livecodebench import FILES, LiveCodeBench
from ablate_datasets.mbpp import Mbpp
from ablate_datasets.packed_tests import unpacked
from ablate_datasets.programs import ProgramDomain

needs_sandbox = pytest.mark.skipif(unavailable() is not None, reason=str(unavailable()))
needs_harness = pytest.mark.skipif(not harness_version(), reason="needs lm-evaluation-harness")

ADD = {
    "task_id": "HumanEval/7",
    "prompt": (
        "import math\nfrom typing import List\n\ndef half(x):\n    return x / 2\n\n"
        'def add(xs: List[int]) -> int:\n    """ Add up.\n    >>> add([1, 2])\n    3\n    """\n'
    ),
    "canonical_solution": "    return sum(xs)\n",
    "test": (
        "\n\nMETADATA = {}\n\n\ndef check(candidate):\n    assert candidate([1, 2]) == 3\n"
        "    assert half(candidate([])) == 0.0\n"
    ),
    "entry_point": "add",
}
MBPP: dict[str, Any] = {
    "task_id": 11,
    "text": "Write a function to double a number.",
    "code": "def double(x):\r\n  return 2 * x",
    "test_list": ["assert double(1) == N", "assert double(2) == 4", "assert double(0) == 0"],
    "test_setup_code": "N = 2",
    "challenge_test_list": [],
}
SANITIZED = {
    "source_file": "x.ipynb",
    "task_id": 12,
    "prompt": "Write a function to halve a number.",
    "code": "def halve(x): return x / 2",
    "test_imports": ["import math"],
    "test_list": ["assert math.isclose(halve(1), .5)", "assert halve(0) == 0"],
}


def packed(tests: Sequence[Mapping[str, str]], version: int = 4) -> str:
    pickled = pickle.dumps(json.dumps(tests), version)
    return base64.b64encode(zlib.compress(pickled)).decode()


def contest(name: str, **fields: Any) -> dict[str, Any]:
    case = {"input": "3\n", "output": "6\n", "testtype": "stdin"}
    hidden = [{"input": f"{n}\n", "output": f"{2 * n}\n", "testtype": "stdin"} for n in (5, 0)]
    return {
        "question_title": "Doubled",
        "question_content": "Print twice the number.",
        "platform": "atcoder",
        "question_id": name,
        "contest_id": "abc1",
        "contest_date": "2024-03-02T00:00:00",
        "starter_code": "",
        "difficulty": "medium",
        "public_test_cases": json.dumps([case]),
        "private_test_cases": packed(hidden),
        "metadata": "{}",
        **fields,
    }


CALLED = contest(
    "2727",
    platform="leetcode",
    contest_date="2023-08-21T00:00:00",
    difficulty="hard",
    starter_code="class Solution:\n    def pair(self, xs: List[int], y: int):\n        ",
    public_test_cases=json.dumps(
        [{"input": "[1, 2]\n3", "output": "[1, 3]", "testtype": "functional"}]
    ),
    private_test_cases=packed([{"input": "[4]\n5", "output": "[4, 5]", "testtype": "functional"}]),
    metadata=json.dumps({"func_name": "pair"}),
)


def write(path: Path, rows: Sequence[Mapping[str, Any]]) -> str:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return str(path)


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ABLATE_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def humaneval(tmp_path: Path) -> HumanEval:
    return HumanEval(path=write(tmp_path / "x.jsonl", [ADD]))


def graded(domain: ProgramDomain, problem: Problem, text: str, ended: Any = "stop") -> Any:
    grade = domain.grade(problem, text, ended)
    return grade.outcome, grade.parsed


# HumanEval


@needs_sandbox
def test_humaneval_by_chat(humaneval: HumanEval) -> None:
    (problem,) = humaneval.problems()
    assert (problem.id, problem.reference, problem.chat) == ("humaneval-7", "2 tests", True)
    assert ADD["prompt"].rstrip() in problem.prompt
    function = "def add(xs):\n    return sum(xs)"
    for text in (
        f"<think>\n```python\nx\n```\n</think>\nHere:\n```python\n{function}\n```\nIt adds.",
        f"```python\nfrom __future__ import annotations\n{function}\n```",
        f"```python\n{function}\n```\nUse it:\n```\nadd([1])\n```",
        f"```python\n{ADD['prompt']}    return sum(xs)\n```",
        "```python\n    return sum(xs)\n```",
        f"~~~py\n{function}\n~~~",
        "1. So:\n   ```python\n   def add(xs):\n       return sum(xs)\n   ```",
        f"```python\n{function}",
        function,
    ):
        assert graded(humaneval, problem, text) == ("correct", "passed"), text
    assert graded(humaneval, problem, f"```python\n{function}\n```", "length")[0] == "correct"
    assert graded(humaneval, problem, f"```python\n{function}", "length") == ("truncated", None)
    assert graded(humaneval, problem, "It adds the numbers.") == ("unparsed", None)
    assert graded(humaneval, problem, "<think> def add(xs): return sum(xs)") == ("unparsed", None)
    outcome, parsed = graded(humaneval, problem, "```python\ndef add(xs): return 3\n```")
    assert outcome == "wrong"
    assert parsed == "failed: AssertionError (line 8 of the tests)"


@needs_sandbox
def test_humaneval_as_the_harness_asks(humaneval: HumanEval) -> None:
    domain = replace(humaneval, protocol="lm_eval")
    (problem,) = domain.problems()
    assert (problem.prompt, problem.chat) == (ADD["prompt"], False)
    assert (problem.stop, problem.max_tokens) == (STOPS, 1024)
    assert graded(domain, problem, "    return sum(xs)") == ("correct", "passed")
    assert graded(domain, problem, "    return sum(xs)", "length")[0] == "correct"
    assert graded(domain, problem, "    return 3")[0] == "wrong"
    assert graded(domain, problem, "    return 3", "length")[0] == "truncated"
    assert graded(domain, problem, "```python\n    return sum(xs)\n```")[0] == "wrong"
    assert graded(domain, problem, "")[0] == "wrong"


@needs_sandbox
def test_a_program_that_sleeps_is_graded_again(
    humaneval: HumanEval, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(programs, "LIMITS", Limits(wall=0.4))
    (problem,) = replace(humaneval, protocol="lm_eval").problems()
    with pytest.raises(TimeoutError):
        replace(humaneval, protocol="lm_eval").grade(
            problem, "    import time; time.sleep(9)", "stop"
        )
    assert humaneval.timed_out == "wrong"


@pytest.mark.extra
@pytest.mark.slow
@needs_sandbox
@pytest.mark.skipif("ABLATE_TEST_DATA" not in os.environ, reason="ABLATE_TEST_DATA names no folder")
@pytest.mark.parametrize("protocol", ["reasoning", "lm_eval"])
def test_humaneval_is_solved_by_its_solutions_and_by_nothing_else(protocol: Any) -> None:
    path = Path(os.environ["ABLATE_TEST_DATA"]) / "humaneval/HumanEval.jsonl"
    rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    domain = HumanEval(path=str(path), protocol=protocol)
    asked = {problem.id: problem for problem in domain.problems()}

    def correct(row: Mapping[str, str], body: str) -> bool:
        signature = row["prompt"][row["prompt"].index(f"def {row['entry_point']}") :]
        text = body if protocol == "lm_eval" else f"```python\n{signature}{body}\n```"
        problem = asked[f"humaneval-{row['task_id'].split('/')[1]}"]
        return domain.grade(problem, text, "stop").outcome == "correct"

    with ThreadPoolExecutor(2) as pool:
        assert sum(pool.map(correct, rows, [row["canonical_solution"] for row in rows])) == 164
        assert sum(pool.map(correct, rows, ["    pass\n"] * 164)) == 0


# MBPP


@needs_sandbox
def test_mbpp_by_chat(tmp_path: Path) -> None:
    domain = Mbpp(path=write(tmp_path / "x.jsonl", [MBPP]))
    (problem,) = domain.problems()
    assert (problem.id, problem.reference) == ("mbpp-11", "3 tests")
    assert all(test in problem.prompt for test in MBPP["test_list"])
    assert graded(domain, problem, "```python\ndef double(x): return x * 2\n```")[0] == "correct"
    assert graded(domain, problem, "```python\ndef double(x): return x + 1\n```")[0] == "wrong"


@needs_sandbox
def test_mbpp_sanitized(tmp_path: Path) -> None:
    domain = Mbpp(path=write(tmp_path / "x.jsonl", [SANITIZED]), subset="sanitized")
    (problem,) = domain.problems()
    assert graded(domain, problem, "```python\ndef halve(x): return x / 2\n```")[0] == "correct"
    with pytest.raises(RecipeError, match="it looks like subset sanitized"):
        replace(domain, subset="full").problems()


@needs_sandbox
@needs_harness
def test_mbpp_as_the_harness_asks(tmp_path: Path) -> None:
    domain = Mbpp(path=write(tmp_path / "x.jsonl", [MBPP]), protocol="lm_eval")
    (problem,) = domain.problems()
    assert problem.prompt.count("[BEGIN]\n") == 4
    assert problem.prompt.count("[DONE]\n\nYou are an expert Python programmer") == 3
    assert problem.prompt.endswith("assert double(0) == 0\n[BEGIN]\n")
    assert (problem.stop, problem.max_tokens, problem.chat) == (("[DONE]",), 256, False)
    # the harness runs no test_setup_code: N is not there
    assert graded(domain, problem, "def double(x): return x * 2")[0] == "wrong"
    assert graded(domain, problem, "N = 2\ndef double(x): return x * 2\n")[0] == "correct"


# LiveCodeBench


@pytest.fixture
def contests(tmp_path: Path) -> LiveCodeBench:
    folder = tmp_path / "lite"
    folder.mkdir()
    for file, rows in zip(FILES, [[contest("abc1_a")], [CALLED]], strict=False):
        write(folder / file, rows)
    return LiveCodeBench(path=str(folder), release="release_v2")


@needs_sandbox
def test_contest_programs_are_judged_by_what_they_print(contests: LiveCodeBench) -> None:
    (problem,) = [p for p in contests.problems() if p.id == "livecodebench-abc1_a"]
    assert (problem.reference, problem.difficulty) == ("3 tests", 2.0)
    assert "standard input" in problem.prompt
    sent = pickle.loads(pickle.dumps(problem))  # noqa: S301
    for body in (
        "print(int(input()) * 2)",
        "n = int(sys.stdin.read())\nprint(f'{2 * n}.00 ')\nexit()",
        "def main():\n    print(2 * int(input()))\nif __name__ == '__main__':\n    main()",
        "print(2 * int(open(0).read()), '\\n')",
    ):
        assert graded(contests, sent, f"```python\n{body}\n```") == ("correct", "passed"), body
    for body, said in (
        ("print(6)", "wrong answer (test 2 of 3)"),
        ("print(0)", "wrong answer (test 1 of 3)"),
        (
            "n = int(input())\nprint(n * 2 if n else 1 / n)",
            "division by zero (line 2 of the program)",
        ),
        ("print(int(input()) * 2 + 1e-9)", "wrong answer (test 1 of 3)"),
        ("raise SystemExit", "wrong answer (test 1 of 3)"),
        ("import os\nos._exit(0)", "wrong answer (test 1 of 3)"),
    ):
        outcome, parsed = graded(contests, sent, f"```python\n{body}\n```")
        assert outcome == "wrong"
        assert said in parsed


@needs_sandbox
def test_contest_functions_are_judged_by_what_they_return(contests: LiveCodeBench) -> None:
    (problem,) = [p for p in contests.problems() if p.id == "livecodebench-2727"]
    assert (problem.reference, problem.difficulty) == ("2 tests", 3.0)
    assert "```python\nclass Solution:" in problem.prompt
    start = "class Solution:\n    def pair(self, xs: List[int], y: int) -> List[int]:\n        "
    for body in ("return [xs[0], y]", "print(1)\n        return xs[0], float(y)"):
        assert graded(contests, problem, f"```python\n{start}{body}\n```")[0] == "correct", body
    for body in ("return [xs[0], y, None]", "return None", "return {xs[0]: y}", "return 1 / 0"):
        assert graded(contests, problem, f"```python\n{start}{body}\n```")[0] == "wrong", body


@needs_sandbox
def test_contests_by_release_and_day(contests: LiveCodeBench) -> None:
    def ids(domain: LiveCodeBench) -> set[str]:
        return {problem.id for problem in domain.problems()}

    assert len(ids(contests)) == 2
    assert ids(replace(contests, release="release_v1")) == {"livecodebench-abc1_a"}
    assert ids(replace(contests, since="2023-08-22")) == {"livecodebench-abc1_a"}
    assert ids(replace(contests, until="2023-08-21")) == {"livecodebench-2727"}
    with pytest.raises(RecipeError, match=r"does not hold test3\.jsonl"):
        ids(replace(contests, release="release_v3"))
    with pytest.raises(RecipeError, match="no contest of release_v2 lies within these days"):
        ids(replace(contests, since="2030-01-01"))


@given(st.text(), st.integers(0, 5))
def test_private_tests_are_read_without_unpickling(text: str, version: int) -> None:
    tests = [{"input": text, "output": text}]
    assert unpacked(packed(tests, version)) == tests
    assert unpacked(json.dumps(tests)) == tests


class Bomb:
    def __reduce__(self) -> tuple[Any, ...]:
        return (pytest.fail, ("it was unpickled",))


@pytest.mark.parametrize(
    "text",
    [
        "!",
        "",
        base64.b64encode(b"x").decode(),
        base64.b64encode(zlib.compress(b"x")).decode(),
        base64.b64encode(zlib.compress(pickle.dumps("[]"))[:-6]).decode(),
        base64.b64encode(zlib.compress(pickle.dumps(Bomb()))).decode(),
        base64.b64encode(zlib.compress(pickle.dumps(["[]", "[]"]))).decode(),
        base64.b64encode(zlib.compress(pickle.dumps("not JSON"))).decode(),
    ],
)
def test_what_is_no_pickled_text_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        unpacked(text)


# Refusals

WRONG: Mapping[str, tuple[type[ProgramDomain], Mapping[str, Any], str]] = {
    "no field": (HumanEval, {k: ADD[k] for k in ADD if k != "test"}, "no field 'test'"),
    "no text": (HumanEval, {**ADD, "test": [1]}, "row 1: test must be text, not [1]"),
    "no definition": (HumanEval, {**ADD, "entry_point": "sub"}, "row 1: prompt does not define"),
    "no list": (Mbpp, {**MBPP, "test_list": "assert 1"}, "row 1: test_list must be a list of"),
    "no tests": (Mbpp, {**MBPP, "test_list": []}, "row 1: test_list must be a list of"),
    "a hardness": (LiveCodeBench, contest("a", difficulty="odd"), "must be easy, medium or hard"),
    "a date": (LiveCodeBench, contest("a", contest_date="May"), "row 1: contest_date must begin"),
    "private": (LiveCodeBench, contest("a", private_test_cases="?"), "row 1: private_test_cases:"),
    "public": (LiveCodeBench, contest("a", public_test_cases="[1]"), "row 1: public_test_cases"),
    "metadata": (LiveCodeBench, contest("a", metadata='{"func_name": 1}'), "row 1: metadata"),
    "missing": (LiveCodeBench, {"question_id": "a"}, "row 1 has no field 'question_content'"),
}


@needs_sandbox
@pytest.mark.parametrize("name", WRONG)
def test_what_is_wrong_with_a_row_is_said(name: str, tmp_path: Path) -> None:
    domain, row, message = WRONG[name]
    with pytest.raises(RecipeError) as raised:
        domain(path=write(tmp_path / "x.jsonl", [row])).problems()
    assert message in str(raised.value)
    assert len(raised.value.problems) == 1


def test_what_the_harness_does_not_have_is_refused() -> None:
    with pytest.raises(RecipeError, match="no task livecodebench: use protocol reasoning"):
        LiveCodeBench(protocol="lm_eval")
    with pytest.raises(RecipeError, match="sanitized"):
        Mbpp(protocol="lm_eval", subset="sanitized")
    with pytest.raises(RecipeError, match="since must be a day such as 2024-10-31, not 'May'"):
        LiveCodeBench(since="May")


def test_without_a_sandbox_no_problem_is_asked(
    humaneval: HumanEval, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(programs, "unavailable", lambda: "code is run in a sandbox: get one")
    with pytest.raises(RecipeError, match="code is run in a sandbox: get one"):
        humaneval.problems()
