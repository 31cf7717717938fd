"""Time and memory that the estimates of a run with very many answers take.

``python -m benchmarks.million`` makes up 1,000,000 answers (four arms and the baseline again, four
blocks, 40 tokens each) and hands them to ``build_results`` trial by trial, as a report does. The
time to make them up is not counted, nor is that to read them from disk.
"""

from __future__ import annotations

import argparse
import resource
import time
from collections.abc import Iterator

import numpy as np

from ablate.report.results import build_results
from ablate.types import ArmInfo, Completion, Outcome, Record, RunInfo, Trial, TrialResult, Usage

DOMAINS = ("arithmetic", "algebra", "logic", "code")
BLOCKS = 4
TOKENS = 40


def arms() -> tuple[ArmInfo, ...]:
    made = [
        ArmInfo(f"{weights}+{decode}", {"weights": weights, "decode": decode}, {})
        for weights in ("off", "awq")
        for decode in ("off", "draft")
    ]
    return (made[0], ArmInfo("again", dict(made[0].levels), {}, replicate=1), *made[1:])


class Source:
    """Makes up trials one by one, and counts the seconds that this takes."""

    def __init__(self, records: int) -> None:
        self.info = RunInfo(
            "million", "", "", "", "", DOMAINS, arms(), BLOCKS, records // (5 * BLOCKS)
        )
        self.seconds = 0.0
        self.made = 0

    def trials(self) -> Iterator[Trial]:
        for arm in self.info.arms:
            for block in range(BLOCKS):
                began = time.perf_counter()
                trial = self._trial(arm.id, block)
                self.made += len(trial.records)
                self.seconds += time.perf_counter() - began
                yield trial

    def _trial(self, arm: str, block: int) -> Trial:
        rng = np.random.default_rng(len(arm) + block)
        each = self.info.requests_per_trial // len(DOMAINS)
        outcomes: tuple[Outcome, Outcome] = ("wrong", "correct")
        right = (rng.random(each) < 0.8).tolist()
        gaps = np.cumsum(rng.exponential(0.01, (each, TOKENS)), axis=1).tolist()
        records = tuple(
            _record(domain, i, outcomes[right[i]], tuple(gaps[i]))
            for domain in DOMAINS
            for i in range(each)
        )
        usage = tuple(Usage(float(t), 16, 4, 1000, 5000, 6000, 9000) for t in range(100))
        result = TrialResult(arm, block, "ok", running_time=100.0 + rng.random(), weight_bytes=10)
        return Trial(result, records, usage)


def _record(domain: str, number: int, outcome: Outcome, times: tuple[float, ...]) -> Record:
    done = Completion(
        "", "", 100, TOKENS, TOKENS // 2, 0.0, 0.0, times[-1], times, times[TOKENS // 2], "stop"
    )
    return Record(done, domain, str(number), 0, None, outcome, "1", "1")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--records", type=int, default=1_000_000)
    source = Source(parser.parse_args().records)
    began = time.perf_counter()
    build_results(source.info, source.trials())
    seconds = time.perf_counter() - began - source.seconds
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    print(f"{source.made:,} answers: {seconds:.1f} s, peak of the process {peak:.2f} GB")


if __name__ == "__main__":
    main()
