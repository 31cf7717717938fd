"""The shipped models: what they can do, and what their folders may hold."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors import safe_open
from transformers import AutoModelForCausalLM, AutoTokenizer, PreTrainedTokenizerBase

import ablate
from ablate.domains._split import Generated
from ablate.domains.arithmetic import Arithmetic
from ablate.domains.logic import Logic

MODELS = Path(ablate.__file__).parent / "models"
REASONER, DRAFT = MODELS / "tiny-reasoner", MODELS / "tiny-draft"
each_model = pytest.mark.parametrize("folder", [REASONER, DRAFT], ids=lambda path: str(path.name))
each_domain = pytest.mark.parametrize(
    "domain",
    [Arithmetic(max_difficulty=5), Logic(max_difficulty=8)],
    ids=lambda domain: str(domain.name),
)

TOKENIZER = AutoTokenizer.from_pretrained(REASONER)


def chat(tokenizer: PreTrainedTokenizerBase, prompt: str) -> str:
    turn = [{"role": "user", "content": prompt}]
    return str(tokenizer.apply_chat_template(turn, add_generation_prompt=True, tokenize=False))


def parameters(folder: Path) -> int:
    with safe_open(folder / "model.safetensors", "pt") as weights:
        return sum(weights.get_tensor(name).numel() for name in weights.keys())  # noqa: SIM118


@each_domain
def test_reasoner_solves_easy_problems(domain: Generated) -> None:
    """Held out and greedy in float32; the easy half of the domain's difficulties."""
    model = AutoModelForCausalLM.from_pretrained(REASONER, dtype=torch.float32)
    problems = replace(domain, limit=40).problems()
    prompts = [chat(TOKENIZER, problem.prompt) for problem in problems]
    inputs = TOKENIZER(prompts, padding=True, padding_side="left", return_tensors="pt")
    with torch.inference_mode():
        outputs = model.generate(**inputs, max_new_tokens=160, do_sample=False)  # type: ignore[misc]
    texts = TOKENIZER.batch_decode(
        outputs[:, inputs["input_ids"].shape[1] :], skip_special_tokens=True
    )
    grades = [
        domain.grade(problem, text, "stop").outcome
        for problem, text in zip(problems, texts, strict=True)
    ]
    assert all(text.startswith("<think>\n") for text in texts)
    assert grades.count("correct") >= 32


@given(st.text())
def test_any_text_survives_the_tokenizer(text: str) -> None:
    ids = TOKENIZER(text)["input_ids"]
    assert TOKENIZER.decode(ids) == text


@pytest.mark.parametrize("text", ["<think>\n1 + 1 = 2\n</think>\n2", "naïve — 日本 🎉\r\n\t_x"])
def test_thinking_is_kept_where_special_tokens_are_dropped(text: str) -> None:
    ids = TOKENIZER(f"{text}<|im_end|>")["input_ids"]
    assert TOKENIZER.decode(ids, skip_special_tokens=True) == text


def test_digits_stand_alone() -> None:
    assert TOKENIZER.tokenize("Add 123.")[-4:] == ["1", "2", "3", "."]


def test_chat_template() -> None:
    assert chat(TOKENIZER, "Hi") == "<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\n"


def test_draft_is_small_and_shares_the_vocabulary() -> None:
    assert parameters(DRAFT) <= parameters(REASONER) / 6
    assert AutoTokenizer.from_pretrained(DRAFT).get_vocab() == TOKENIZER.get_vocab()


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
