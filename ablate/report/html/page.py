"""The whole page: sections in order, the script's data, and the template they go into."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from importlib.resources import files
from typing import Any

from jinja2 import Environment, FunctionLoader, StrictUndefined
from markupsafe import Markup
from plotly.offline import get_plotlyjs

from ablate.report.behaviours.sheets import behaviour_sheets
from ablate.report.html import tables, verdicts
from ablate.report.html.budget import budget, knees_of
from ablate.report.html.chart import Chart
from ablate.report.html.difficulty import difficulty
from ablate.report.html.flips import find_flips
from ablate.report.html.forest import forest
from ablate.report.html.lines import kv_use, latency
from ablate.report.html.palette import styles
from ablate.report.html.scatter import scatter
from ablate.report.html.timeline import timelines
from ablate.report.html.views import MOST_ANSWERS, collect
from ablate.report.lists import evidence_lines, failure_lines
from ablate.report.markdown import METHODS
from ablate.report.sheets import sheets
from ablate.types import RunInfo, Trial

HEADS = {"statements": "how problems are asked"}
_ASSETS = files(__package__) / "assets"


def to_html(results: Mapping[str, Any], info: RunInfo, trials: Iterable[Trial]) -> str:
    """``report.html`` as text. ``trials`` may be a generator; each is reduced before the next."""
    views, style = collect(info, trials), styles(info)
    domains = results["run"]["domains"]
    charts = {
        "scatter": scatter(results, style),
        "forest": forest(results, style),
        "latency": latency(views, domains),
        "timeline": timelines(views),
        "kv": kv_use(views),
        "budget": budget(views, domains, knees_of(results)),
        "difficulty": difficulty(views, domains),
    }
    scripts = {"plotly": get_plotlyjs(), "page": _asset("report.js")}
    page: str = _template().render(
        run=results["run"],
        results=results,
        problems=_problems(results),
        style=_asset("report.css"),
        scripts={name: Markup(text) for name, text in scripts.items()},  # noqa: S704
        policy=_policy(scripts.values()),
        charts=charts,
        data=_script_data({c.id: _data(c) for c in charts.values() if c}),
        arms=[(arm.id, style[arm.id]) for arm in info.arms if any(v.id == arm.id for v in views)],
        verdicts=verdicts.verdicts(results),
        claims=verdicts.claims(results),
        glance=tables.glance(results),
        causes=tables.causes(results),
        costs=tables.costs(results),
        heat=tables.heat_map(results),
        interactions=tables.interactions(results),
        sheets=[tables.of_sheet(s) for s in [*sheets(results), *behaviour_sheets(results)]],
        flips=find_flips(views, results["baseline"]),
        evidence=evidence_lines(results),
        failures=failure_lines(results),
        recipe=[tables.pairs(_recipe(results)), tables.arms(results)],
        environment=tables.pairs(results["environment"]),
        methods=METHODS,
        marks=verdicts.MARKS,
        most_answers=MOST_ANSWERS,
    )
    return page.lstrip()


def _asset(name: str) -> str:
    return (_ASSETS / name).read_text(encoding="utf-8")


def _template() -> Any:
    environment = Environment(
        loader=FunctionLoader(_asset),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template("page.html.jinja")


def _policy(scripts: Iterable[str]) -> str:
    """Only these scripts may run, and nothing may be loaded from anywhere."""
    hashes = " ".join(
        f"'sha256-{base64.b64encode(hashlib.sha256(s.encode()).digest()).decode()}'"
        for s in scripts
    )
    return (
        f"default-src 'none'; script-src {hashes}; style-src 'unsafe-inline'; "
        "img-src data: blob:; base-uri 'none'; form-action 'none'"
    )


def _script_data(value: Any) -> Markup:
    """JSON that cannot end the script element that holds it."""
    text = json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    for mark in "<>&\u2028\u2029":
        text = text.replace(mark, f"\\u{ord(mark):04x}")
    return Markup(text)  # noqa: S704


def _data(chart: Chart) -> dict[str, Any]:
    return {"label": chart.label, "figures": chart.figures}


def _problems(results: Mapping[str, Any]) -> int:
    """Problems that the baseline, or else any arm, has answered."""
    found: Sequence[int] = [a["accuracy"]["overall"]["n"] for a in results["arms"]]
    return max(found, default=0)


def _recipe(results: Mapping[str, Any]) -> dict[str, Any]:
    left_out = ("name", "created", "trials_ended", "trials_planned", "complete")
    return {
        HEADS.get(key, key.replace("_", " ")): value
        for key, value in results["run"].items()
        if key not in left_out and value not in (None, {}, [], ())
    }
