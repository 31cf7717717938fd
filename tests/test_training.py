"""Training: what is learned, and that a run can be stopped and repeated."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from transformers import AutoTokenizer, LlamaForCausalLM

import ablate
from ablate.domains import Arithmetic
from training.curve import spaced, table
from training.data import (
    FIRST_REACH,
    GROWING_POOLS,
    IGNORED,
    LAST_REACH,
    at_once,
    batches,
    encode,
    pool,
    reach,
)
from training.shapes import SHAPES, fresh
from training.tokenizer import build, save, shared
from training.train import Settings, train

MODELS = Path(ablate.__file__).parent / "models"
TOKENIZER = shared()


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """So that sums have one order and two runs give the same weights."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def settings(out: Path, tokens: float, **changed: Any) -> Settings:
    given: dict[str, Any] = {
        "model": "draft",
        "seed": 1,
        "batch_tokens": 512,
        "accumulate": 1,
        "rate": 1.0,
    }
    fixed: dict[str, Any] = {"export_minutes": 5.0, "compile": False, "device": "cpu"}
    return Settings(out=out, tokens=tokens, **(given | fixed | changed))


def weights(out: Path) -> dict[str, torch.Tensor]:
    return load_file(out / "model" / "model.safetensors")


def test_the_shipped_models_share_one_tokenizer(tmp_path: Path) -> None:
    save(TOKENIZER, tmp_path)
    for name in ("tokenizer.json", "tokenizer_config.json", "chat_template.jinja"):
        expected = (tmp_path / name).read_text()
        assert {(MODELS / f"tiny-{model}" / name).read_text() for model in SHAPES} == {expected}


def test_a_new_tokenizer_has_the_same_pieces_apart_from_their_order() -> None:
    new, old = build(), TOKENIZER
    assert len(new) == len(old) == 512
    assert len(set(new.get_vocab()) & set(old.get_vocab())) > 490
    assert new.all_special_tokens == old.all_special_tokens
    assert new.chat_template == old.chat_template


@pytest.mark.parametrize("model", SHAPES)
def test_shapes_are_those_of_the_shipped_models(model: str) -> None:
    shipped = LlamaForCausalLM.from_pretrained(MODELS / f"tiny-{model}")
    expected = {name: p.shape for name, p in fresh(model, TOKENIZER).named_parameters()}
    assert {name: p.shape for name, p in shipped.named_parameters()} == expected


def test_the_same_seed_gives_the_same_model(tmp_path: Path) -> None:
    for name in ("one", "other"):
        train(settings(tmp_path / name, 2e3))
    one, other = weights(tmp_path / "one"), weights(tmp_path / "other")
    assert all(torch.equal(one[name], other[name]) for name in one)


def test_a_stopped_run_goes_on_where_it_was(tmp_path: Path) -> None:
    before = train(settings(tmp_path, 2e3))
    halfway = weights(tmp_path)
    after = train(settings(tmp_path, 4e3))
    assert before.tokens >= 2e3
    assert after.tokens >= 4e3
    assert after.steps > before.steps
    assert after.pools > before.pools
    assert not all(torch.equal(halfway[name], w) for name, w in weights(tmp_path).items())
    assert train(settings(tmp_path, 4e3)).tokens == after.tokens


def test_an_export_can_be_loaded(tmp_path: Path) -> None:
    train(settings(tmp_path, 1e3))
    model = LlamaForCausalLM.from_pretrained(tmp_path / "model")
    assert model.dtype == torch.bfloat16
    tokenizer = AutoTokenizer.from_pretrained(tmp_path / "model")
    assert tokenizer.get_vocab() == TOKENIZER.get_vocab()


def test_loss_falls(tmp_path: Path) -> None:
    train(settings(tmp_path, 26e3, batch_tokens=256))
    curve = (tmp_path / "curve.jsonl").read_text().splitlines()
    losses = [json.loads(line)["loss"] for line in curve]
    assert len(losses) >= 2
    assert losses[-1] < losses[0]


def test_the_curve_of_a_resumed_run_has_means_too(tmp_path: Path) -> None:
    """What was summed up when a run was stopped is lost; the rest is no tenth of a loss."""
    small = {"batch_tokens": 128}
    steps = train(settings(tmp_path, 10.5e3, **small)).steps
    assert steps % 50 > 25
    train(settings(tmp_path, 14e3, **small))
    first, *_ = map(json.loads, (tmp_path / "curve.jsonl").read_text().splitlines()[steps // 50 :])
    assert first["loss"] > 3


def test_a_curve_has_no_points_from_before_a_run_was_killed(tmp_path: Path) -> None:
    """What came after the latest checkpoint is learned again, and noted again."""
    steps = train(settings(tmp_path, 2e3)).steps
    lost = {"loss": 9.0, "tokens": 9e9, "seconds": 1.0, "steps": steps + 1}
    (tmp_path / "curve.jsonl").write_text(json.dumps(lost) + "\n")
    train(settings(tmp_path, 2e3))
    assert (tmp_path / "curve.jsonl").read_text() == ""


def test_only_the_answer_is_learned() -> None:
    problems = Arithmetic().training(20, seed=3)
    seen = set()
    for batch in batches(problems, TOKENIZER, seed=0, tokens=600):
        assert batch.ids.numel() <= 600
        for ids, labels in zip(batch.ids, batch.labels, strict=True):
            learned = labels != IGNORED
            assert torch.equal(ids[learned], labels[learned])
            seen.add(TOKENIZER.decode(labels[learned]))
    assert seen == {f"{problem.solution}<|im_end|>" for problem in problems}


def test_the_ordinary_model_learns_to_answer_at_once() -> None:
    problems = [at_once(problem) for problem in pool(seed=0)]
    answers = {str(problem.solution) for problem in problems}
    assert not any("<" in answer for answer in answers)
    assert max(len(e.ids) - e.prompt for e in encode(TOKENIZER, problems)) <= 12


def test_the_pool_has_every_domain_and_another_seed_another_pool() -> None:
    one, other = pool(seed=1), pool(seed=2)
    assert {p.domain for p in one} == {
        "algebra", "arithmetic", "code", "knowledge", "logic", "sorting"
    }  # fmt: skip
    assert {p.prompt for p in one if p.domain == "code"}.isdisjoint({p.prompt for p in other})


def test_difficulties_grow_with_the_pools() -> None:
    reached = [reach(pools) for pools in range(GROWING_POOLS + 10)]
    assert reached == sorted(reached)
    assert (reached[0], reached[-1]) == (FIRST_REACH, LAST_REACH)
    generated = [p for p in pool(1, FIRST_REACH) if p.domain != "knowledge"]
    assert {p.difficulty for p in generated} == set(range(1, FIRST_REACH + 1))


def test_batches_of_an_update_count_together(tmp_path: Path) -> None:
    one = train(settings(tmp_path / "one", 4e3))
    three = train(settings(tmp_path / "three", 4e3, accumulate=3))
    assert three.steps < one.steps
    assert three.tokens >= 4e3


def test_a_curve_becomes_a_table() -> None:
    points = [{"loss": 4 / n, "tokens": n * 1e6, "seconds": 60 * n} for n in (1, 2, 3, 4)]
    lines = [json.dumps(point) for point in points]
    assert [point["tokens"] for point in spaced(lines, rows=2)] == [2e6, 4e6]
    assert table(spaced(lines)).splitlines()[2:] == [
        "| 1.0 | 1 | 4.0000 |",
        "| 2.0 | 2 | 2.0000 |",
        "| 3.0 | 3 | 1.3333 |",
        "| 4.0 | 4 | 1.0000 |",
    ]
