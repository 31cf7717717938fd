"""reasoning-gym as a domain: where an answer stands, what is drawn, and what counts as right."""

from __future__ import annotations

import json
import pickle
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ablate.cli import main
from ablate.errors import RecipeError
from ablate_reasoning_gym import SPACING, ReasoningGym, _difficulty
from ablate_reasoning_gym.answer import last_line, stated
from ablate_reasoning_gym.draw import NONSENSE, draw
from ablate_reasoning_gym.drawn import Drawn, Wanted
from ablate_reasoning_gym.guards import harmless
from ablate_reasoning_gym.library import REFUSED, Task, load
from ablate_reasoning_gym.packed import pack, unpack

RECIPE = """
name: small
model: tiny-reasoner
engine: local
domains: {{reasoning_gym: {options}}}
workload: {{arrival: batch, concurrency: 2}}
factors: {{decode: [ngram]}}
"""


def plus_one(answer: str) -> str:
    return str(int(answer) + 1)


# An answer that is not right, made from one that is. The tautology gets a quarter of the score.
WRONG: Mapping[str, Callable[[str], str]] = {
    "base_conversion": lambda answer: f"{answer}1",
    "chain_sum": plus_one,
    "countdown": lambda answer: f"{answer} + 1",
    "gcd": plus_one,
    "graph_color": lambda answer: answer.replace("1", "2"),
    "n_queens": lambda answer: answer.replace("Q", "_", 1),
    "polynomial_multiplication": lambda answer: f"{answer} + 1",
    "propositional_logic": lambda _: "(P ∨ ¬P)",  # noqa: RUF001
    "simple_integration": lambda answer: f"2*({answer}) + x",
    "word_sorting": lambda answer: ", ".join(answer.split(", ")[::-1]),
}


@pytest.fixture(autouse=True, scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ABLATE_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(scope="module")
def library() -> Any:
    return pytest.importorskip("reasoning_gym.factory")


@pytest.fixture(scope="module")
def gcd(library: Any) -> ReasoningGym:
    return ReasoningGym(task="gcd", limit=5, seed=1)


def some(task: str, limit: int | None, seed: int = 0, **options: Any) -> Drawn:
    """Items of a task, drawn in this process."""
    return draw(Wanted(task, options, seed * SPACING, limit))


def questions(drawn: Drawn) -> list[str]:
    return [item.question for item in drawn.items.values()]


# Without the library


def test_planning_imports_nothing_heavy() -> None:
    code = f"""
import sys
sys.path[:] = {sys.path!r}
import ablate_reasoning_gym
from ablate.plugins import Registry
registry = Registry()
ablate_reasoning_gym.ablate_register(registry)
assert list(registry.all("domain")) == ["reasoning_gym"]
heavy = {{"torch", "numpy", "sympy", "reasoning_gym"}} & set(sys.modules)
sys.exit(f"imported {{heavy}}" if heavy else 0)
"""
    subprocess.run([sys.executable, "-c", code], check=True)  # noqa: S603


def test_a_missing_library_is_an_error_with_its_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "reasoning_gym", None)
    with pytest.raises(RecipeError, match=r'pip install "ablate-inference\[reasoning-gym\]"'):
        ReasoningGym(task="gcd", seed=3)


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("so <answer> 42 </answer> it is", "42"),
        ("<answer>1</answer> no: <answer>2</answer>", "2"),
        ("<answer> I write <answer>3</answer>", "3"),
        ("<answer>1 2\n3 4</answer>", "1 2\n3 4"),
        (r"<answer>\boxed{5}</answer>", "5"),
        (r"$\boxed{6}$ or \boxed{x^{2}}", "x^{2}"),
        (r"\boxed{1", None),
        ("<answer></answer>", None),
        ("<answer>7", None),
        ("8", None),
        ("", None),
    ],
)
def test_answers_that_are_marked(text: str, answer: str | None) -> None:
    assert stated(text) == answer


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("It is\n 42 \n\n", "42"),
        ("<answer>1\n2", "1\n2"),
        ("<answer></answer>", None),
        ("<answer></answer> 3", "3"),
        (" \n", None),
    ],
)
def test_answers_that_are_not_marked(text: str, answer: str | None) -> None:
    assert last_line(text) == answer


@pytest.mark.parametrize(
    ("said", "difficulty"),
    [
        (3, 3.0),
        ({"length": 10}, 10.0),
        ({"value": (1, 10)}, None),
        ({"width": 3, "height": 4}, None),
        ({"hard": True}, None),
        (None, None),
    ],
)
def test_difficulty_is_one_number_or_none(said: object, difficulty: float | None) -> None:
    assert _difficulty({"metadata": {"difficulty": said}}) == difficulty
    assert _difficulty({"metadata": {}}) is None


