"""The columns of a run's data frames; docs/reference/data-frames.md is printed from here."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from ablate.metrics import METRICS
from ablate.report.parquet import COLUMNS as RECORDS


class Column(NamedTuple):
    """A column: its pandas dtype and what it is."""

    dtype: str
    doc: str


DTYPES: Mapping[str, str] = {
    "string": "string",
    "int32": "Int32",
    "double": "Float64",
    "bool": "boolean",
}
"""The Arrow types of results.parquet in pandas; all of these can hold ``<NA>``."""

FACTORS: Mapping[str, Column] = {
    "factor.<name>": Column("string", "The arm's level of each factor, `off` in the baseline.")
}
DOMAIN = Column("string", "The domain; `<NA>`: all problems together.")

TABLE: Mapping[str, Column] = {
    "arm": Column("string", "The arm's id."),
    "domain": DOMAIN,
    "replicate": Column("int64", "0, or which repetition of the baseline this arm is."),
    "status": Column("string", "`ok`, `failed`, `partly failed`, `unfinished` or `not run`."),
    "blocks": Column("int64", "Blocks that ended well: the means are taken over them."),
    "problems": Column("int64", "Problems answered: the units of the accuracy's interval."),
    "accuracy": Column("Float64", "Share of right answers, averaged over problems."),
    "accuracy_low": Column("Float64", "Lower end of its 95 % interval (Wilson)."),
    "accuracy_high": Column("Float64", "Upper end."),
    **{
        m.name: Column("Float64", f"{m.formula} ({m.unit})")
        for m in METRICS
        if m.name != "accuracy"  # averaged over problems above, as reports show it
    },
}
"""``Run.table``; the columns of the factors, ``factor.<name>``, come after them."""

CONTRASTS: Mapping[str, Column] = {
    "kind": Column(
        "string",
        "`main`: a level, averaged over the settings of the other factors. `interaction`: two "
        "levels, beyond what each does alone. `arm`: an arm against the baseline. `floor`: the "
        "baseline run again, against itself.",
    ),
    "name": Column("string", "The level (`weights.awq`), two joined by ` & `, or the arm."),
    "metric": Column(
        "string",
        "`accuracy`, or one of the [metrics](metrics.md); `ttft` and `e2e_latency` are paired by "
        "request, in arms that share their arrivals.",
    ),
    "domain": DOMAIN,
    "unit": Column(
        "string",
        "`share`: a difference of accuracies, 0 is no change. `ratio`: with / without, 1 is no "
        "change.",
    ),
    "value": Column("Float64", "The estimate; `<NA>` where nothing can be compared."),
    "low": Column("Float64", "Lower end of the 95 % interval."),
    "high": Column("Float64", "Upper end."),
    "n": Column("int64", "Independent units: problems or blocks."),
    "method": Column("string", "How the interval was computed."),
    "p_value": Column("Float64", "Two-sided, for this comparison alone; `<NA>`: not tested."),
    "p_holm": Column("Float64", "Adjusted over the family; for `main` and `interaction`."),
    "family_size": Column("Int64", "Comparisons in that family."),
    "deviation": Column("Float64", "Standard deviation over the units; of logs for ratios."),
    "better": Column("Int64", "Accuracy: problems answered right more often."),
    "worse": Column("Int64", "Accuracy: problems answered right less often."),
    "within_noise": Column("boolean", "No larger than the baseline's difference to itself."),
}
"""``Run.contrasts``."""


def reference() -> str:
    """The reference page of the data frames, as Markdown."""
    records = {name: Column(DTYPES[c.type], c.doc) for name, c in RECORDS.items()}
    return f"""\
# Data frames

Printed from `ablate/api/columns.py` by `docs/generate.py`.

What `Run.table`, `Run.contrasts` and `Run.records` return
([how to use them](../how-to/notebooks.md)). Every column is always there, with the type given here.
Types with a capital letter, `boolean` and `string` can hold `<NA>`: the number could not be
had. Numbers are those of `results.json`.

## `Run.table`

One row an arm and domain, and for each arm one of all problems together. Metrics are means over
blocks, [defined here](metrics.md); those that only a whole run has are `<NA>` in the rows of
domains.

{_rows({**TABLE, **FACTORS})}

## `Run.contrasts`

One row an effect. [How effects are estimated](../explanation/statistics.md).

{_rows(CONTRASTS)}
## `Run.records`

One row a request, of all trials that ended, also of those that failed (`status`): the columns of
[results.parquet](results-parquet.md).

{_rows({**records, **FACTORS})}"""


def _rows(columns: Mapping[str, Column]) -> str:
    rows = "".join(f"| `{name}` | {c.dtype} | {c.doc} |\n" for name, c in columns.items())
    return f"| column | type | |\n| --- | --- | --- |\n{rows}"
