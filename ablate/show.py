"""What ``ablate plan``, ``ablate plugins`` and ``ablate artifacts`` print."""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import Any

from rich.console import Console, Group
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from ablate.artifacts import Kept
from ablate.compatibility import columns, supporting
from ablate.estimate import Estimate, estimate
from ablate.levels import Level
from ablate.options import describe, text
from ablate.plan import Plan
from ablate.plugins import Found, Installed, Kind, Plugin, hooks_of
from ablate.power import DISCORDANCE, POWER, detectable
from ablate.problems import problems_of

REGISTERED: Mapping[Kind, str] = {
    "engine": "Engines",
    "domain": "Domains",
    "arrival": "Arrival processes",
    "executor": "Executors",
}


def print_plan(plan: Plan, console: Console) -> None:
    """Arms, levels, trials and tokens of a plan that has no conflicts."""
    recipe = plan.recipe
    estimated = estimate(plan)
    domains = plan.arms[0].domains.items()
    console.print(Text(recipe.name, "bold"))
    facts = {
        "model": recipe.model.id,
        "engine": " ".join([recipe.engine[0], _pairs(recipe.engine[1])]),
        "domains": ", ".join(f"{name} ({len(problems_of(d))} problems)" for name, d in domains),
        "sampling": _pairs(asdict(recipe.sampling)),
        "workload": _pairs(recipe.workload),
        "executor": " ".join([recipe.executor[0], _pairs(recipe.executor[1])]),
        "design": f"{recipe.design}, {len(plan.arms)} arms x {recipe.blocks} blocks",
    }
    console.print(_table((), facts.items()))
    arms = [
        [a.info.id, *a.info.levels.values(), str(estimated.requests_per_trial[a.info.id])]
        for a in plan.arms
    ]
    console.print(_titled("Arms", ("arm", *recipe.factors, "requests a trial"), arms))
    if plan.levels:
        levels = [[level.factor, level.label, _level_text(level)] for level in plan.levels]
        console.print(_titled("Levels", ("factor", "level", "switches on"), levels))
    console.print(_titled("Trials, in the order of execution", ("block", "arms"), _blocks(plan)))
    console.print(_titled("Size", (), _sizes(plan, estimated)))
    console.print(_titled("What it can detect", (), _power(plan)))
    console.print("\nNo conflicts were found.")


def print_plugins(installed: Installed, console: Console) -> None:
    """Every optimization, the support matrix, what else is registered, and what is broken."""
    engines = installed.registry.all("engine")
    for found in installed.found:
        if found.plugin:
            console.print(_plugin(found, found.plugin, engines))
    heads, marks = support_matrix(installed)
    console.print(_titled("Supported engines", heads, marks))
    for kind, title in REGISTERED.items():
        known = installed.registry.all(kind)
        rows = [[name, _first_line(cls), _options(cls)] for name, cls in known.items()]
        console.print(_titled(title, ("name", "what", "options"), rows))
    broken = [[f.name, _origin(f), f.error or ""] for f in installed.found if f.error]
    if broken:
        console.print(_titled("Installed but broken", ("name", "from", "error"), broken))


def support_matrix(installed: Installed) -> tuple[tuple[str, ...], list[list[str]]]:
    """Which optimization works with which engine: headings and rows, computed from the hooks."""
    engines = installed.registry.all("engine")
    names = tuple(columns(engines))
    rows = []
    for name, plugin in installed.optimizations.items():
        fitting = supporting(plugin, engines)
        rows.append([name, *("yes" if engine in fitting else "-" for engine in names)])
    return ("plugin", *names), rows


def print_artifacts(kept: Sequence[Kept], root: Path, console: Console) -> None:
    """The quantized models on disk, the newest first, with what they were made from."""
    if not kept:
        console.print(f"No quantized models are kept in {root}.", markup=False)
        return
    rows = [
        [
            one.name,
            one.model,
            f"{one.bytes / 1e6:,.1f} MB",
            datetime.fromtimestamp(one.made).strftime("%Y-%m-%d %H:%M"),
            _made_from(one),
        ]
        for one in kept
    ]
    console.print(_table(("name", "model", "size", "made", "options"), rows))
    total = sum(one.bytes for one in kept) / 1e6
    console.print(f"\n{len(kept)} in {root}, {total:,.1f} MB", markup=False)


def _made_from(one: Kept) -> str:
    if one.inputs is None:
        return "damaged: its manifest cannot be read; delete it"
    options = one.inputs.get("options")
    return _pairs(options) if isinstance(options, Mapping) else ""


def _plugin(found: Found, plugin: type[Plugin], engines: Mapping[str, Any]) -> Group:
    facts = {
        "options": _options(plugin),
        "hooks": ", ".join(f"{h} ({use})" for h, use in hooks_of(plugin).items()),
        "engines": ", ".join(supporting(plugin, engines)) or "none that is installed",
        "lossless": "yes, greedy output is the baseline's" if plugin.lossless else "no",
        "source": plugin.source or "-",
        "from": _origin(found),
    }
    heading = Text.assemble((found.name, "bold"), f"  {_first_line(plugin)}")
    return Group(heading, Padding(_table((), facts.items()), (0, 0, 1, 2)))


def _options(cls: type) -> str:
    """The options of a component, one a line."""
    lines = [
        f"{o.name}: {o.type}" + (" (needed)" if o.default is None else f" = {o.default}")
        for o in describe(cls)
    ]
    return "\n".join(lines) or "-"


def _first_line(cls: type) -> str:
    first = (inspect.getdoc(cls) or "").split("\n\n")[0]
    return first.replace("\n", " ").replace("``", "")


def _origin(found: Found) -> str:
    return f"{found.distribution} {found.version}"


def _level_text(level: Level) -> str:
    parts = [f"{name} {_pairs(asdict(plugin))}" for name, plugin in level.plugins.items()]
    return "; ".join([*parts, *([_pairs(level.settings)] if level.settings else [])])


def _pairs(options: Mapping[str, Any]) -> str:
    return " ".join(f"{key}={text(value)}" for key, value in options.items())


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


def _titled(title: str, headings: Sequence[str], rows: Iterable[Sequence[str]]) -> Group:
    return Group(Text(f"\n{title}", "bold"), _table(headings, rows))


def _table(headings: Sequence[str], rows: Iterable[Sequence[str]]) -> Table:
    table = Table(box=None, pad_edge=False, show_header=bool(headings), padding=(0, 2, 0, 0))
    for heading in headings:
        table.add_column(Text(heading, "dim"), overflow="fold")
    for row in rows:
        table.add_row(*(Text(cell) for cell in row))
    return table
