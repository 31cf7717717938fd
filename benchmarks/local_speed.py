"""Output tokens per second of the engine ``local`` against other ways to decode the same model.

``python -m benchmarks.local_speed --model SMOLLM2 [--vllm-python PY] [--llama-python PY --gguf F]``

Every contender is a process of its own (``benchmarks.contenders``); they have the same prompts and
forced lengths, and take turns, so that each pair meets the same machine. All is done twice, the
second time with contenders started in reverse order: of equal processes, the one that was started
first was seen to be 5 % slower. Loads: ``batch``, 32 prompts with 16 to 256 new tokens; ``one``, a
single prompt with 128. Prints each ratio, their geometric mean and its 95 % interval. On two cores
nothing else may run beside it.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

import numpy as np

from ablate.engines.text import Codebook
from ablate.models import ModelConfig, resolve_model
from ablate.types import Problem
from ablate_vllm.baseline import PYTHONPATH
from benchmarks.contenders import Asked
from benchmarks.ratios import print_ratios

ROOT = Path(__file__).parents[1]
TEXT = "Explain step by step, in your own words, how one finds out whether {} is a prime number."


def loads(codebook: Codebook) -> Mapping[str, Asked]:
    rng = np.random.default_rng(0)
    prompts = [codebook.prompt(Problem("", "", TEXT.format(n), "")) for n in range(101, 133)]
    lengths = rng.permutation(np.linspace(16, 256, len(prompts)).round().astype(int)).tolist()
    return {"batch": Asked(prompts, lengths), "one": Asked(prompts[:1], [128])}


class Contender:
    """A process that serves its load once whenever it is told to."""

    def __init__(self, name: str, process: subprocess.Popen[str], log: Path) -> None:
        self._name, self._process, self._log = name, process, log

    def ready(self) -> None:
        if self._line() != "ready":
            raise RuntimeError(f"{self._name} did not start")

    def rate(self) -> float:
        """Useful output tokens per second of one turn."""
        assert self._process.stdin  # noqa: S101
        self._process.stdin.write("go\n")
        self._process.stdin.flush()
        reply = json.loads(self._line())
        return float(reply["tokens"]) / float(reply["seconds"])

    def _line(self) -> str:
        """What it says next. Raises RuntimeError with the end of its log if it says no more."""
        assert self._process.stdout  # noqa: S101
        line = self._process.stdout.readline().strip()
        if not line:
            raise RuntimeError(f"{self._name} ended: {self._log.read_text()[-2000:]}")
        return line


@contextmanager
def contender(name: str, python: str, args: Sequence[str], log: Path) -> Iterator[Contender]:
    env = dict(os.environ)
    if name == "vllm":
        env |= {
            "PYTHONPATH": PYTHONPATH, "VLLM_ENABLE_V1_MULTIPROCESSING": "0",
            "VLLM_CPU_KVCACHE_SPACE": "1", "VLLM_CPU_OMP_THREADS_BIND": cores(),
        }  # fmt: skip
    command = [python, "-m", "benchmarks.contenders", name, *args]
    with (
        log.open("w") as errors,
        subprocess.Popen(  # noqa: S603
            command, cwd=ROOT, env=env, text=True, stderr=errors,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        ) as process,
    ):  # fmt: skip
        try:
            yield Contender(name, process, log)
        finally:
            process.kill()


def cores() -> str:
    return ",".join(str(core) for core in sorted(os.sched_getaffinity(0)))


def compare(asked: Asked, options: argparse.Namespace, path: str, folder: Path) -> None:
    load = folder / "load.json"
    load.write_text(json.dumps({"prompts": asked.prompts, "lengths": asked.lengths}))
    names = ("local", *options.against)
    found: dict[str, list[float]] = {name: [] for name in names}
    for order in (names, names[::-1]):
        with ExitStack() as stack:
            running = {n: start(n, stack, options, path, folder) for n in order}
            for _ in range(options.pairs):
                for name in order:
                    found[name].append(running[name].rate())
    for name, rates in found.items():
        print(f"  {name}: {float(np.median(rates)):,.1f} tok/s")
    for name in options.against:
        print_ratios(f"  local / {name}", list(zip(found["local"], found[name], strict=True)))


def start(
    name: str, stack: ExitStack, options: argparse.Namespace, path: str, folder: Path
) -> Contender:
    """A contender that is ready."""
    others = {"vllm": options.vllm_python, "llama.cpp": options.llama_python}
    file = options.gguf if name == "llama.cpp" else path
    args = (file, options.dtype, options.device, str(folder / "load.json"))
    python, log = others.get(name, sys.executable), folder / f"{name}.log"
    started = stack.enter_context(contender(name, python, args, log))
    started.ready()
    return started


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", maxsplit=1)[0])
    parser.add_argument("--model", default="tiny-reasoner")
    parser.add_argument("--dtype", default="bfloat16")
    parser.add_argument("--device", default="cpu", help="cpu or cuda; vLLM and llama.cpp: cpu only")
    parser.add_argument("--load", nargs="+", default=["batch", "one"], choices=["batch", "one"])
    parser.add_argument("--against", nargs="*", default=["generate", "continuous batching"])
    parser.add_argument("--pairs", type=int, default=3, help="of each of the two orders")
    parser.add_argument("--vllm-python", help="an interpreter that has vLLM")
    parser.add_argument("--llama-python", help="an interpreter that has llama-cpp-python")
    parser.add_argument("--gguf", help="the model's file for it; its weights are converted")
    options = parser.parse_args()
    options.against += ["vllm"] * bool(options.vllm_python)
    options.against += ["llama.cpp"] * bool(options.llama_python and options.gguf)
    model = resolve_model(ModelConfig(options.model))
    for name, asked in loads(Codebook(model)).items():
        if name in options.load:
            threads = os.environ.get("OMP_NUM_THREADS", "as many as cores")
            print(f"{model.name}, {options.dtype}, {options.device}, {name}, threads: {threads}")
            with tempfile.TemporaryDirectory() as folder:
                compare(asked, options, model.path, Path(folder))


if __name__ == "__main__":
    main()
