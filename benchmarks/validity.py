"""Are the intervals, p-values and verdicts what they claim to be? Simulated, with planted truths.

``python -m benchmarks.validity`` prints the tables of docs/explanation/statistics.md (about ten
minutes on two cores; ``--draws 0.1`` takes a tenth of the draws). The whole runs go through
``build_results`` as a real one does: trials of answers and times in, verdicts out.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from itertools import product
from typing import Any

import numpy as np

from ablate import stats
from ablate.report.results import build_results
from ablate.stats import Pairs
from ablate.types import ArmInfo, Completion, Outcome, Record, RunInfo, Trial, TrialResult

Rows = list[tuple[str, ...]]
GSM8K = 1_319
NOISE = 0.03
"""Standard deviation of a trial's log speed beside what its block shares."""


# --- single estimates


def covers(found: stats.Estimate, truth: float) -> bool:
    return found.low is not None and found.high is not None and found.low <= truth <= found.high


def paired(rng: np.random.Generator, n: int, worse: float, better: float) -> Pairs:
    """``n`` problems, each lost or won by the arm with these chances."""
    draw = rng.random(n)
    arm, baseline = np.ones(n), np.ones(n)
    arm[draw < worse] = 0
    baseline[(worse <= draw) & (draw < worse + better)] = 0
    return Pairs(arm, baseline, 0, 0)


def share_covered(n: int, p: float, draws: int) -> float:
    """How often Wilson's interval holds the true accuracy."""
    rng = np.random.default_rng(n)
    rights = rng.binomial(n, p, draws)
    found = {k: stats.wilson((np.arange(n) < k).astype(float)) for k in set(rights.tolist())}
    return sum(covers(found[k], p) for k in rights.tolist()) / draws


def difference_covered(n: int, worse: float, better: float, draws: int) -> float:
    rng = np.random.default_rng(n)
    pairs = (paired(rng, n, worse, better) for _ in range(draws))
    found = (stats.accuracy_difference(p, resamples=2000) for p in pairs)
    return sum(covers(one, better - worse) for one in found) / draws


def ratio_covered(blocks: int, draws: int) -> float:
    """Blocks share a machine whose speed varies by a fifth; each trial has noise of its own."""
    rng = np.random.default_rng(blocks)
    covered = 0
    for _ in range(draws):
        machine = rng.lognormal(0, 0.2, blocks)
        arm = 1.2 * machine * rng.lognormal(0, NOISE, blocks)
        found = stats.ratio(list(arm), list(machine * rng.lognormal(0, NOISE, blocks)))
        covered += covers(found, 1.2)
    return covered / draws


def power(n: int, loss: float, changed: float, draws: int) -> float:
    """How often a loss is found: the interval of the paired difference excludes no change."""
    rng = np.random.default_rng(n)
    worse, better = (changed + loss) / 2, (changed - loss) / 2
    pairs = (paired(rng, n, worse, better) for _ in range(draws))
    found = (stats.accuracy_difference(p, resamples=2000) for p in pairs)
    return sum(one.high is not None and one.high < 0 for one in found) / draws


def speed_power(blocks: int, faster: float, draws: int) -> float:
    rng = np.random.default_rng(blocks)
    found = 0
    for _ in range(draws):
        machine = rng.lognormal(0, 0.2, blocks)
        base = machine * rng.lognormal(0, 0.01, blocks)
        arm = faster * machine * rng.lognormal(0, 0.01, blocks)
        low = stats.ratio(list(arm), list(base)).low
        found += low is not None and low > 1
    return found / draws


# --- whole runs


@dataclass(frozen=True)
class World:
    """A run to be made up. ``loss``: by the set of levels that are on, the share of right answers
    that is lost; ``speed``: the factor. Answers change sides by chance in ``flip`` of the cases.
    """

    factors: tuple[str, ...]
    domains: tuple[str, ...]
    problems: int
    blocks: int = 3
    flip: float = 0.03
    loss: Mapping[frozenset[str], float] = field(default_factory=dict)
    speed: Mapping[frozenset[str], float] = field(default_factory=dict)


def arms_of(world: World) -> list[tuple[frozenset[str], ArmInfo]]:
    made = []
    for on in product((False, True), repeat=len(world.factors)):
        chosen = frozenset(f for f, o in zip(world.factors, on, strict=True) if o)
        levels = {f: "on" if f in chosen else "off" for f in world.factors}
        made.append((chosen, ArmInfo("+".join(sorted(chosen)) or "baseline", levels, {})))
    again = ArmInfo("baseline-again", dict.fromkeys(world.factors, "off"), {}, replicate=1)
    return [made[0], (frozenset(), again), *made[1:]]


def results_of(world: World, seed: int) -> dict[str, Any]:
    """The results of one made-up run."""
    rng = np.random.default_rng(seed)
    size = world.problems * len(world.domains)
    right = rng.random(size) < 0.8
    arms = arms_of(world)
    machine = rng.lognormal(0, 0.1, world.blocks)
    trials = []
    for chosen, arm in arms:
        answers = right ^ (rng.random(size) < world.flip)
        answers &= rng.random(size) >= world.loss.get(chosen, 0.0)
        for block in range(world.blocks):
            pace = machine[block] * rng.lognormal(0, NOISE) * world.speed.get(chosen, 1.0)
            trials.append(_trial(world, arm.id, block, answers, float(pace)))
    info = RunInfo(
        "simulated", "", "", "", "", world.domains, tuple(a for _, a in arms), world.blocks, size
    )
    return build_results(info, trials)


