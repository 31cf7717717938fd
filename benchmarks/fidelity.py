"""Are measured latencies and arrivals true? Against a server whose latencies are known.

Each load generator sends the same loads to ``benchmarks.paced``, which says itself what it sent
when. Prints TTFT and TPOT in milliseconds as measured, with the error against the server's own
clock (target: within 1 ms or 1 %), then how requests came to the server: the variation of their
gaps, and Kolmogorov and Smirnov's distance from the Poisson process that was asked for.

``python -m benchmarks.fidelity [--vllm-python PYTHON_WITH_VLLM] [--guidellm COMMAND]``. On two
cores nothing else may run. ablate's TTFT counts from the scheduled arrival, the others' from the
moment of sending: its error also holds how late it sent, which is printed, too.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from random import Random

import numpy as np

from ablate.arrivals import Poisson
from ablate.metrics import latency
from ablate.types import Completion, Load, Problem, Request
from benchmarks.arrivals import Floats, fit
from benchmarks.client import PROMPT, run
from benchmarks.generators import (
    SHOWN,
    WARMUP,
    Latencies,
    Sending,
    Tool,
    guidellm_latencies,
    vllm_latencies,
)
from benchmarks.paced import Truth, paced, truth

ENOUGH_MS, ENOUGH = 1.0, 0.01
"""An error below either is none: milliseconds, or a share of the truth."""


def main() -> None:
    options = arguments()
    tools: dict[str, Tool] = {"ablate": ours}
    if options.vllm_python:
        tools["vllm bench serve"] = partial(vllm_latencies, options.vllm_python)
    if options.guidellm:
        tools["guidellm"] = partial(guidellm_latencies, options.guidellm)
    with tempfile.TemporaryDirectory() as name:
        print_latencies(tools, options, Path(name))
        print_arrivals(tools, options, Path(name))


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--requests", type=int, default=200, help="of each load")
    parser.add_argument("--tokens", type=int, default=64, help="output tokens of a request")
    parser.add_argument("--rate", type=float, default=20.0, help="requests a second, open loop")
    parser.add_argument("--concurrency", type=int, default=16, help="closed loop")
    parser.add_argument("--ttft", type=float, default=0.05, help="seconds")
    parser.add_argument("--itl", type=float, default=0.01, help="seconds")
    parser.add_argument("--spread", type=float, default=0.5, help="of both, between requests")
    parser.add_argument("--arrivals", type=int, default=10_000, help="requests of the last test")
    parser.add_argument("--arrival-rate", type=float, default=100.0, help="of the last test")
    parser.add_argument("--vllm-python", help="an interpreter that has vLLM")
    parser.add_argument("--guidellm", help="the command guidellm")
    return parser.parse_args()


# --- latencies


def print_latencies(tools: Mapping[str, Tool], options: argparse.Namespace, folder: Path) -> None:
    print(f"| load | tool | | {' | '.join(SHOWN)} | within |\n|{' --- |' * (4 + len(SHOWN))}")
    with paced(options.ttft, options.itl, options.spread) as url:
        loads = (
            Sending(url, options.requests, options.tokens, rate=options.rate),
            Sending(url, options.requests, options.tokens, concurrency=options.concurrency),
        )
        for load in loads:
            for name, tool in tools.items():
                measured = tool(load, folder)
                print_errors(f"{load.name} | {name}", measured, told(truth(url), load))


def told(true: Truth, load: Sending) -> Latencies:
    """What the server sent, in the form in which tools say what they measured."""
    if true.ttft.size not in (load.n, load.n + WARMUP):
        raise RuntimeError(f"{true.ttft.size} requests came, {load.n} were asked for")
    return summary(ttft=true.ttft[-load.n :], tpot=true.tpot[-load.n :])


def summary(**seconds: Floats) -> Latencies:
    found: dict[str, float] = {}
    for metric, values in seconds.items():
        shown = (values.mean(), *np.percentile(values, (50, 99)))
        found |= {f"{s}_{metric}": 1e3 * float(v) for s, v in zip(SHOWN, shown, strict=True)}
    return found


def print_errors(head: str, measured: Latencies, true: Latencies) -> None:
    for metric in ("ttft", "tpot"):
        names = [f"{shown}_{metric}" for shown in SHOWN]
        fine = all(within(measured[name], true[name]) for name in names)
        cells = [f"{measured[n]:.2f} ({measured[n] - true[n]:+.2f})" for n in names]
        line = [head, metric.upper(), *cells, "yes" if fine else "no"]
        print(f"| {' | '.join(line)} |", flush=True)
    if "p50_late" in measured:
        cells = [f"{measured[f'{shown}_late']:.2f}" for shown in SHOWN]
        print(f"| {head} | sent late | {' | '.join(cells)} | |", flush=True)


def within(measured: float, true: float) -> bool:
    return abs(measured - true) <= max(ENOUGH_MS, ENOUGH * true)


# --- what ablate measures


def ours(load: Sending, _: Path) -> Latencies:
    done = run(load.url, our_load(load), load.tokens, WARMUP)
    late = {} if load.rate is None else {"late": np.array([c.dispatched - c.arrival for c in done])}
    return summary(ttft=seconds("ttft", done), tpot=seconds("tpot", done), **late)


def our_load(load: Sending) -> Load:
    arrivals: Sequence[float | None] = [None] * load.n
    if load.rate is not None:
        arrivals = Poisson(load.rate).offsets(load.n, Random(0))
    problem = Problem("0", "", PROMPT, "")
    requests = (Request(str(i), problem, 0, i, at) for i, at in enumerate(arrivals))
    return Load(tuple(requests), load.concurrency)


def seconds(name: str, done: list[Completion]) -> Floats:
    return np.array([s for c in done if (s := latency(name, c)) is not None])


# --- arrivals


def print_arrivals(tools: Mapping[str, Tool], options: argparse.Namespace, folder: Path) -> None:
    """By the server's clock, of requests that it answers at once with two tokens."""
    rate = options.arrival_rate
    print(f"\n| {options.arrivals:,} requests at {rate:g}/s, as they came | CV | error | KS | p |")
    print(f"|{' --- |' * 5}")
    with paced(0.0, 0.0, 0.0) as url:
        for name, tool in tools.items():
            tool(Sending(url, options.arrivals, 2, rate=rate), folder)
            found = fit(truth(url).read[-options.arrivals :], rate, 1.0)
            shown = [f"{found.variation:.3f}", f"{100 * (found.variation - 1):+.2f} %"]
            shown += [f"{found.distance:.4f}", f"{found.p:.2g}"]
            print(f"| {name} | {' | '.join(shown)} |", flush=True)


if __name__ == "__main__":
    main()
