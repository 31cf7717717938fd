"""How many tokens a verification step yields when the draft model proposes for the reasoner.

``python -m training.acceptance --model FOLDER --draft FOLDER``

Greedy, so that the draft's proposals can be read off one forward pass over the reasoner's own
output: a step accepts the proposals that match up to the first that does not, and the reasoner
adds one token. Mean acceptance length = output tokens / steps, as vLLM counts it.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import replace
from statistics import fmean

import torch
from transformers import LlamaForCausalLM

from training.data import domains
from training.evaluate import Answered, answer, load
from training.tokenizer import IM_END


@torch.inference_mode()
def matches(draft: LlamaForCausalLM, answered: Answered, end: list[int]) -> list[bool]:
    """For each output token (the end included) whether the draft would have proposed it."""
    output = answered.output_ids + end
    ids = torch.tensor([answered.prompt_ids + output])
    logits = draft(input_ids=ids).logits[0, len(answered.prompt_ids) - 1 : -1]
    proposed: list[int] = logits.argmax(-1).tolist()
    return [mine == theirs for mine, theirs in zip(proposed, output, strict=True)]


def steps(matched: Sequence[bool], k: int) -> int:
    """Verification steps for one output with ``k`` proposals each."""
    count = place = 0
    while place < len(matched):
        proposals = matched[place : place + k]
        accepted = proposals.index(False) if False in proposals else len(proposals)
        place += accepted + 1
        count += 1
    return count


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", required=True)
    parser.add_argument("--draft", required=True)
    parser.add_argument("--problems", type=int, default=100, help="per domain")
    parser.add_argument("--k", type=int, default=4, help="proposals per step")
    arguments = parser.parse_args()
    reasoner, tokenizer = load(arguments.model)
    draft, _ = load(arguments.draft)
    end = tokenizer.encode(IM_END)
    for domain in domains():
        asked = replace(domain, limit=arguments.problems)
        rows = [matches(draft, a, end) for a in answer(reasoner, tokenizer, asked)]
        agreement = fmean(match for row in rows for match in row)
        length = sum(map(len, rows)) / sum(steps(row, arguments.k) for row in rows)
        print(
            f"{domain.name}: {agreement:.1%} of the tokens proposed right; "
            f"mean acceptance length {length:.2f} with k = {arguments.k}",
            flush=True,
        )


if __name__ == "__main__":
    main()
