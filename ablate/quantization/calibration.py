"""Text that a quantizer looks at: where it comes from, and the rows of tokens made of it.

Worked examples come from the training splits of the recipe's domains, never from its problems.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ablate.artifacts import text_hash
from ablate.errors import TrialError
from ablate.types import ModelSpec

BLOCK = 512
DOMAINS, OWN = "domains", "self"
Examples = list[tuple[str, str]]
"""(prompt, completion) pairs; an empty prompt means text that is no answer to anything."""


@dataclass(frozen=True)
class Source:
    """What a plugin's options say of calibration.

    ``where``: ``domains``, the worked solutions; ``self``, what the model itself answers to the
    same prompts; else a text file. ``samples`` of them, drawn with ``seed``.
    """

    where: str
    samples: int
    seed: int

    def check(self) -> None:
        """Raise ValueError for options that cannot be meant."""
        if self.samples < 1:
            raise ValueError("calibration_samples must be at least 1; 128 is usual")
        if self.where not in (DOMAINS, OWN) and not Path(self.where).expanduser().is_file():
            raise ValueError(
                f"calibration must be {DOMAINS}, {OWN} or a text file, and there is no file "
                f"{self.where!r}"
            )


@dataclass(frozen=True)
class Calibration:
    """``key`` names the text in an artefact's inputs; ``make`` gives it, which may take long."""

    key: str
    make: Callable[[], Examples]


def calibration(model: ModelSpec, method: str, source: Source) -> Calibration:
    """The text of a source. Raises TrialError where there is none."""
    if source.where not in (DOMAINS, OWN):
        texts = _paragraphs(Path(source.where).expanduser(), source.samples)
        return Calibration(text_hash(texts), lambda: texts)
    drawn = _drawn(model, method, source)
    if source.where == DOMAINS:
        return Calibration(text_hash(drawn), lambda: drawn)
    prompts = [prompt for prompt, _ in drawn]
    key = text_hash([(prompt, OWN) for prompt in prompts])
    return Calibration(key, lambda: _own(model, prompts))


def _drawn(model: ModelSpec, method: str, source: Source) -> Examples:
    drawn = model.calibration(source.samples, source.seed) if model.calibration else ()
    if not drawn:
        raise TrialError(
            f"{method} needs calibration text, and none of the recipe's domains has worked "
            "training examples; add a domain that has, such as 'arithmetic' or 'logic', or name a "
            "text file: calibration: ./text.txt"
        )
    return [(prompt, completion) for prompt, completion in drawn]


def _paragraphs(file: Path, samples: int) -> Examples:
    """The first ``samples`` paragraphs of a file, which blank lines divide."""
    try:
        text = file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise TrialError(f"calibration text {file} cannot be read: {error}") from error
    parts = [part.strip() for part in text.replace("\r\n", "\n").split("\n\n")]
    found = [("", part) for part in parts if part][:samples]
    if not found:
        raise TrialError(f"calibration text {file} is empty")
    return found


def _own(model: ModelSpec, prompts: Sequence[str]) -> Examples:
    from ablate.quantization.generations import generate  # a process of its own

    return list(zip(prompts, generate(model, prompts), strict=True))


def token_rows(source: str, texts: Iterable[Sequence[str]]) -> list[list[int]]:
    """(prompt, completion) pairs as the model reads them, joined and cut into rows of equal length.

    ``source`` is the folder with the tokenizer. Rows of 512 tokens, as the papers' authors do in
    their code; gptqmodel's AWQ silently keeps only the last of rows of unequal length.
    """
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(source, local_files_only=True)
    ids: list[int] = []
    for prompt, completion in texts:
        start = chat(tokenizer, prompt) if prompt else (tokenizer.bos_token or "")
        text = start + completion + (tokenizer.eos_token or "")
        ids += tokenizer(text, add_special_tokens=False)["input_ids"]
    block = min(BLOCK, len(ids), tokenizer.model_max_length)
    return [ids[i : i + block] for i in range(0, len(ids) - block + 1, block)]


def chat(tokenizer: Any, prompt: str) -> str:
    """The prompt as it stands before an answer; without a chat template, on a line of its own."""
    if not tokenizer.chat_template:
        return f"{tokenizer.bos_token or ''}{prompt}\n"
    turn = [{"role": "user", "content": prompt}]
    return str(tokenizer.apply_chat_template(turn, tokenize=False, add_generation_prompt=True))