@pytest.mark.parametrize(
    ("task", "answer"),
    [
        ("spiral_matrix", "9**9**9**9"),
        ("n_queens", "exit()"),
        ("countdown", "9**9**9**9"),
        ("countdown", "((9**99)**99)"),
        ("countdown", "1e999999999"),
        ("countdown", "(" * 3000),
        ("countdown", "a " * 4000),
        ("simple_integration", "__import__('os')"),
        ("simple_integration", "x.real"),
        ("polynomial_multiplication", "10^10^10"),
        ("coin_flip", "1e999999999"),
        ("complex_arithmetic", "nan + 1i"),
        ("gcd", "9" * 100_000),
    ],
)
def test_answers_that_would_do_harm_are_kept_from_scorers(task: str, answer: str) -> None:
    began = time.monotonic()
    assert not harmless(answer, task)
    assert time.monotonic() - began < 5


plain: st.SearchStrategy[object] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner) | st.lists(inner).map(tuple) | st.dictionaries(st.text(), inner),
    max_leaves=20,
)


@given(
    plain | st.sets(st.integers()) | st.dictionaries(st.integers() | st.tuples(st.text()), plain)
)
def test_items_come_back_from_json_as_they_were(value: object) -> None:
    assert unpack(json.loads(json.dumps(pack(value)))) == value


def test_what_cannot_be_kept_is_no_item() -> None:
    with pytest.raises(TypeError, match="holds a object"):
        pack({"metadata": [object()]})


# With it


@pytest.mark.extra
def test_problems_are_asked_and_judged(gcd: ReasoningGym) -> None:
    problems = gcd.problems()
    assert [p.id for p in problems] == [f"reasoning_gym-gcd-1-{i}" for i in range(5)]
    assert len({p.prompt for p in problems}) == 5
    for problem in problems:
        assert problem.prompt.endswith("between <answer> and </answer>.")
        for text in ("<answer>{}</answer>", "\\boxed{{{}}}", "So it is\n{}"):
            right, wrong = (
                gcd.grade(problem, f"<think>\n1\n</think>\n{text.format(answer)}", "stop")
                for answer in (problem.reference, plus_one(problem.reference))
            )
            assert (right.outcome, right.parsed) == ("correct", problem.reference)
            assert wrong.outcome == "wrong"


@pytest.mark.extra
def test_what_is_cut_off_answers_only_where_it_says_so(gcd: ReasoningGym) -> None:
    problem = gcd.problems()[0]
    right = problem.reference
    for text in (f"<think>{right}", f"It is\n{right}", f"<answer>{right}"):
        assert gcd.grade(problem, text, "length").outcome == "truncated"
    assert gcd.grade(problem, f"<answer>{right}</answer> as", "length").outcome == "correct"
    assert gcd.grade(problem, "<think>1</think>\n", "stop").outcome == "unparsed"


@pytest.mark.extra
def test_it_can_be_sent_to_a_trial(gcd: ReasoningGym) -> None:
    sent = pickle.loads(pickle.dumps(gcd))  # noqa: S301
    assert sent == gcd
    assert hash(sent) == hash(gcd)
    assert sent.problems() == gcd.problems()


@pytest.mark.extra
@pytest.mark.parametrize("task", sorted(WRONG))
def test_only_the_full_score_is_right(task: str, library: Any) -> None:
    scorer = load(task, {}, 0)
    items = some(task, 6).items.values()
    assert len(items) == 6
    for item in items:
        assert scorer.accepts(item.reference.strip(), item.entry)
        for answer in (WRONG[task](item.reference), NONSENSE, "", "\0"):
            assert not scorer.accepts(answer, item.entry)


@pytest.mark.extra
def test_a_scorer_that_raises_has_not_accepted(library: Any) -> None:
    scorer = load("prime_factorization", {}, 0)
    entry = next(iter(some("prime_factorization", 1).items.values())).entry
    with pytest.raises(ValueError, match="invalid literal"):
        scorer.dataset.score_answer(answer="two", entry=entry)
    assert not scorer.accepts("two", entry)


@pytest.mark.extra
def test_two_seeds_share_no_item(library: Any) -> None:
    def made(seed: int) -> set[str]:
        dataset = library.create_dataset("chain_sum", seed=seed, size=50)
        return {dataset[i]["question"] for i in range(50)}

    assert len(made(7) & made(8)) == 49
    one, other = (set(questions(some("chain_sum", 50, seed, min_terms=5))) for seed in (7, 8))
    assert len(one) == len(other) == 50
    assert not one & other


@pytest.mark.extra
@pytest.mark.parametrize("task", ["acre", "chain_sum", "gsm_symbolic", "list_functions"])
def test_a_larger_limit_keeps_the_first_items(task: str, library: Any) -> None:
    """Beyond a data set's size, too, and in tasks that plan a whole data set ahead."""
    many = some(task, 510 if task == "chain_sum" else 30).items
    few = some(task, 7).items
    assert list(few.items()) == list(many.items())[:7]
    assert len({item.question for item in many.values()}) == len(many)


@pytest.mark.extra
def test_a_question_comes_once(library: Any) -> None:
    all_there_are = some("gcd", None, max_value=3)
    assert len(set(questions(all_there_are))) == len(all_there_are.items) == 9
    assert max(all_there_are.items) > 8
    assert all_there_are.refusal is None


