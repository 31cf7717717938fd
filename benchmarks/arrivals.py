"""Are arrivals as random as they are said to be? The plans of ablate and of ``vllm bench serve``.

Of each process, 10,000 gaps for each of 20 seeds: their coefficient of variation (mean over seeds,
against the one that was asked for), and how often Kolmogorov and Smirnov's test at the 5 % level
rejects the distribution that was asked for.

``python -m benchmarks.arrivals [--vllm-python PYTHON_WITH_VLLM]``
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
from collections.abc import Mapping, Sequence
from random import Random
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from ablate.arrivals import Arrival, Constant, Gamma, Poisson
from ablate_vllm.baseline import PYTHONPATH

RATE = 20.0
GAPS = 10_000
SEEDS = 20
LEVEL = 0.05
Floats = NDArray[np.float64]

OURS: Mapping[str, tuple[Arrival, float]] = {
    "ablate, constant": (Constant(RATE), np.inf),
    "ablate, poisson": (Poisson(RATE), 1.0),
    "ablate, gamma 0.25, renewal": (Gamma(RATE, 0.25), 0.25),
    "ablate, gamma 0.25, rescaled": (Gamma(RATE, 0.25, "rescaled"), 0.25),
    "ablate, gamma 4, renewal": (Gamma(RATE, 4.0), 4.0),
    "ablate, gamma 4, rescaled": (Gamma(RATE, 4.0, "rescaled"), 4.0),
}
"""Process and burstiness; an infinite one is a constant gap, as in ``vllm bench serve``."""

THEIRS = """\
import asyncio, json, sys, types
import numpy as np
from vllm.benchmarks import serve

rate, burstiness, n, seeds = map(float, sys.argv[1:])
times = []

async def sleep(seconds):  # until a request is due, by a clock that stands still
    times[-1].append(seconds)

async def plan():
    async for _ in serve.get_request([None] * int(n), rate, burstiness):
        pass

serve.asyncio = types.SimpleNamespace(sleep=sleep)
serve.time = types.SimpleNamespace(time=lambda: 0.0)
for seed in range(int(seeds)):
    np.random.seed(seed)
    times.append([])
    asyncio.run(plan())
print(json.dumps(times))
"""
"""What ``vllm bench serve`` plans, from the function that sends its requests."""


class Fit(NamedTuple):
    """How gaps agree with a gamma distribution: their coefficient of variation, and Kolmogorov and
    Smirnov's distance with its p-value (NaN for constant gaps).
    """

    variation: float
    distance: float
    p: float


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--vllm-python", help="an interpreter that has vLLM")
    options = parser.parse_args()
    print(f"| arrivals | CV asked for | CV found | error | KS rejects |\n|{' --- |' * 5}")
    for name, (process, burstiness) in OURS.items():
        plans = [np.array(process.offsets(GAPS, Random(seed))) for seed in range(SEEDS)]
        print_plans(name, plans, burstiness)
    if options.vllm_python:
        for burstiness in (1.0, 0.25, 4.0):
            name = f"vllm bench serve, burstiness {burstiness:g}"
            print_plans(name, theirs(options.vllm_python, burstiness), burstiness)


def theirs(python: str, burstiness: float) -> list[Floats]:
    command = [python, "-c", THEIRS, str(RATE), str(burstiness), str(GAPS), str(SEEDS)]
    env = {**os.environ, "PYTHONPATH": PYTHONPATH}
    done = subprocess.run(command, env=env, capture_output=True, text=True, check=True)  # noqa: S603
    return [np.array(times) for times in json.loads(done.stdout.splitlines()[-1])]


def fit(arrivals: Floats, rate: float, burstiness: float) -> Fit:
    """How well arrivals in seconds, ascending, fit what was asked for."""
    gaps = np.diff(arrivals)
    variation = float(gaps.std() / gaps.mean())
    if not np.isfinite(burstiness):
        return Fit(variation, np.nan, np.nan)
    found = stats.kstest(gaps, stats.gamma(burstiness, scale=1 / (rate * burstiness)).cdf)
    return Fit(variation, float(found.statistic), float(found.pvalue))


def print_plans(name: str, plans: Sequence[Floats], burstiness: float) -> None:
    fits = [fit(np.concatenate([[0.0], plan]), RATE, burstiness) for plan in plans]
    asked, found = burstiness**-0.5, float(np.mean([f.variation for f in fits]))
    error = f"{100 * (found / asked - 1):+.2f} %" if asked else f"{found:.1e}"
    rejected = sum(f.p < LEVEL for f in fits)
    shown = f"{rejected} of {len(fits)}" if asked else "—"
    print(f"| {name} | {asked:.3f} | {found:.3f} | {error} | {shown} |", flush=True)


if __name__ == "__main__":
    main()
