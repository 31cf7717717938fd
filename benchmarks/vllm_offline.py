"""Output tokens per second of the ``vllm`` engine against ``vllm bench throughput``.

Both serve the same prompts as one batch, 128 tokens each (``ignore_eos``, temperature 1 without
seeds, as that command has it), with the same engine arguments, and take turns; each start is a new
engine. Prints each pair's ratio and the mean with its 95 % interval. On two cores nothing else may
run. ``python -m benchmarks.vllm_offline --python /path/to/python-with-vllm``
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ablate.domains.arithmetic import Arithmetic
from ablate.domains.logic import Logic
from ablate.engines.base import EngineContext
from ablate.engines.text import Codebook
from ablate.interpreters import interpreter
from ablate.models import ModelConfig, resolve_model
from ablate.plugins import ArmPlugins
from ablate.types import Completion, Load, ModelSpec, Problem, Request, Sampling
from ablate_vllm import VllmEngine
from ablate_vllm.session import VllmSession, defaults, environment
from benchmarks.ratios import print_ratios

TOKENS = 128
# Sizes that vLLM chooses by who asks: 256 sequences for its offline class, 128 for AsyncLLM.
SIZES = {"max_num_seqs": 256, "max_num_batched_tokens": 4096}
ARGS: Mapping[str, Any] = {"max_model_len": 1024, **SIZES}


def problems(n: int) -> list[Problem]:
    return [*Arithmetic(limit=n // 2).problems(), *Logic(limit=n - n // 2).problems()]


class Unstopped(VllmSession):
    """Draws as ``vllm bench throughput`` does."""

    def asked(self, load: Load, prompts: Mapping[str, list[int]]) -> dict[str, Any]:
        asked = super().asked(load, prompts)
        drawn = [{**request, "seed": None} for request in asked["requests"]]
        return {**asked, "requests": drawn, "sampling": SAMPLING}


SAMPLING = {"temperature": 1.0, "top_p": 1.0, "ignore_eos": True}


def ours(engine: VllmEngine, model: ModelSpec, n: int, folder: Path) -> float:
    """Tokens per second, after a warm-up."""
    sampling = Sampling(temperature=1.0, max_tokens=TOKENS)
    session = Unstopped(engine, EngineContext(model, ArmPlugins({}), sampling, n, folder))
    try:
        asked = [Request(str(i), p, 0, i) for i, p in enumerate(problems(n))]
        session.run(Load(tuple(asked[:8]), None), lambda _: None, lambda _: None)
        done: list[Completion] = []
        session.run(Load(tuple(asked), None), done.append, lambda _: None)
    finally:
        session.close()
    return sum(d.output_tokens for d in done) / max(d.finished for d in done)


def theirs(engine: VllmEngine, model: ModelSpec, n: int, folder: Path) -> float:
    """``vllm bench throughput`` on the same prompts, as text that its tokenizer reads the same."""
    codebook = Codebook(model)
    texts = [codebook.rendered(p) for p in problems(n)]
    told = [{"conversations": [{"value": t}, {"value": "Four. " * 8}]} for t in texts]
    (folder / "prompts.json").write_text(json.dumps(told), encoding="utf-8")
    out = folder / "out.json"
    args = {**defaults(model), **engine.args}
    del args["worker_extension_cls"]
    command = [interpreter(engine.python), "-m", "vllm.entrypoints.cli.main", "bench", "throughput"]
    command += ["--dataset-name", "sharegpt", "--dataset-path", str(folder / "prompts.json")]
    command += ["--num-prompts", str(n), "--output-len", str(TOKENS), "--output-json", str(out)]
    command += ["--num-warmups", "8", *flags(args)]
    env = {**os.environ, **environment(engine)}
    with (folder / "bench.log").open("wb") as log:
        subprocess.run(command, env=env, stdout=log, stderr=log, check=True)  # noqa: S603 - the user's
    result = json.loads(out.read_text(encoding="utf-8"))
    return n * TOKENS / float(result["elapsed_time"])


def flags(args: Mapping[str, Any]) -> list[str]:
    found: list[str] = []
    for name, value in args.items():
        flag = name.replace("_", "-")
        if isinstance(value, bool):
            found.append(f"--{flag}" if value else f"--no-{flag}")
        else:
            found += [f"--{flag}", str(value)]
    return [f for f in found if f != "--no-trust-remote-code"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--python", required=True)
    parser.add_argument("--model", default="tiny-reasoner")
    parser.add_argument("--prompts", type=int, default=256)
    parser.add_argument("--pairs", type=int, default=5)
    asked = parser.parse_args()
    model = resolve_model(ModelConfig(asked.model))
    engine = VllmEngine(python=asked.python, args=dict(ARGS))
    pairs = []
    for turn in range(asked.pairs):
        with tempfile.TemporaryDirectory() as name:
            order = (ours, theirs) if turn % 2 == 0 else (theirs, ours)
            speeds = {run: run(engine, model, asked.prompts, Path(name)) for run in order}
        pairs.append((speeds[ours], speeds[theirs]))
        print(f"pair {turn}: ablate {pairs[-1][0]:,.0f}, vllm bench {pairs[-1][1]:,.0f} tok/s")
    print_ratios("ablate / vllm bench throughput", pairs)


if __name__ == "__main__":
    main()
