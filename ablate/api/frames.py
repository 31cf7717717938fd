"""Data frames of a run. Needs pandas (the extra ``notebook``).

Numbers are those of ``results.json`` and of the records: nothing is estimated here.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ablate.api.columns import CONTRASTS, DTYPES, TABLE
from ablate.errors import AblateError
from ablate.report.parquet import COLUMNS as RECORDS
from ablate.types import RunInfo, Trial

if TYPE_CHECKING:
    import pandas as pd

Results = Mapping[str, Any]
Row = Mapping[str, Any]


def table(results: Results) -> pd.DataFrame:
    """One row an arm and domain; first of each arm the row of all problems."""
    factors = dict.fromkeys(f"factor.{f}" for arm in results["arms"] for f in arm["levels"])
    types = {name: column.dtype for name, column in TABLE.items()}
    return _frame(types | dict.fromkeys(factors, "string"), list(_arm_rows(results)))


def contrasts(results: Results) -> pd.DataFrame:
    """One row an effect: levels, interactions, arms, and the noise floor."""
    types = {name: column.dtype for name, column in CONTRASTS.items()}
    return _frame(types, list(_contrast_rows(results)))


def records(info: RunInfo, trials: Iterable[Trial]) -> pd.DataFrame:
    """One row a request, in the columns and the order of ``results.parquet``."""
    types = {name: DTYPES[column.type] for name, column in RECORDS.items()}
    factors = list(dict.fromkeys(f for arm in info.arms for f in arm.levels))
    levels = {arm.id: arm.levels for arm in info.arms}
    rows = [
        {name: column.value(trial, record) for name, column in RECORDS.items()}
        | {f"factor.{f}": levels[trial.result.arm].get(f, "off") for f in factors}
        for trial in trials
        for record in trial.records
    ]
    return _frame(types | {f"factor.{f}": "string" for f in factors}, rows)


def _arm_rows(results: Results) -> Iterator[Row]:
    for arm in results["arms"]:
        own = {
            "arm": arm["id"],
            "replicate": arm["replicate"],
            "status": arm["status"],
            "blocks": sum(block["status"] == "ok" for block in arm["blocks"]),
            **{f"factor.{factor}": level for factor, level in arm["levels"].items()},
        }
        for domain in (None, *results["run"]["domains"]):
            metrics = arm["summary"] if domain is None else arm["domains"].get(domain, {})
            yield {**metrics, **own, "domain": domain, **_accuracy(arm["accuracy"], domain)}


def _accuracy(accuracy: Row, domain: str | None) -> Row:
    found = accuracy["overall"] if domain is None else accuracy["domains"][domain]
    return {
        "accuracy": found["value"],
        "accuracy_low": found["low"],
        "accuracy_high": found["high"],
        "problems": found["n"],
    }


def _contrast_rows(results: Results) -> Iterator[Row]:
    yield from results["effects"]
    yield from results["interactions"]
    for contrast in results["contrasts"]:
        yield from _of_arm(contrast, "arm")
    for contrast in (results["noise_floor"] or {}).get("contrasts", ()):
        yield from _of_arm(contrast, "floor")


def _of_arm(contrast: Row, kind: str) -> Iterator[Row]:
    own = {"kind": kind, "name": contrast["arm"]}
    accuracy, paired = contrast["accuracy"], contrast["paired_latencies"]
    domains = (None, *accuracy["domains"])
    for domain in domains:
        change = accuracy["overall"] if domain is None else accuracy["domains"][domain]
        yield {**own, "metric": "accuracy", "domain": domain, "unit": "share", **change}
    for domain in domains:
        ratios = contrast["ratios"] if domain is None else contrast["domain_ratios"][domain]
        by_request = paired["overall"] if domain is None else paired["domains"][domain]
        for metric, ratio in (*ratios.items(), *(by_request or {}).items()):
            yield {**own, "metric": metric, "domain": domain, "unit": "ratio", **ratio}


def _frame(types: Mapping[str, str], rows: Sequence[Row]) -> pd.DataFrame:
    """Rows as columns of the given dtypes, and no others."""
    try:
        import pandas as pd
    except ImportError:
        raise AblateError(
            "data frames need pandas: pip install 'ablate-inference[notebook]'"
        ) from None
    return pd.DataFrame(
        {n: pd.array([row.get(n) for row in rows], dtype=dtype) for n, dtype in types.items()}
    )
