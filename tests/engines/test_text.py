"""Where the visible answer of a reasoning model begins."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from shutil import copytree
from types import SimpleNamespace

import pytest
from tokenizers import Tokenizer
from tokenizers.processors import TemplateProcessing

from ablate.engines.text import Codebook
from ablate.models import ModelConfig, resolve_model
from ablate.thinking import visible_text
from ablate.types import Problem

SPEC = resolve_model(ModelConfig("tiny-reasoner"))


@pytest.fixture(scope="module")
def codebook() -> Codebook:
    return Codebook(SPEC, SimpleNamespace(eos_token_id=None))


def tokens(codebook: Codebook, text: str) -> list[int]:
    return list(codebook._tokenizer.encode(text, add_special_tokens=False))


@pytest.mark.parametrize(
    ("prompt", "output", "visible"),
    [
        ("", "<think>\n1 + 1 = 2\n</think>\n2", "2"),
        ("", "the answer is 2", "the answer is 2"),
        ("<think>\n", "1 + 1 = 2\n</think>\n2", "2"),
        ("", "<think>\n1 + 1", None),
        ("<think>\n", "1 + 1", None),
        ("<think>\n\n</think>\n\n", "2", "2"),  # a template that rules thinking out
        ("", "<think></think>\n", None),
        ("", "<think>a</think>b<think>c</think> d", "d"),
    ],
)
def test_first_visible_token(
    codebook: Codebook, prompt: str, output: str, visible: str | None
) -> None:
    ids = tokens(codebook, output)
    start = codebook.visible_from(tokens(codebook, prompt), ids)
    shown = None if start is None else codebook.text(ids[start:]).strip()
    assert shown == visible
    if "<think>" in output or "</think>" in output:
        assert (visible_text(output).strip() or None) == visible


def test_the_end_token_is_not_a_visible_answer(codebook: Codebook) -> None:
    (end,) = codebook.stop_ids
    assert codebook.visible_from([], [*tokens(codebook, "<think>1</think>"), end]) is None


def test_prompts_carry_the_chat_template(codebook: Codebook) -> None:
    ids = codebook.prompt(Problem("", "", "What is 1 + 1?", ""))
    text = str(codebook._tokenizer.decode(ids))
    assert "What is 1 + 1?" in text
    assert text.rstrip().endswith("assistant")


@pytest.mark.parametrize("adds", [True, False])
def test_text_for_a_server_that_adds_the_first_token_itself(tmp_path: Path, adds: bool) -> None:
    folder = copytree(SPEC.path, tmp_path / "model")
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    if adds:
        begin = "<|im_start|>"
        number = tokenizer.token_to_id(begin)
        tokenizer.post_processor = TemplateProcessing(
            single=f"{begin} $A", special_tokens=[(begin, number)]
        )
        tokenizer.save(str(folder / "tokenizer.json"))
    codebook = Codebook(replace(SPEC, path=str(folder)), SimpleNamespace(eos_token_id=None))
    for problem in (Problem("", "", "What is 1 + 1?", ""), Problem("", "", "1 +", "", chat=False)):
        prompt = codebook.prompt(problem)
        assert tokenizer.encode(codebook.as_text(problem, prompt)).ids == prompt