@pytest.mark.extra
def test_zero_without_a_digit_is_not_asked(library: Any) -> None:
    drawn = some("base_conversion", None, max_value=1)
    assert drawn.refusal == "an item has no question or no answer"
    assert drawn.items
    for item in drawn.items.values():
        assert item.reference
        assert item.entry["metadata"]["source_repr"]


@pytest.mark.extra
def test_an_example_is_the_reference_where_several_answers_are_right(library: Any) -> None:
    for item in some("propositional_logic", 5).items.values():
        assert item.entry["answer"] is None
        assert item.reference == item.entry["metadata"]["example_answer"]


@pytest.mark.slow
@pytest.mark.extra
def test_the_hash_seed_changes_nothing(
    library: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from ablate_reasoning_gym.drawn import drawn

    made = []
    for seed in ("1", "2"):
        monkeypatch.setenv("PYTHONHASHSEED", seed)
        monkeypatch.setenv("ABLATE_CACHE", str(tmp_path / seed))
        made.append(drawn(Wanted("isomorphic_strings", {}, 0, 20)))
    assert made[0] == made[1]


@pytest.mark.extra
@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"task": "gdc"}, "there is no task 'gdc'. Did you mean 'gcd'?"),
        ({"options": {"max_valeu": 5}}, "options.max_valeu: .* Did you mean 'max_value'?"),
        ({"options": {"seed": 5}}, "options.seed: this is set by the domain's own 'seed'"),
        ({"options": {"size": 5}}, "options.size: this is set by the domain's own 'limit'"),
        ({"options": {"min_numbers": 1}}, "gcd refuses .*: min_numbers must be at least 2"),
        ({"options": {"max_value": "x"}}, "gcd refuses {'max_value': 'x'}: TypeError: "),
        ({"task": "puzzle24"}, "'puzzle24' cannot be asked: its scorer accepts solutions of"),
        ({"seed": -1}, "seed must be between 0 and 4095, not -1"),
        ({"task": "composite"}, "options.datasets: must be a list of tasks, got None"),
        (
            {"task": "composite", "options": {"datasets": [{"name": "gcd"}, {"name": "boxnet"}]}},
            r"options.datasets\[1\]: task 'boxnet' cannot be asked",
        ),
        (
            {
                "task": "composite",
                "options": {"datasets": [{"name": "gcd", "config": {"seed": 1}}]},
            },
            r"options.datasets\[0\].config.seed: this is set",
        ),
        (
            {"task": "composite", "options": {"datasets": [{"task": "gcd"}]}},
            r"options.datasets\[0\].task: there is no such key",
        ),
    ],
)
def test_what_is_wrong_is_said(options: dict[str, Any], message: str, library: Any) -> None:
    with pytest.raises(RecipeError, match=message):
        ReasoningGym(**{"task": "gcd", **options})


@pytest.mark.extra
def test_several_tasks_are_a_composite(library: Any) -> None:
    parts = [{"name": "gcd"}, {"name": "chain_sum", "weight": 2, "config": {"max_terms": 3}}]
    scorer: Task = load("composite", {"datasets": parts}, 0)
    items = some("composite", 12, datasets=parts).items.values()
    assert {item.entry["metadata"]["source_dataset"] for item in items} == {"gcd", "chain_sum"}
    assert all(scorer.accepts(item.reference, item.entry) for item in items)
    assert not any(scorer.accepts(plus_one(item.reference), item.entry) for item in items)


@pytest.mark.extra
@pytest.mark.parametrize(
    ("options", "code", "message"),
    [
        ("{task: gcd, limit: 5, seed: 1}", 0, "reasoning_gym (5 problems)"),
        ("{task: gcd, limit: 10, options: {max_value: 3}}", 2, "has only 9 different problems"),
        ("{task: gcd, limit: x}", 2, "domains.reasoning_gym.limit: must be"),
        ("{limit: 5}", 2, "domains.reasoning_gym.task: a value is needed"),
        ("{task: gdc}", 2, "domains.reasoning_gym: there is no task 'gdc'"),
    ],
)
def test_a_recipe_is_planned(
    options: str,
    code: int,
    message: str,
    library: Any,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text(RECIPE.format(options=options), encoding="utf-8")
    assert main(["plan", str(recipe)]) == code
    captured = capsys.readouterr()
    said = captured.err if code else captured.out
    assert message in " ".join(said.split())
    assert "Traceback" not in captured.err


@pytest.mark.slow
@pytest.mark.extra
@pytest.mark.filterwarnings("ignore")
def test_every_task_works_or_is_refused(library: Any) -> None:
    for task in sorted(set(library.DATASETS) - {*REFUSED, "composite"}):
        scorer = load(task, {}, 0)
        items = some(task, 2).items.values()
        assert len(items) == 2, task
        for item in items:
            assert scorer.accepts(item.reference.strip(), item.entry), task
            assert not scorer.accepts(NONSENSE, item.entry), task
    assert set(library.DATASETS) >= set(REFUSED)
