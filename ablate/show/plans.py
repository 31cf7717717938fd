"""What ``ablate plan`` prints."""

from __future__ import annotations

from dataclasses import asdict

from rich.console import Console
from rich.text import Text

from ablate.estimate import Estimate, estimate
from ablate.levels import Level
from ablate.planning import Plan
from ablate.power import DISCORDANCE, POWER, detectable
from ablate.show.tables import pairs, table, titled


def print_plan(plan: Plan, console: Console) -> None:
    """Arms, levels, trials and tokens of a plan that has no conflicts."""
    recipe = plan.recipe
    estimated = estimate(plan)
    asked = plan.arms[0].asked.items()
    console.print(Text(recipe.name, "bold"))
    facts = {
        "model": recipe.model.id,
        "engine": " ".join([recipe.engine[0], pairs(recipe.engine[1])]),
        "domains": ", ".join(f"{name} ({len(some)} problems)" for name, some in asked),
        "sampling": pairs(asdict(recipe.sampling)),
        "workload": pairs(recipe.workload),
        "executor": " ".join([recipe.executor[0], pairs(recipe.executor[1])]),
        "design": f"{recipe.design}, {_size(plan)}",
    }
    console.print(table((), facts.items()))
    arms = [
        [a.info.id, *a.info.levels.values(), str(estimated.requests_per_trial[a.info.id])]
        for a in plan.arms
    ]
    console.print(titled("Arms", ("arm", *recipe.factors, "requests a trial"), arms))
    if plan.levels:
        levels = [[level.factor, level.label, _level_text(level)] for level in plan.levels]
        console.print(titled("Levels", ("factor", "level", "switches on"), levels))
    console.print(titled("Trials, in the order of execution", ("block", "arms"), _blocks(plan)))
    console.print(titled("Size", (), _sizes(plan, estimated)))
    console.print(titled("What it can detect", (), _power(plan)))
    console.print("\nNo conflicts were found.")


def _size(plan: Plan) -> str:
    twins = sum(bool(arm.info.offline_of) for arm in plan.arms)
    size = f"{len(plan.arms) - twins} arms x {plan.recipe.blocks} blocks"
    return f"{size}, and {twins} offline trials" if twins else size


def _level_text(level: Level) -> str:
    parts = [f"{name} {pairs(asdict(plugin))}" for name, plugin in level.plugins.items()]
    return "; ".join([*parts, *([pairs(level.settings)] if level.settings else [])])


def _blocks(plan: Plan) -> list[list[str]]:
    return [
        [str(block), ", ".join(t.arm.info.id for t in plan.trials if t.block == block)]
        for block in range(plan.recipe.blocks)
    ]


def _sizes(plan: Plan, estimated: Estimate) -> list[list[str]]:
    expected = estimated.expected_output_tokens
    return [
        ["trials", f"{len(plan.trials):,}"],
        ["requests", f"{estimated.requests:,}"],
        ["output tokens", f"{estimated.most_output_tokens:,} at most"],
        [
            "",
            f"about {expected:,} if answers are as long as the worked ones"
            if expected is not None
            else "no expectation: a domain has no worked answers, or the tokenizer is not here",
        ],
    ]


def _power(plan: Plan) -> list[list[str]]:
    rows = [
        [name, f"{n:,} problems: {_loss(loss)}"] for name, (n, loss) in detectable(plan).items()
    ]
    return [
        *rows,
        ["", f"at {POWER:.0%} power, if {DISCORDANCE:.0%} of the answers change, or as many as"],
        ["", "are lost; for one comparison. Several fresh answers a problem find smaller losses."],
    ]


def _loss(share: float | None) -> str:
    return "too few to find any loss" if share is None else f"a loss of {100 * share:.1f} points"
