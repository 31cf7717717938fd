"""Greedy accuracy of a model on held-out problems, per domain and half.

``python -m training.evaluate --model ablate/models/tiny-reasoner --problems 500``
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from statistics import fmean
from typing import Any

import torch
from transformers import AutoTokenizer, LlamaForCausalLM
from transformers import PreTrainedTokenizerBase as Tokenizer

from ablate.domains._split import Generated
from ablate.types import FinishReason, Outcome, Problem
from training.data import domains

# More than the longest worked solution of either domain.
MAX_TOKENS = 512
BATCH = 64


@dataclass(frozen=True)
class Answered:
    """One problem with what the model made of it."""

    problem: Problem
    prompt_ids: list[int]
    output_ids: list[int]
    outcome: Outcome


def load(path: str) -> tuple[LlamaForCausalLM, Tokenizer]:
    """In float32, where a greedy answer does not depend on the batch it is generated in."""
    model = LlamaForCausalLM.from_pretrained(path, dtype=torch.float32)
    return model.train(False), AutoTokenizer.from_pretrained(path)


@torch.inference_mode()
def generate(
    model: LlamaForCausalLM, tokenizer: Tokenizer, prompts: Sequence[list[int]]
) -> list[list[int]]:
    """Greedy output ids of each prompt, without the end-of-text token and the padding."""
    padded = tokenizer.pad({"input_ids": list(prompts)}, padding_side="left", return_tensors="pt")
    inputs = {name: tensor.to(model.device) for name, tensor in padded.items()}
    options: dict[str, Any] = {"max_new_tokens": MAX_TOKENS, "do_sample": False}
    whole = model.generate(**inputs, **options)  # type: ignore[misc]
    outputs: list[list[int]] = whole[:, padded["input_ids"].shape[1] :].tolist()
    endings = {tokenizer.eos_token_id, tokenizer.pad_token_id}
    return [_until(row, endings) for row in outputs]


def _until(ids: list[int], endings: set[int]) -> list[int]:
    stop = next((place for place, token in enumerate(ids) if token in endings), len(ids))
    return ids[:stop]


def answer(model: LlamaForCausalLM, tokenizer: Tokenizer, domain: Generated) -> Iterator[Answered]:
    """Ask every test problem of a domain; short ones first, so that batches end together."""
    problems = sorted(domain.problems(), key=lambda problem: problem.difficulty or 0)
    for first in range(0, len(problems), BATCH):
        group = problems[first : first + BATCH]
        prompts = [_prompt_ids(tokenizer, problem) for problem in group]
        outputs = generate(model, tokenizer, prompts)
        for problem, prompt, output in zip(group, prompts, outputs, strict=True):
            finish: FinishReason = "length" if len(output) >= MAX_TOKENS else "stop"
            grade = domain.grade(problem, str(tokenizer.decode(output)), finish)
            yield Answered(problem, prompt, output, grade.outcome)


def _prompt_ids(tokenizer: Tokenizer, problem: Problem) -> list[int]:
    turn = [{"role": "user", "content": problem.prompt}]
    return list(tokenizer.apply_chat_template(turn, add_generation_prompt=True, return_dict=False))


def halves(domain: Generated, answers: Sequence[Answered]) -> dict[str, list[Answered]]:
    """The answers of the easier and of the harder difficulties."""
    middle = (domain.min_difficulty + domain.max_difficulty) / 2
    return {
        "easy": [a for a in answers if (a.problem.difficulty or 0) <= middle],
        "hard": [a for a in answers if (a.problem.difficulty or 0) > middle],
    }


def accuracy(answers: Sequence[Answered]) -> float:
    return fmean(a.outcome == "correct" for a in answers)


def report(domain: Generated, answers: Sequence[Answered]) -> str:
    parts = [
        f"{half} {accuracy(group):.1%} of {len(group)}"
        for half, group in halves(domain, answers).items()
    ]
    tokens = fmean(len(a.output_ids) for a in answers)
    unfinished = sum(a.outcome in ("unparsed", "truncated") for a in answers)
    return (
        f"{domain.name}: all {accuracy(answers):.1%} of {len(answers)}, {', '.join(parts)}; "
        f"mean output tokens {tokens:.1f}; without an answer {unfinished}"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", required=True)
    parser.add_argument("--problems", type=int, default=500, help="per domain")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    model, tokenizer = load(arguments.model)
    for domain in domains():
        asked = replace(domain, limit=arguments.problems, seed=arguments.seed)
        print(report(asked, list(answer(model, tokenizer, asked))), flush=True)


if __name__ == "__main__":
    main()
