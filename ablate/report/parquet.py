"""``results.parquet``: one row a request, for notebooks. Needs pyarrow (the extra ``parquet``)."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from ablate.metrics import latency
from ablate.types import ArmInfo, Record, RunInfo, Trial

if TYPE_CHECKING:
    import pyarrow as pa


class Column(NamedTuple):
    """A column of the file: its Arrow type, what it is, and where it comes from."""

    type: str
    doc: str
    value: Callable[[Trial, Record], Any]


COLUMNS: Mapping[str, Column] = {
    "arm": Column("string", "The arm's id.", lambda t, _: t.result.arm),
    "block": Column("int32", "The block, from 0.", lambda t, _: t.result.block),
    "status": Column(
        "string",
        "`ok` or `failed`: how the request's trial ended. Reports leave failed trials out.",
        lambda t, _: t.result.status,
    ),
    "resumed": Column(
        "bool",
        "The trial was interrupted: its answers count, its times do not.",
        lambda t, _: t.result.resumed,
    ),
    "domain": Column("string", "The domain.", lambda _, r: r.domain),
    "problem_id": Column("string", "The problem within the domain.", lambda _, r: r.problem_id),
    "sample": Column("int32", "Which answer to the problem, from 0.", lambda _, r: r.sample),
    "difficulty": Column(
        "double", "The problem's difficulty, null where it has none.", lambda _, r: r.difficulty
    ),
    "outcome": Column(
        "string", "`correct`, `wrong`, `unparsed` or `truncated`.", lambda _, r: r.outcome
    ),
    "parsed": Column("string", "What was read as the answer.", lambda _, r: r.parsed),
    "reference": Column("string", "The right answer.", lambda _, r: r.reference),
    "text": Column("string", "The model's output.", lambda _, r: r.completion.text),
    "finish_reason": Column(
        "string", "Why the output ended.", lambda _, r: r.completion.finish_reason
    ),
    "prompt_tokens": Column(
        "int32", "Tokens of the prompt.", lambda _, r: r.completion.prompt_tokens
    ),
    "cached_tokens": Column(
        "int32",
        "Prompt tokens that a prefix cache spared.",
        lambda _, r: r.completion.cached_tokens,
    ),
    "preemptions": Column(
        "int32",
        "Times that it was put back into the queue, as far as the engine says.",
        lambda _, r: r.completion.preemptions,
    ),
    "output_tokens": Column(
        "int32",
        "Tokens of the output, reasoning included.",
        lambda _, r: r.completion.output_tokens,
    ),
    "thinking_tokens": Column(
        "int32", "Output tokens of the reasoning.", lambda _, r: r.completion.thinking_tokens
    ),
    "arrival": Column(
        "double", "Scheduled arrival, seconds in the trial.", lambda _, r: r.completion.arrival
    ),
    "dispatched": Column(
        "double",
        "When the engine got it, seconds in the trial.",
        lambda _, r: r.completion.dispatched,
    ),
    "ttft": Column(
        "double", "Time to the first token, seconds.", lambda _, r: latency("ttft", r.completion)
    ),
    "ttfvt": Column(
        "double",
        "Time to the first token after the reasoning, seconds; null if none came.",
        lambda _, r: latency("ttfvt", r.completion),
    ),
    "tpot": Column(
        "double",
        "Time per output token after the first, seconds; null for a single token.",
        lambda _, r: latency("tpot", r.completion),
    ),
    "e2el": Column(
        "double",
        "Time to the end of the answer, seconds.",
        lambda _, r: latency("e2el", r.completion),
    ),
}
"""The columns before those of the factors, which are called ``factor.<name>`` and hold levels."""


def available() -> bool:
    """Whether pyarrow is installed."""
    return find_spec("pyarrow") is not None


def write_parquet(info: RunInfo, trials: Iterable[Trial], path: Path) -> None:
    """Write the records of every trial, one trial after the other: a whole file or nothing."""
    import pyarrow.parquet as pq

    factors = list(dict.fromkeys(f for arm in info.arms for f in arm.levels))
    arms = {arm.id: arm for arm in info.arms}
    schema = _schema(factors)
    partial = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with pq.ParquetWriter(partial, schema) as writer:
            for trial in trials:
                if trial.records:
                    writer.write_table(_table(trial, arms[trial.result.arm], factors, schema))
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def _schema(factors: Iterable[str]) -> pa.Schema:
    import pyarrow as pa

    own = [
        pa.field(n, pa.type_for_alias(c.type), metadata={"doc": c.doc}) for n, c in COLUMNS.items()
    ]
    return pa.schema([*own, *(pa.field(f"factor.{name}", pa.string()) for name in factors)])


def _table(trial: Trial, arm: ArmInfo, factors: Iterable[str], schema: pa.Schema) -> pa.Table:
    import pyarrow as pa

    columns = {
        name: [column.value(trial, record) for record in trial.records]
        for name, column in COLUMNS.items()
    }
    levels = {f"factor.{f}": [arm.levels.get(f, "off")] * len(trial.records) for f in factors}
    return pa.table({**columns, **levels}, schema=schema)


def reference() -> str:
    """The reference page of the file's columns, as Markdown."""
    rows = "".join(f"| `{name}` | {c.type} | {c.doc} |\n" for name, c in COLUMNS.items())
    return f"""\
# results.parquet

Printed from `ablate/report/parquet.py` by `docs/generate.py`.

One row a request, of all trials that ended. Every report writes it where pyarrow is installed
(`pip install 'ablate-inference[parquet]'`). Take the paired estimates from `results.json`: means of
these rows know nothing of problems, blocks or failed trials.

| column | type | |
| --- | --- | --- |
{rows}| `factor.<name>` | string | The arm's level of each factor, `off` in the baseline. |
"""