def _trial(world: World, arm: str, block: int, right: Any, pace: float) -> Trial:
    done = Completion("", "", 1, 2, 0, 0.0, 0.0, 1 / pace, (0.5 / pace, 1 / pace), 1.0, "stop")
    outcomes: tuple[Outcome, Outcome] = ("wrong", "correct")
    records = tuple(
        Record(done, domain, str(i), 0, None, outcomes[int(right[d * world.problems + i])], "", "")
        for d, domain in enumerate(world.domains)
        for i in range(world.problems)
    )
    result = TrialResult(arm, block, "ok", running_time=len(records) / pace, weight_bytes=1)
    return Trial(result, records, ())


def alarms(world: World, seed: int) -> dict[str, bool]:
    """Whether a run in which nothing has an effect shows any, by family, and in a verdict."""
    found = results_of(world, seed)
    every = [*found["effects"], *found["interactions"]]

    def any_in(metric: str) -> bool:
        return any(
            e["metric"] == metric and e["p_holm"] is not None and e["p_holm"] < 0.05 for e in every
        )

    wrong = [v["accuracy"]["status"] in ("better", "worse") for v in found["verdicts"]]
    return {
        "accuracy: any effect or interaction, any domain": any_in("accuracy"),
        "request throughput: any effect or interaction": any_in("request_throughput"),
        "E2E latency: any effect or interaction, any domain": any_in("mean_e2el_ms"),
        "accuracy: any verdict of better or worse": any(wrong),
    }


def interaction(world: World, seed: int) -> dict[str, bool]:
    """Whether a loss that only two together bring is found, and whom it is blamed on."""
    found = results_of(world, seed)
    (pair,) = (
        e for e in found["interactions"] if e["metric"] == "accuracy" and e["domain"] is None
    )
    verdicts = [v for v in found["verdicts"] if v["domain"] is None]
    return {
        "the interaction is shown (adjusted p below 0.05)": pair["p_holm"] < 0.05,
        "an optimization by itself is called worse": any(
            v["accuracy"]["status"] == "worse" for v in verdicts
        ),
    }


def rates(pool: ProcessPoolExecutor, look: Callable[[int], dict[str, bool]], draws: int) -> Rows:
    found = list(pool.map(look, range(draws), chunksize=max(1, draws // 20)))
    return [(name, *_share([one[name] for one in found])) for name in found[0]]


def _share(hits: Sequence[bool]) -> tuple[str, str]:
    """A share in percent, with its Wilson interval."""
    e = stats.wilson(np.array(hits, dtype=np.float64))
    low, high = (100 * (v or 0.0) for v in (e.low, e.high))
    return f"{100 * float(np.mean(hits)):.1f} %", f"{low:.1f} to {high:.1f} of {len(hits)} runs"


# --- tables


def coverage(draws: int) -> Iterator[tuple[str, ...]]:
    for n, p in product((100, 300, 1000), (0.05, 0.2, 0.5, 0.8, 0.95)):
        yield (
            f"accuracy of an arm, {n} problems, {p:.0%} right",
            f"{share_covered(n, p, draws):.1%}",
        )
    for n, (worse, better) in product(
        (100, 300, 1000), ((0.03, 0.03), (0.06, 0.02), (0.15, 0.05), (0.4, 0.1))
    ):
        covered = difference_covered(n, worse, better, draws // 5)
        yield f"change, {n} problems, {worse:.0%} lost, {better:.0%} won", f"{covered:.1%}"
    for blocks in (3, 5, 10):
        yield f"ratio of speeds, {blocks} blocks", f"{ratio_covered(blocks, draws):.1%}"


def powers(draws: int) -> Iterator[tuple[str, ...]]:
    for n, loss, changed in ((GSM8K, 0.02, 0.06), (500, 0.03, 0.06), (100, 0.05, 0.1)):
        found = power(n, loss, changed, draws // 5)
        yield (
            f"{100 * loss:g} points lost, {changed:.0%} change sides, {n:,} problems",
            f"{found:.1%}",
        )
    for blocks, faster in ((3, 1.05), (3, 1.1), (5, 1.05)):
        found = speed_power(blocks, faster, draws)
        yield f"{faster:g} times as fast, {blocks} blocks, trials vary by 1 %", f"{found:.1%}"


def show(title: str, heads: tuple[str, ...], rows: Iterator[tuple[str, ...]] | Rows) -> None:
    print(f"\n**{title}**\n\n| {' | '.join(heads)} |\n|{' --- |' * len(heads)}", flush=True)
    for row in rows:
        print(f"| {' | '.join(row)} |", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--draws", type=float, default=1.0, help="share of the usual draws")
    share = parser.parse_args().draws
    show("Coverage of 95 % intervals", ("interval", "holds the truth"), coverage(int(5000 * share)))
    show("Power", ("planted effect", "found"), powers(int(5000 * share)))
    with ProcessPoolExecutor() as pool:
        null = World(("a", "b", "c"), ("one", "two", "three", "four"), 50)
        heads = ("false alarm", "share of runs", "95 % interval")
        title = "Nothing has an effect: three factors, eight arms, four domains"
        show(title, heads, rates(pool, partial(alarms, null), int(600 * share)))
        both = frozenset(("a", "b"))
        together = World(("a", "b"), ("one",), GSM8K, loss={both: 0.05 / 0.8})
        heads = ("what the report says", "share of runs", "95 % interval")
        title = f"Only together do two optimizations lose 5 points, of {GSM8K:,} problems"
        show(title, heads, rates(pool, partial(interaction, together), int(200 * share)))


if __name__ == "__main__":
    main()
