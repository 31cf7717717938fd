"""Writes the pages of docs/reference that are printed from code: ``python docs/generate.py``."""

from __future__ import annotations

import inspect
import os
import re
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import fields
from pathlib import Path
from typing import Any, get_args

import ablate
from ablate import errors, evidence, hookspecs, testing, types
from ablate.api.columns import reference as frames
from ablate.api.results import Run
from ablate.arrivals import base as arrivals
from ablate.domains import BUILT_IN
from ablate.domains.base import Domain
from ablate.engines import base as engine_base
from ablate.engines.local import loading
from ablate.errors import RecipeError
from ablate.hookspecs import COMPONENT_HOOKS, HOOKS, HOOKSPEC_VERSION
from ablate.options import describe
from ablate.plugins import Plugin, Registry, installed
from ablate.quantization import linears
from ablate.report.parquet import reference as parquet
from ablate.report.reference import reference as metrics
from ablate.scaffold import render
from ablate.schema import reference as recipe
from ablate.show.plugins import support_matrix
from ablate.testing import pytest_plugin
from ablate.testing.fake_server import Behaviour
from ablate.trial_metric import TrialMetric
from ablate.types import Protocol
from ablate_datasets import BUILT_IN as DATA_SETS

EXAMPLES_DIFFICULTY = 3
RUN_METHODS = ("table", "contrasts", "records", "report")
FIXTURES = ("tiny_model", "fake_clock", "fake_server")
VALUES = (
    types.Problem,
    types.Grade,
    types.ModelSpec,
    types.Limits,
    types.Requirements,
    types.Evidence,
    types.EvidenceState,
    types.EngineFacts,
    types.Sampling,
    types.Request,
    types.Load,
    types.Completion,
    types.Usage,
    types.Record,
    types.TrialResult,
    types.Trial,
)
BASES = (
    Plugin,
    Registry,
    Domain,
    arrivals.Arrival,
    arrivals.OpenLoop,
    TrialMetric,
    engine_base.Engine,
    engine_base.EngineContext,
    engine_base.Session,
)
HELP = (
    loading.load_model,
    linears.plain_linears,
    evidence.drafting,
    evidence.resolved,
    evidence.undecided,
    errors.TrialError,
)
FOLDER = Path(__file__).parent / "reference"


def hooks() -> str:
    """The hook reference: the module's docstring, then a heading for every hook."""
    intro = inspect.getdoc(hookspecs) or ""
    pages = "\n".join(_hook(name) for name in HOOKS)
    source = (
        "Printed from `ablate/hookspecs.py` by `docs/generate.py`. These are hook specifications "
        f"{HOOKSPEC_VERSION};\n[what may change when](../explanation/stability.md)."
    )
    return f"# Hooks\n\n{source}\n\n{intro}\n\n{pages}"


def _hook(name: str) -> str:
    function = getattr(hookspecs, name)
    kind = "Component hook. " if name in COMPONENT_HOOKS else ""
    signature = str(inspect.signature(function)).replace("'", "")  # annotations are strings here
    return f"## {name}\n\n```python\n{name}{signature}\n```\n\n{kind}{inspect.getdoc(function)}\n"


def python_api() -> str:
    """The functions of `ablate` and the methods of `Run`, as their docstrings tell."""
    functions = [_member(f"ablate.{f.__name__}", f) for f in (ablate.run, ablate.plan, ablate.load)]
    methods = [_member(f"Run.{name}", getattr(Run, name)) for name in RUN_METHODS]
    return (
        "# Python API\n\nPrinted from the docstrings by `docs/generate.py`. "
        "[How to use it](../how-to/notebooks.md).\n\n"
        f"{chr(10).join(functions)}\n## Run\n\n{inspect.getdoc(Run)}\n\n"
        "`path`: the run's folder. `results`: the mapping. "
        f"`failures`: {_lower(inspect.getdoc(Run.failures))}\n\n{chr(10).join(methods)}"
    )


def _member(name: str, function: Callable[..., object]) -> str:
    signature = str(inspect.signature(function)).replace("'", "").replace("(self)", "()")
    short = name.rpartition(".")[2]
    return f"## {name}\n\n```python\n{short}{signature}\n```\n\n{inspect.getdoc(function)}\n"


def _lower(text: str | None) -> str:
    return text[0].lower() + text[1:] if text else ""


