"""What kept artefacts of quantizers gain on vLLM itself, on a CPU, against bfloat16.

``python -m benchmarks.vllm_quantizers --python PYTHON_WITH_VLLM --model FOLDER NAME…`` with names
of artefacts of that model (``ablate artifacts list``). Each is loaded by a process of its own, the
plain model by another, and they decode by turns. vLLM runs within its process, without the ones
that poll and take a core from each other; ablate is not in the way at all. Prints the geometric
mean of the ratios of decoding speeds at batch 1 and 8 and of prefill, and 95 % intervals.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import IO, cast

from ablate.artifacts import kept
from ablate_vllm import baseline
from benchmarks.ratios import cell

LOADS = {"decode b1": (1, 64, 48), "decode b8": (8, 64, 48), "prefill": (1, 512, 0)}
"""Sequences, tokens of a prompt, decoding steps that are measured."""
CHILD = """
import json, random, sys, time
from vllm import LLM, SamplingParams
engine = LLM(sys.argv[1], dtype="bfloat16", enforce_eager=True, max_model_len=1024,
             enable_prefix_caching=False, skip_tokenizer_init=True)
random.seed(0)
def seconds(batch, prompt, steps):
    asked = [{"prompt_token_ids": random.choices(range(10, 500), k=prompt)} for _ in range(batch)]
    params = SamplingParams(temperature=0, ignore_eos=True, max_tokens=steps, detokenize=False)
    began = time.perf_counter()
    engine.generate(asked, params, use_tqdm=False)
    return time.perf_counter() - began
for line in sys.stdin:
    batch, prompt, steps = json.loads(line)
    first = seconds(batch, prompt, 1)
    took = seconds(batch, prompt, steps + 1) - first if steps else first
    print("TOOK", took, file=sys.stderr, flush=True)
"""


class Engine:
    """A model in a process of vLLM's that waits to be told what to do."""

    def __init__(self, python: str, model: str, threads: int) -> None:
        env = {
            **os.environ,
            **baseline.QUIET,
            "PYTHONPATH": baseline.PYTHONPATH,
            "HF_HUB_OFFLINE": "1",
            "VLLM_ENABLE_V1_MULTIPROCESSING": "0",
            "VLLM_CPU_KVCACHE_SPACE": "1",
            "VLLM_CPU_OMP_THREADS_BIND": "nobind",
            "OMP_NUM_THREADS": str(threads),
        }
        command = [python, "-c", CHILD, model]
        self._process = subprocess.Popen(  # noqa: S603 - the user's interpreter
            command, env=env, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
        self._in, self._err = cast(
            "tuple[IO[str], IO[str]]", (self._process.stdin, self._process.stderr)
        )

    def seconds(self, load: Sequence[int]) -> float:
        print(json.dumps(load), file=self._in, flush=True)
        said = []
        for line in self._err:
            if line.startswith("TOOK"):
                return float(line.split()[1])
            said.append(line)
        raise RuntimeError("".join(said[-30:]))

    def __enter__(self) -> Engine:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.wait()


def compared(plain: Engine, other: Engine, pairs: int) -> Mapping[str, str]:
    """Speed over the plain one's, by load."""
    found: dict[str, list[tuple[float, float]]] = {name: [] for name in LOADS}
    for turn in range(pairs + 1):
        order = (plain, other) if turn % 2 else (other, plain)
        for name, load in LOADS.items():
            took = {id(engine): engine.seconds(load) for engine in order}
            if turn:  # the first warms up
                found[name].append((took[id(plain)], took[id(other)]))
    return {name: cell(values) for name, values in found.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("artifacts", nargs="+")
    parser.add_argument("--python", required=True, help="an interpreter that has vLLM")
    parser.add_argument("--model", required=True, help="folder of the plain model")
    parser.add_argument("--pairs", type=int, default=10)
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    paths = {one.path.name: one.path for one in kept()}
    print(f"{options.threads} threads; bfloat16 = 1\n\n| artefact |", *(f"{x} |" for x in LOADS))
    print("|", " --- |" * (1 + len(LOADS)), sep="")
    with ExitStack() as stack:
        plain = stack.enter_context(Engine(options.python, options.model, options.threads))
        for name in options.artifacts:
            path = str(paths.get(name, Path(name)))
            with Engine(options.python, path, options.threads) as other:
                found = compared(plain, other, options.pairs)
            print(f"| {name} |", *(f"{ratio} |" for ratio in found.values()), flush=True)


if __name__ == "__main__":
    main()
