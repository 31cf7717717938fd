"""What the client of `engine: server` can take, alone and beside other load generators.

``python -m benchmarks.client`` against ``benchmarks.streamer`` in a process of its own:

- streamed tokens by second of the client's CPU time, in a closed loop. A small load is measured and
  a large one, and their difference is reported, so that imports and start-up do not count;
- how late requests are sent at 200 a second (p50, p99).

``--vllm-python`` names an interpreter with vLLM, ``--guidellm`` and ``--aiperf`` two commands;
each is given the same loads against the same server, taking turns.
"""

from __future__ import annotations

import argparse
import gc
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from statistics import median

import numpy as np

from ablate.engines.base import EngineContext
from ablate.engines.server import ServerEngine
from ablate.models import ModelConfig, resolve_model
from ablate.plugins import ArmPlugins
from ablate.types import Completion, Load, Problem, Request, Sampling
from ablate_vllm.baseline import PYTHONPATH
from benchmarks.generators import Sending, guidellm, tokenizer, vllm_bench
from benchmarks.servers import served
from benchmarks.streamer import MODEL

ROOT = Path(__file__).parents[1]
PROMPT = "What is 12 + 7, and what is that times 3? Think step by step."
RATE = 200.0  # requests a second of the lateness test
Command = Callable[[str, int], list[str]]


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--concurrency", type=int, default=64)
    parser.add_argument("--tokens", type=int, default=128, help="output tokens of a request")
    parser.add_argument("--interval", type=float, default=0.01, help="seconds between tokens")
    parser.add_argument("--requests", type=int, default=512, help="of the large load")
    parser.add_argument("--seconds", type=float, default=10.0, help="of the lateness test")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--vllm-python", help="an interpreter that has vLLM")
    parser.add_argument("--guidellm", help="the command guidellm")
    parser.add_argument("--aiperf", help="the command aiperf")
    parser.add_argument("--ours", nargs=2, metavar=("URL", "REQUESTS"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.ours:
        url, requests = options.ours
        run(url, closed_load(int(requests), options.concurrency), options.tokens)
        return
    with served("benchmarks.streamer", "--interval", str(options.interval)) as url:
        print_lateness(url, options)
        print_capacity(url, options)


def closed_load(n: int, concurrency: int) -> Load:
    return Load(
        tuple(Request(str(i), Problem(str(i), "", PROMPT, ""), 0, i) for i in range(n)), concurrency
    )


def open_load(seconds: float) -> Load:
    n = int(seconds * RATE)
    problem = Problem("0", "", PROMPT, "")
    return Load(tuple(Request(str(i), problem, 0, i, arrival=i / RATE) for i in range(n)))


def run(url: str, load: Load, tokens: int, warmup: int = 0) -> list[Completion]:
    """What came of a load. As a trial does: ``warmup`` of its requests are sent before, and what
    is loaded by then is not collected again.
    """
    model = resolve_model(ModelConfig("tiny-reasoner"))
    engine = ServerEngine(base_url=url, served_model_name=MODEL)
    context = EngineContext(model, ArmPlugins({}), Sampling(max_tokens=tokens), 1)
    done: list[Completion] = []
    first = tuple(replace(request, arrival=None) for request in load.requests[:warmup])
    with closing(engine.open(context)) as session:
        if first:
            session.run(Load(first, warmup), lambda _: None, lambda _: None)
        gc.collect()
        gc.freeze()
        session.run(load, done.append, lambda _: None)
    assert sum(c.output_tokens for c in done) == tokens * len(load.requests)  # noqa: S101
    return done


def print_lateness(url: str, options: argparse.Namespace) -> None:
    found = [lateness(url, options.seconds) for _ in range(options.repeats)]
    for q, values in zip(("p50", "p99"), zip(*found, strict=True), strict=True):
        shown = ", ".join(f"{v:.2f}" for v in values)
        print(f"requests at {RATE:g}/s: sent {median(values):.2f} ms late at {q} ({shown})")


def lateness(url: str, seconds: float) -> tuple[float, float]:
    """p50 and p99 in ms."""
    done = run(url, open_load(seconds), 16)
    late = np.array([c.dispatched - c.arrival for c in done]) * 1e3
    p50, p99 = np.percentile(late, [50, 99])
    return float(p50), float(p99)


def print_capacity(url: str, options: argparse.Namespace) -> None:
    commands = {name: make for name, make in clients(options).items() if make is not None}
    found: dict[str, list[float]] = {name: [] for name in commands}
    small, large = options.concurrency, options.requests
    for _ in range(options.repeats):
        for name, command in commands.items():
            seconds = cpu(command(url, large)) - cpu(command(url, small))
            found[name].append((large - small) * options.tokens / seconds)
    for name, values in found.items():
        shown = ", ".join(f"{v:,.0f}" for v in values)
        print(f"{name}: {median(values):,.0f} streamed tokens by CPU second ({shown})")


def cpu(command: Sequence[str]) -> float:
    """CPU seconds of a command and its children. Raises RuntimeError if it fails."""
    env = {**os.environ, "PYTHONPATH": PYTHONPATH if "vllm" in " ".join(command) else ""}
    with tempfile.TemporaryFile() as log, tempfile.TemporaryDirectory() as scratch:
        where = ROOT if "benchmarks.client" in command else scratch
        process = subprocess.Popen(command, stdout=log, stderr=log, cwd=where, env=env)  # noqa: S603
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            log.seek(0)
            raise RuntimeError(f"{' '.join(command)}:\n{log.read().decode()[-3000:]}")
    return used.ru_utime + used.ru_stime


def clients(options: argparse.Namespace) -> Mapping[str, Command | None]:
    """Each tool's command for ``n`` requests; None: it was not given."""
    tokens, concurrency = str(options.tokens), str(options.concurrency)

    def ours(url: str, n: int) -> list[str]:
        return [
            sys.executable, "-m", "benchmarks.client", "--ours", url, str(n),
            "--concurrency", concurrency, "--tokens", tokens,
        ]  # fmt: skip

    def vllm(url: str, n: int) -> list[str]:
        return vllm_bench(options.vllm_python, Sending(url, n, options.tokens, options.concurrency))

    def guide(url: str, n: int) -> list[str]:
        return guidellm(options.guidellm, Sending(url, n, options.tokens, options.concurrency))

    def aiperf(url: str, n: int) -> list[str]:
        return [
            options.aiperf, "profile", "--model", MODEL, "--url", url, "--streaming",
            "--endpoint-type", "completions", "--tokenizer", tokenizer(),
            "--concurrency", concurrency, "--request-count", str(n),
            "--synthetic-input-tokens-mean", "32", "--output-tokens-mean", tokens,
            "--use-server-token-count", "--ui", "none",
        ]  # fmt: skip

    return {
        "ablate": ours,
        "vllm bench serve": vllm if options.vllm_python else None,
        "guidellm": guide if options.guidellm else None,
        "aiperf": aiperf if options.aiperf else None,
    }


if __name__ == "__main__":
    main()