def domains() -> str:
    """Each built-in domain: what it asks, its options, and a worked test problem."""
    intro = (
        "Printed from `ablate/domains` by `docs/generate.py`.\n\n"
        "Every domain has `limit` (how many problems are asked; null: all) and `seed` (which).\n"
        "A hash of the prompt puts one problem in eight into the test split; the shipped models\n"
        "have learned from the others only. The worked solutions are what `tiny-reasoner` was\n"
        "taught to write."
    )
    return "\n".join([f"# Domains\n\n{intro}\n", *(_domain(domain) for domain in BUILT_IN)])


def _domain(domain: type[Domain]) -> str:
    about = inspect.getdoc(sys.modules[domain.__module__])
    options = [f"`{f.name}` ({f.default})" for f in fields(domain)]
    easy = [p for p in domain(limit=80).problems() if p.difficulty == EXAMPLES_DIFFICULTY]
    some = list({problem.prompt.split()[0]: problem for problem in easy}.values())[:2]
    worked = "\n\n".join(f"```text\n{p.prompt}\n\n{p.solution}\n```" for p in some)
    name = some[0].domain
    return (
        f"## {name}\n\n{about}\n\n{inspect.getdoc(domain)}\n\n"
        f"Options (default): {', '.join(options)}\n\n{worked}\n"
    )


def datasets() -> str:
    """Each data set: where it comes from, its options, and how it is asked and graded."""
    intro = (
        "Printed from `plugins/ablate_datasets` by `docs/generate.py`. They need\n"
        '`pip install "ablate-inference[domains]"`, but `jsonl` and local files do not.\n\n'
        "Rows are fetched from the Hugging Face hub once, at a commit that is recorded, and kept\n"
        "in the cache; `path` names a local file instead (JSON lines, JSON, CSV or Parquet, also\n"
        "compressed with gzip), or a folder with a file for each split. Once rows were read, a\n"
        "report's statement also names the revision and the SHA-256 of the rows.\n\n"
        "The recipe key `protocol`, or the option of that name, chooses how they are asked and\n"
        "graded. An output that ended without an answer is `unparsed`, one that was cut off\n"
        "before its answer `truncated`; neither is counted as wrong in silence."
    )
    with _empty_cache():
        return "\n".join([f"# Data sets\n\n{intro}\n", *(_dataset(one) for one in DATA_SETS)])


@contextmanager
def _empty_cache() -> Iterator[None]:
    """What this machine has fetched is no part of the page."""
    before = os.environ.get("ABLATE_CACHE")
    with tempfile.TemporaryDirectory() as folder:
        os.environ["ABLATE_CACHE"] = folder
        try:
            yield
        finally:
            os.environ.pop("ABLATE_CACHE")
            if before is not None:
                os.environ["ABLATE_CACHE"] = before


def _dataset(domain: Any) -> str:
    about = inspect.getdoc(sys.modules[domain.__module__])
    options = [
        f"| `{o.name}` | {o.type} | {'needed' if o.default is None else f'`{o.default}`'} |"
        for o in describe(domain)
    ]
    table = "\n".join(["| option | value | default |", "| --- | --- | --- |", *options])
    protocols = "\n".join(f"- `{p}`: {_said(domain, p)}" for p in get_args(Protocol))
    parts = [about, getattr(domain, "about", ""), inspect.getdoc(domain), table, protocols]
    return f"## {domain.name}\n\n" + "\n\n".join(filter(None, parts)) + "\n"


def _said(domain: Any, protocol: str) -> str:
    given = {"path": "problems.jsonl"} if domain.name == "jsonl" else {}
    try:
        said = str(domain(**given, protocol=protocol).statement)
    except RecipeError as error:
        return f"refused: {error}."
    # Nor is the version of the harness that is installed here; stop texts are no tags of HTML.
    return re.sub(r"(lm-evaluation-harness) [\d.]*:", r"\1:", said).replace("<", "\\<")


def engines() -> str:
    """The support matrix: every built-in optimization against every engine."""
    heads, rows = support_matrix(installed())
    intro = (
        "Printed from the plugins' hooks by `docs/generate.py`; `ablate plugins` prints it for\n"
        "all that you have installed. An optimization supports an engine if it implements a hook\n"
        "that the engine calls; one that asks for engine arguments must be given some."
    )
    lines = [heads, ["---"] * len(heads), *([f"`{name}`", *marks] for name, *marks in rows)]
    table = "\n".join(f"| {' | '.join(line)} |" for line in lines)
    return f"# Engines\n\n{intro}\n\n{table}\n"


