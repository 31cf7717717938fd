"""The shipped models: what they can do, and what their folders may hold."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors import safe_open
from transformers import AutoModelForCausalLM, AutoTokenizer, PreTrainedTokenizerBase

import ablate
from ablate.domains import Algebra, Arithmetic, Code, Knowledge, Logic, Sorting
from ablate.domains.base import Domain
from ablate.types import Problem

MODELS = Path(ablate.__file__).parent / "models"
REASONER, LLM, DRAFT = MODELS / "tiny-reasoner", MODELS / "tiny-llm", MODELS / "tiny-draft"
FOLDERS = (REASONER, LLM, DRAFT)
each_model = pytest.mark.parametrize("folder", FOLDERS, ids=lambda path: str(path.name))
EASY = (
    Arithmetic(max_difficulty=5),
    Algebra(max_difficulty=5),
    Logic(max_difficulty=5),
    Code(max_difficulty=5),
    Sorting(max_difficulty=5),
    Knowledge(),
)
each_domain = pytest.mark.parametrize("domain", EASY, ids=lambda domain: str(domain.name))

TOKENIZER = AutoTokenizer.from_pretrained(REASONER)


def chat(tokenizer: PreTrainedTokenizerBase, prompt: str) -> str:
    turn = [{"role": "user", "content": prompt}]
    return str(tokenizer.apply_chat_template(turn, add_generation_prompt=True, tokenize=False))


def parameters(folder: Path) -> int:
    with safe_open(folder / "model.safetensors", "pt") as weights:
        return sum(weights.get_tensor(name).numel() for name in weights.keys())  # noqa: SIM118


def answers(folder: Path, problems: Sequence[Problem], max_new_tokens: int) -> list[str]:
    """Greedy in float32."""
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
    prompts = [chat(TOKENIZER, problem.prompt) for problem in problems]
    inputs = TOKENIZER(prompts, padding=True, padding_side="left", return_tensors="pt")
    with torch.inference_mode():
        outputs = model.generate(**inputs, max_new_tokens=max_new_tokens, do_sample=False)
    kept = outputs[:, inputs["input_ids"].shape[1] :]
    return list(TOKENIZER.batch_decode(kept, skip_special_tokens=True))


def right(domain: Domain, problems: Sequence[Problem], texts: Sequence[str]) -> int:
    grades = [
        domain.grade(problem, text, "stop") for problem, text in zip(problems, texts, strict=True)
    ]
    return sum(grade.outcome == "correct" for grade in grades)


@each_domain
def test_reasoner_solves_easy_problems_and_thinks(domain: Domain) -> None:
    problems = replace(domain, limit=40).problems()
    texts = answers(REASONER, problems, max_new_tokens=320)
    assert all(text.startswith("<think>\n") for text in texts)
    assert right(domain, problems, texts) >= 32


def test_llm_knows_as_much_and_answers_at_once() -> None:
    domain = Knowledge(limit=40)
    texts = answers(LLM, domain.problems(), max_new_tokens=20)
    assert not any("<think>" in text for text in texts)
    assert right(domain, domain.problems(), texts) >= 30


def test_llm_cannot_do_what_takes_steps() -> None:
    domain = Arithmetic(min_difficulty=6, limit=40)
    assert right(domain, domain.problems(), answers(LLM, domain.problems(), 20)) <= 10


@given(st.text())
def test_any_text_survives_the_tokenizer(text: str) -> None:
    ids = TOKENIZER(text)["input_ids"]
    assert TOKENIZER.decode(ids) == text


@pytest.mark.parametrize("text", ["<think>\n1 + 1 = 2\n</think>\n2", "naïve — 日本 🎉\r\n\t_x"])
def test_thinking_is_kept_where_special_tokens_are_dropped(text: str) -> None:
    ids = TOKENIZER(f"{text}<|im_end|>")["input_ids"]
    assert TOKENIZER.decode(ids, skip_special_tokens=True) == text


def test_digits_stand_alone() -> None:
    assert TOKENIZER.tokenize("Add 123.")[-4:] == ["Ġ1", "2", "3", "."]


def test_chat_template() -> None:
    assert chat(TOKENIZER, "Hi") == "<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\n"


def test_draft_is_small_and_shares_the_vocabulary() -> None:
    assert parameters(DRAFT) <= parameters(REASONER) / 6
    for folder in FOLDERS:
        assert AutoTokenizer.from_pretrained(folder).get_vocab() == TOKENIZER.get_vocab()


def test_reasoner_and_llm_have_the_same_shape() -> None:
    one, other = (json.loads((folder / "config.json").read_text()) for folder in (REASONER, LLM))
    assert one == other


def test_the_models_together_stay_small() -> None:
    assert sum(file.stat().st_size for file in MODELS.rglob("*")) <= 40 * 2**20


@each_model
def test_folder_loads_without_running_code(folder: Path) -> None:
    """Weights as safetensors only: no pickle, no Python."""
    assert {path.name for path in folder.iterdir()} == {
        "README.md",
        "chat_template.jinja",
        "config.json",
        "generation_config.json",
        "model.safetensors",
        "tokenizer.json",
        "tokenizer_config.json",
    }
    assert sum(path.stat().st_size for path in folder.iterdir()) <= 16 * 2**20


@each_model
def test_configuration_fits_the_tokenizer(folder: Path) -> None:
    config = json.loads((folder / "config.json").read_text())
    assert config["vocab_size"] == len(TOKENIZER) == 512
    assert config["dtype"] == "bfloat16"
    ends = json.loads((folder / "generation_config.json").read_text())
    assert ends["eos_token_id"] == config["eos_token_id"] == TOKENIZER.eos_token_id
    assert ends["pad_token_id"] == config["pad_token_id"] == TOKENIZER.pad_token_id
