"""Arms of one run held against each other: the same answers, and what differs in time.

``ablate run recipes/engines.yaml --output-dir runs/engines && python -m benchmarks.same_answers
runs/engines``: whether engines give the same text, as many tokens and the same verdict for each
request, and the ratios of latencies and throughput and the differences in milliseconds, paired by
block, with 95 % intervals.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from ablate.metrics import measure
from ablate.report.source import run_info, run_trials
from ablate.store import RunDir
from ablate.types import Record, Trial
from benchmarks.ratios import print_differences, print_ratios

COMPARED = ("output_throughput", "mean_ttft_ms", "mean_tpot_ms", "mean_e2el_ms")


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("run", type=Path, help="run directory")
    options = parser.parse_args()
    run = RunDir(options.run)
    info = run_info(run)
    trials = [t for t in run_trials(run, info) if t.result.status == "ok"]
    arms = list(dict.fromkeys(t.result.arm for t in trials))
    print("| arms | requests | same text | as many tokens | same verdict |")
    print("| --- | --- | --- | --- | --- |")
    for i, one in enumerate(arms):
        for other in arms[i + 1 :]:
            print_answers(f"{other}, {one}", pairs(trials, other, one))
    for i, one in enumerate(arms):
        for other in arms[i + 1 :]:
            print_times(f"{other} / {one}", pairs(trials, other, one))


def pairs(trials: Sequence[Trial], one: str, other: str) -> list[tuple[Trial, Trial]]:
    """The two arms' trials, block by block."""
    of = {(t.result.arm, t.result.block): t for t in trials}
    blocks = sorted({block for arm, block in of if arm == one and (other, block) in of})
    return [(of[one, block], of[other, block]) for block in blocks]


def print_answers(name: str, found: Sequence[tuple[Trial, Trial]]) -> None:
    both: list[tuple[Record, Record]] = []
    for one, other in found:
        theirs = {r.completion.request_id: r for r in other.records}
        both += [(r, theirs[r.completion.request_id]) for r in one.records]
    text = sum(a.completion.text == b.completion.text for a, b in both)
    tokens = sum(a.completion.output_tokens == b.completion.output_tokens for a, b in both)
    verdicts = sum(a.outcome == b.outcome for a, b in both)
    print(f"| {name} | {len(both)} | {text} | {tokens} | {verdicts} |")


def print_times(name: str, found: Sequence[tuple[Trial, Trial]]) -> None:
    measured = [(measure(a).all, measure(b).all) for a, b in found]
    for metric in COMPARED:
        values = [(a[metric], b[metric]) for a, b in measured]
        known = [(a, b) for a, b in values if a is not None and b is not None]
        if known:
            print_ratios(f"{metric}, {name}", known)
        if known and metric.endswith("_ms"):
            print_differences(f"{metric}, {name}, difference", known)


if __name__ == "__main__":
    main()
