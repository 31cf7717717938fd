"""Output tokens per second of the ``local`` engine against ``generate()`` with static padding.

Same model, prompts and greedy answers, in one process, the two taking turns; prints each pair's
ratio. ``python -m benchmarks.local_vs_generate --help``
"""

from __future__ import annotations

import argparse
import statistics
import time
from pathlib import Path
from typing import Any

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from ablate.domains.arithmetic import Arithmetic
from ablate.domains.logic import Logic
from ablate.engines.base import EngineContext, Session
from ablate.engines.local import LocalEngine
from ablate.models import resolve_model
from ablate.plugins import ArmPlugins
from ablate.recipe import ModelConfig
from ablate.types import Completion, Load, Problem, Request, Sampling

MAX_TOKENS = 512


def problems(n: int) -> list[Problem]:
    return [*Arithmetic(limit=n // 2).problems(), *Logic(limit=n - n // 2).problems()]


class Static:
    """``generate()`` on all prompts as one left-padded batch."""

    def __init__(self, path: str, dtype: str, asked: list[Problem]) -> None:
        model: Any = AutoModelForCausalLM.from_pretrained(path, dtype=dtype)
        self._model = model.eval()
        tokenizer = AutoTokenizer.from_pretrained(path, padding_side="left")
        texts = [
            tokenizer.apply_chat_template(
                [{"role": "user", "content": p.prompt}], add_generation_prompt=True, tokenize=False
            )
            for p in asked
        ]
        self._inputs = tokenizer(texts, return_tensors="pt", padding=True, add_special_tokens=False)
        self._stop = self._model.generation_config.eos_token_id
        self._decode = tokenizer.batch_decode

    def run(self) -> tuple[int, list[str]]:
        with torch.inference_mode():
            ids = self._model.generate(**self._inputs, max_new_tokens=MAX_TOKENS, do_sample=False)
        new = ids[:, self._inputs.input_ids.shape[1] :]
        ended = (new == self._stop).long().cumsum(-1)
        useful = int((ended - (new == self._stop).long() == 0).sum())
        return useful, self._decode(new, skip_special_tokens=True)


class Local:
    """The same through the engine."""

    def __init__(self, path: str, dtype: str, asked: list[Problem]) -> None:
        context = EngineContext(
            resolve_model(ModelConfig(path, dtype=dtype)),
            ArmPlugins({}),
            Sampling(max_tokens=MAX_TOKENS),
            len(asked),
        )
        self._session: Session = LocalEngine().open(context)
        requests = tuple(Request(str(i), p, 0, 0) for i, p in enumerate(asked))
        self._load = Load(requests, len(asked))

    def run(self) -> tuple[int, list[str]]:
        done: dict[str, Completion] = {}
        self._session.run(self._load, lambda c: done.__setitem__(c.request_id, c), lambda _: None)
        answers = [done[r.id] for r in self._load.requests]
        return sum(c.output_tokens for c in answers), [c.text for c in answers]


def timed(contender: Static | Local) -> tuple[float, list[str]]:
    began = time.perf_counter()
    tokens, texts = contender.run()
    return tokens / (time.perf_counter() - began), texts


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default="tiny-reasoner")
    parser.add_argument("--dtype", default="float32")
    parser.add_argument("--prompts", type=int, default=32)
    parser.add_argument("--pairs", type=int, default=5)
    args = parser.parse_args()
    path = resolve_model(ModelConfig(args.model)).path
    asked = problems(args.prompts)
    static, local = Static(path, args.dtype, asked), Local(path, args.dtype, asked)
    static.run()
    local.run()
    ratios = []
    threads = torch.get_num_threads()
    print(f"{Path(path).name}, {args.dtype}, {args.prompts} prompts, {threads} threads")
    for pair in range(args.pairs):
        padded, expected = timed(static)
        packed, texts = timed(local)
        same = sum(a.strip() == b.strip() for a, b in zip(expected, texts, strict=True))
        ratios.append(packed / padded)
        print(
            f"pair {pair}: generate {padded:,.0f} tok/s, local {packed:,.0f} tok/s, "
            f"ratio {ratios[-1]:.2f}, same text {same} of {len(texts)}"
        )
    print(f"median ratio {statistics.median(ratios):.2f}")


if __name__ == "__main__":
    main()