def checks() -> str:
    """The testing reference: every public name of ``ablate.testing``, then pytest's fixtures."""
    source = "Printed from `ablate/testing` by `docs/generate.py`."
    names = {name: getattr(testing, name) for name in testing.__all__}
    fixtures = {name: inspect.getdoc(getattr(pytest_plugin, f"_{name}")) for name in FIXTURES}
    pages = [
        f"# Testing plugins\n\n{source}\n\n{inspect.getdoc(testing)}\n",
        *(_public(name, thing) for name, thing in names.items()),
        _public("Behaviour", Behaviour),
        "## Fixtures for pytest\n",
        *(f"### {name}\n\n{text}\n" for name, text in fixtures.items()),
    ]
    return "\n".join(pages)


def parts() -> str:
    """What plugins are made of: base classes, the values that flow, and what helps."""
    intro = (
        "Printed from the code by `docs/generate.py`. Times are seconds. Where a name is imported\n"
        "from stands under it; [how long it stays](../explanation/stability.md). The in-process\n"
        "engine's own parts (`KVStore`, `DecodeStep`, `Scheduler`, `Proposer`) are described in\n"
        "[their module](../../ablate/engines/local/interfaces.py)."
    )
    groups = {"Base classes": BASES, "Values": VALUES, "Helpers": HELP}
    pages = [
        f"## {title}\n\n" + "\n".join(_part(thing) for thing in things)
        for title, things in groups.items()
    ]
    return "\n".join([f"# What plugins are made of\n\n{intro}\n", *pages])


def _part(thing: Any) -> str:
    name = thing.__name__
    where = f"### {name}\n\n`from {thing.__module__} import {name}`"
    return _public(name, thing).replace(f"## {name}", where, 1)


def _public(name: str, thing: Any) -> str:
    text = f"## {name}\n\n{_signature(name, thing)}\n\n{inspect.getdoc(thing)}\n"
    if not isinstance(thing, type):
        return text
    methods = {n: m for n, m in vars(thing).items() if not n.startswith("_")}
    return text + "".join(
        f"\n{_attribute(f'{name}.{n}', m)}\n\n{inspect.getdoc(m)}\n"
        for n, m in methods.items()
        if (inspect.isfunction(m) or isinstance(m, property)) and inspect.getdoc(m)
    )


def _attribute(name: str, thing: Any) -> str:
    if not isinstance(thing, property):
        return _signature(name, thing)
    return f"```text\n{name} -> {inspect.signature(thing.fget).return_annotation}\n```"  # type: ignore[arg-type]


def _signature(name: str, thing: Any) -> str:
    found = inspect.signature(thing)
    shown = [p.replace(annotation=_Bare(p.annotation)) for p in found.parameters.values()]
    if not isinstance(thing, type):
        found = found.replace(return_annotation=_Bare(found.return_annotation))
    return f"```text\n{name}{found.replace(parameters=[p for p in shown if p.name != 'self'])}\n```"


class _Bare:
    """An annotation as it stands in the source; the modules keep them as strings."""

    def __init__(self, annotation: Any) -> None:
        self._annotation = annotation

    def __repr__(self) -> str:
        return str(self._annotation)


PAGES: dict[str, Callable[[], str]] = {
    "data-frames.md": frames,
    "datasets.md": datasets,
    "domains.md": domains,
    "engines.md": engines,
    "hooks.md": hooks,
    "metrics.md": metrics,
    "plugin-parts.md": parts,
    "python-api.md": python_api,
    "recipe.md": recipe,
    "results-parquet.md": parquet,
    "testing.md": checks,
}


SCAFFOLD = re.compile(r"<!-- scaffold: (\w+) (\w+) (\S+) -->\n```(\w+)\n.*?```", re.DOTALL)
HOW_TO = Path(__file__).parent / "how-to"


def with_scaffold(page: str) -> str:
    """A page with each code block under a ``<!-- scaffold: KIND NAME PATH -->`` written anew.

    The block is what ``ablate plugins new NAME --kind KIND`` writes to PATH.
    """

    def block(found: re.Match[str]) -> str:
        kind, name, path, language = found.groups()
        code = render(name, kind)[path]
        return f"<!-- scaffold: {kind} {name} {path} -->\n```{language}\n{code}```"

    return SCAFFOLD.sub(block, page)


def main() -> None:
    for name, page in PAGES.items():
        (FOLDER / name).write_text(page(), encoding="utf-8")
    for file in HOW_TO.glob("*.md"):
        file.write_text(with_scaffold(file.read_text(encoding="utf-8")), encoding="utf-8")


if __name__ == "__main__":
    main()
