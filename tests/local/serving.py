"""Serving helpers for the engine's tests: the public road from a checkpoint to completions."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from ablate.engines.base import EngineContext
from ablate.engines.local import LocalEngine
from ablate.engines.local.session import LocalSession
from ablate.plugins import ArmPlugins, Plugin
from ablate.testing import serving
from ablate.types import Load, ModelSpec, Problem, Request, Sampling


def requests(prompts: Sequence[str], **form: Any) -> tuple[Request, ...]:
    """``form``: how each problem is asked, such as its ``stop`` texts."""
    return tuple(
        Request(str(i), Problem(str(i), "test", p, "", **form), 0, seed=1000 + i)
        for i, p in enumerate(prompts)
    )


class Served(serving.Served):
    """What a session returned, by request."""

    def texts(self) -> list[str]:
        return [self.completions[str(i)].text for i in range(len(self.completions))]


def open_session(
    path: Path,
    *,
    plugins: dict[str, Plugin] | None = None,
    sampling: Sampling | None = None,
    concurrency: int = 8,
    dtype: str = "float32",
    **options: object,
) -> LocalSession:
    context = EngineContext(
        model=ModelSpec("test", str(path), dtype=dtype),
        plugins=ArmPlugins(plugins or {}),
        sampling=sampling or Sampling(max_tokens=24),
        max_concurrency=concurrency,
    )
    session = LocalEngine(**options).open(context)  # type: ignore[arg-type]
    assert isinstance(session, LocalSession)
    return session


def serve(
    session: LocalSession, prompts: Sequence[str], concurrency: int = 8, **form: Any
) -> Served:
    served = Served()
    session.run(Load(requests(prompts, **form), concurrency), served.take, served.usage.append)
    return served


def prompts_of_many_lengths(n: int) -> list[str]:
    return [f"{i * 7919 % 1000} " + "abcdefghij"[i % 10] * (1 + i * 13 % 60) for i in range(n)]


@cache
def _reference_model(path: Path) -> tuple[Any, Any]:
    model: Any = AutoModelForCausalLM.from_pretrained(path, dtype=torch.float32)
    return model.eval(), AutoTokenizer.from_pretrained(path)


def generated(path: Path, prompts: Sequence[str], max_new_tokens: int = 24) -> list[str]:
    """What ``generate()`` answers to each prompt alone, greedily."""
    model, tokenizer = _reference_model(path)
    out = []
    for asked in prompts:
        prompt = asked
        if tokenizer.chat_template:
            message = [{"role": "user", "content": prompt}]
            prompt = tokenizer.apply_chat_template(
                message, add_generation_prompt=True, tokenize=False
            )
        inputs = tokenizer(prompt, add_special_tokens=False, return_tensors="pt")
        with torch.inference_mode():
            ids = model.generate(**inputs, max_new_tokens=max_new_tokens, do_sample=False)
        new = ids[0, inputs.input_ids.shape[1] :]
        out.append(tokenizer.decode(new, skip_special_tokens=True))
    return out
