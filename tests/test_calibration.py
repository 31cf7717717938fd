"""Calibration text: where it comes from, what names it, and the model's own answers."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest
from transformers import AutoTokenizer

from ablate.domains import Arithmetic
from ablate.errors import TrialError
from ablate.quantization.calibration import Source, calibration, token_rows
from ablate.quantization.generations import generate
from ablate.types import ModelSpec

MODEL = Path(__file__).parent.parent / "ablate" / "models" / "tiny-reasoner"


def worked(n: int, seed: int) -> Sequence[tuple[str, str]]:
    return [(p.prompt, p.solution or "") for p in Arithmetic().training(n, seed)]


SPEC = ModelSpec("tiny-reasoner", str(MODEL), calibration=worked)


def test_domains_give_worked_examples_named_by_their_text() -> None:
    one = calibration(SPEC, "GPTQ", Source("domains", 3, seed=1))
    assert one.make() == list(worked(3, 1))
    assert one.key == calibration(SPEC, "GPTQ", Source("domains", 3, seed=1)).key
    others = [Source("domains", 4, 1), Source("domains", 3, 2), Source("self", 3, 1)]
    assert len({one.key, *(calibration(SPEC, "GPTQ", s).key for s in others)}) == 4


def test_a_file_gives_its_paragraphs_wherever_it_lies(tmp_path: Path) -> None:
    file, copy = tmp_path / "a.txt", tmp_path / "b.txt"
    file.write_text("one\nstill one\n\n\n  two \r\n\r\nthree\n")
    copy.write_text(file.read_text())
    found = calibration(SPEC, "GPTQ", Source(str(file), 2, seed=0))
    assert found.make() == [("", "one\nstill one"), ("", "two")]
    assert found.key == calibration(SPEC, "GPTQ", Source(str(copy), 2, seed=5)).key
    file.write_text("another")
    assert found.key != calibration(SPEC, "GPTQ", Source(str(file), 2, seed=0)).key


def test_text_that_is_none_fails_the_arm(tmp_path: Path) -> None:
    file = tmp_path / "a.txt"
    file.write_text("\n\n \n")
    with pytest.raises(TrialError, match="is empty"):
        calibration(SPEC, "GPTQ", Source(str(file), 2, seed=0))
    file.write_bytes(b"\xff\xfe\xff")
    with pytest.raises(TrialError, match="cannot be read"):
        calibration(SPEC, "GPTQ", Source(str(file), 2, seed=0))


def test_a_file_that_is_not_there_is_found_when_planning(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="domains, self or a text file, and there is no file"):
        Source(str(tmp_path / "none.txt"), 2, seed=0).check()


def test_a_text_without_a_prompt_is_no_answer() -> None:
    tokenizer = AutoTokenizer.from_pretrained(MODEL)
    (row,) = token_rows(str(MODEL), [("", "12 + 7")])
    assert tokenizer.decode(row) == f"{tokenizer.bos_token or ''}12 + 7{tokenizer.eos_token}"


def test_the_model_answers_the_prompts_itself() -> None:
    prompts = [prompt for prompt, _ in worked(20, seed=3)]
    answers = generate(SPEC, prompts)
    solutions = [solution for _, solution in worked(20, seed=3)]
    assert len(answers) == 20
    assert all(answer.startswith("<think>") for answer in answers)
    # It was taught to write just these, and mostly does.
    assert sum(a == s for a, s in zip(answers, solutions, strict=True)) >= 14
    assert calibration(SPEC, "GPTQ", Source("self", 20, 3)).make() == list(
        zip(prompts, answers, strict=True)
    )
