"""What the shipped models show, read from a run of ``recipes/tiny-models.yaml``.

::

    ablate run recipes/tiny-models.yaml --output-dir runs/tiny-models
    python -m training.showcase runs/tiny-models
"""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Sequence
from pathlib import Path
from statistics import fmean

from scipy.stats import spearmanr

from ablate.store import RunDir
from ablate.types import Record, Trial

BUDGETS = (64, 128, 256, 512)


def halves(records: Sequence[Record]) -> tuple[list[Record], list[Record]]:
    """The records of the lower and of the upper half of a domain's range of difficulties."""
    levels = [r.difficulty or 0.0 for r in records]
    middle = (min(levels) + max(levels)) / 2
    pairs = list(zip(records, levels, strict=True))
    return [r for r, level in pairs if level <= middle], [r for r, level in pairs if level > middle]


def accuracy(records: Iterable[Record]) -> float:
    """Share of right answers, in percent."""
    return 100 * fmean(r.correct for r in records)


def within(records: Sequence[Record], budget: int) -> float:
    """Accuracy, in percent, if every output were cut off after ``budget`` tokens.

    Greedy outputs up to there are the same, so this is what a run with that limit would give.
    """
    return 100 * fmean(r.correct and r.completion.output_tokens <= budget for r in records)


def correlation(records: Sequence[Record]) -> float:
    """Spearman's rank correlation of difficulty with output length; 0 where lengths are equal."""
    lengths = [r.completion.output_tokens for r in records]
    if len(set(lengths)) == 1:
        return 0.0
    return float(spearmanr([r.difficulty or 0.0 for r in records], lengths).statistic)


def acceptance(trial: Trial) -> str:
    """Mean acceptance length as vLLM counts it, where the arm drafts."""
    counters = trial.result.counters
    drafts = counters.get("spec_num_drafts")
    return f"{1 + counters['spec_num_accepted_tokens'] / drafts:.2f}" if drafts else ""


def table(trial: Trial, domains: Sequence[str]) -> list[str]:
    """One arm as lines of a Markdown table, a line a domain."""
    lines = []
    for domain in domains:
        records = [r for r in trial.records if r.domain == domain]
        easy, hard = halves(records)
        cells = [
            trial.result.arm,
            domain,
            f"{accuracy(easy):.1f} of {len(easy)}",
            f"{accuracy(hard):.1f} of {len(hard)}",
            f"{fmean(r.completion.output_tokens for r in records):.0f}",
            f"{correlation(records):.2f}",
            *(f"{within(records, budget):.0f}" for budget in BUDGETS),
            str(sum(r.outcome in ("unparsed", "truncated") for r in records)),
        ]
        lines.append(f"| {' | '.join(cells)} |")
    return lines


def showcase(run: RunDir) -> str:
    """Accuracy by domain and half, length, rank correlation and budgets for every arm."""
    info = run.info()
    trials = run.trials(info)
    budgets = " | ".join(f"in {budget}" for budget in BUDGETS)
    head = f"| arm | domain | easy % | hard % | tokens | correlation | {budgets} | no answer |"
    lines = [head, "|" + " --- |" * (7 + len(BUDGETS))]
    lines += [line for trial in trials for line in table(trial, info.domains)]
    lines += [
        f"mean acceptance length of {trial.result.arm}: {acceptance(trial)}"
        for trial in trials
        if acceptance(trial)
    ]
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("run", type=Path, help="run directory")
    print(showcase(RunDir(parser.parse_args().run)))


if __name__ == "__main__":
    main()
