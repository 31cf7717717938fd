"""The keys of a recipe: their types, their defaults and what they mean.

docs/reference/recipe.md is printed from here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any, Literal

from ablate.models import DTYPES, ModelConfig
from ablate.options import Option, describe
from ablate.types import Claim, Protocol, Sampling

Design = Literal["factorial", "fractional", "one-at-a-time", "leave-one-out", "cumulative"]

SLO = ("ttft", "tpot", "e2e_latency")
MARGINS = ("accuracy", "efficiency")


def _key(doc: str, **kwargs: Any) -> Any:
    return field(metadata={"doc": doc}, **kwargs)


@dataclass(frozen=True)
class Keys:
    """A recipe's keys as they are written. ``Any``: several forms, sorted out by ``recipe``."""

    model: Any = _key(
        "The model: a shipped name, a path, or a Hugging Face id; or a mapping, see below."
    )
    domains: Any = _key(
        "The reasoning domains: `{name: {option: value}}`, or a list of names. "
        "`ablate plugins` lists domains and their options."
    )
    name: str = _key("Names the run's folder.", default="")
    engine: Any = _key("The engine: a name, or `{name: {option: value}}`.", default="local")
    protocol: Protocol | None = _key(
        "How data sets are asked and graded, and what `sampling` is where the recipe leaves it "
        "open. `reasoning`: chat template, final answer in `\\boxed{}`, read after `</think>`; "
        "temperature 0.6, top-p 0.95, at most 32,768 tokens. `lm_eval`: as lm-evaluation-harness "
        "does, prompts, examples, stop texts and filters; greedy, each task with its own limit of "
        "tokens. A domain may have another (`domains.gsm8k.protocol`). Not given: each domain's "
        "own, and the defaults of `sampling`.",
        default=None,
    )
    sampling: Sampling = _key("How tokens are drawn, see below.", default_factory=Sampling)
    workload: Any = _key(
        "When requests arrive: `arrival` names the process, the other keys are its options, such "
        "as `{arrival: batch, concurrency: 16}` or `{arrival: gamma, request_rate: 4}`.",
        default=None,
    )
    factors: Any = _key(
        "What is compared: each factor is a list of levels beside the implicit `off`. A level is "
        "`{plugin: {option: value}}`, a bare plugin name, or `{set: {key: value}}`, which changes "
        "recipe keys (dotted, such as `sampling.max_tokens`) in the arms that have it.",
        default=None,
    )
    design: Design = _key(
        "Which combinations of levels become arms. `factorial`: all. `fractional`: for four or "
        "more factors of one level each, a balanced part of them (8 arms for 4 factors, 16 for up "
        "to 8, 32 for up to 16) in which what each factor does is not mixed up with what two "
        "others do together. `one-at-a-time`: each level "
        "alone. `leave-one-out`: all factors on, and each left off in turn. `cumulative`: the "
        "factors switched on one after the other, in the recipe's order; those before the newest "
        "stay at their first level. The baseline, with every factor off, always comes first.",
        default="factorial",
    )
    blocks: int = _key(
        "How often every arm is measured. Each block runs all arms once, in random order.",
        default=3,
    )
    seed: int = _key("Seeds the order of trials, the order of requests and arrivals.", default=0)
    warmup: int = _key(
        "Requests served before measuring starts, at most 512 tokens each.", default=4
    )
    timeout: Any = _key(
        "The longest a trial may take: seconds, or `90s`, `30min`, `1h`.", default="1h"
    )
    floor: bool = _key(
        "Measure the baseline against itself, too: differences smaller than that are noise.",
        default=True,
    )
    margins: dict[str, float] = _key(
        "What still counts as no difference, as shares: `accuracy`, the largest loss still "
        "accepted (`0.02`, two points, unless given), and `efficiency`, the change of speed or "
        "memory that does not matter (`0.05` unless given).",
        default_factory=dict,
    )
    price: float | None = _key(
        "What an hour of the machine costs, in any currency: reports then say what a million "
        "output tokens and a right answer cost. A level may set another.",
        default=None,
    )
    slo: Any = _key(
        f"Latency bounds, by metric: {', '.join(f'`{s}`' for s in SLO)}; seconds, or `200ms`.",
        default=None,
    )
    executor: Any = _key(
        "Where trials run: a name, or `{name: {option: value}}`. `local` is this machine; `ray` a "
        "Ray cluster (docs/how-to/ray.md). It is no part of what is measured: levels cannot set "
        "it, and a run may be resumed on another.",
        default="local",
    )
    claims: Any = _key(
        "Statements to be tested, a list, see below. `ablate gate` fails where one does not hold.",
        default=None,
    )


SAMPLING_OF: Mapping[Protocol, Mapping[str, Any]] = {
    "reasoning": {"temperature": 0.6, "top_p": 0.95, "max_tokens": 32768},
    "lm_eval": {"temperature": 0.0, "top_p": 1.0, "max_tokens": 32768},
}
"""What a protocol makes of ``sampling`` where the recipe does not say."""


RATES = ("throughput", "request_throughput", "output_throughput", "max_rate")
LATENCIES = ("e2e_latency", "ttft", "ttfvt", "tpot", "itl")
OF_THE_RUN = (*RATES, "e2e_variation", "weights", "kv_cache", "kv_swings", "memory")
"""Metrics of claims that no domain has by itself."""
CLAIM_METRICS: tuple[str, ...] = ("accuracy", "output_tokens", *LATENCIES, *OF_THE_RUN)
CLAIM: Mapping[str, str] = {
    "claim": "What is said. `faster` and `slower` are about request throughput (mean E2E latency "
    "in an open loop or a domain, the highest rate where that is looked for), `smaller` and "
    "`larger` about the weights, `shorter` and `longer` about answers, the others about accuracy, "
    "unless `metric` says otherwise.",
    "factor": "Of which optimization: a factor's level as the plan prints it (`weights.awq`), or "
    "the factor where it has one level.",
    "other": "The second one, for `interaction` and `no_interaction`.",
    "metric": f"One of {', '.join(f'`{m}`' for m in CLAIM_METRICS)}. `throughput` is "
    "`request_throughput`: requests a second, by which longer answers are slower; "
    "`output_throughput` counts tokens. `kv_swings` is the KV cache's standard deviation over "
    "time, `e2e_variation` that of E2E latency by its mean.",
    "domain": 'A domain, or `"*"`: in each of them. Not given: all problems together.',
    "by": "By at least that much: a share of accuracy, else a factor (`1.2`).",
    "margin": "What still counts as no loss or no difference; else the recipe's `margins`.",
}

MODEL: Mapping[str, str] = {
    "id": "A shipped name, a path, or a Hugging Face id.",
    "revision": "The Hugging Face revision (branch, tag or commit).",
    "dtype": f"One of {', '.join(f'`{d}`' for d in DTYPES)}; `auto` is the checkpoint's.",
    "allow_pickle": "Load weights that are pickles. A pickle can run any code.",
    "trust_remote_code": "Run code that the checkpoint brings.",
}

SAMPLING: Mapping[str, str] = {
    "temperature": "0 is greedy.",
    "top_p": "Draw from the smallest set of tokens that holds this share of probability.",
    "max_tokens": "Output tokens a request may have at most, reasoning included.",
    "samples": "Answers asked per problem.",
    "seed": "With the request's id it seeds the request, whatever batch it shares.",
}

HEAD = """\
# Recipe keys

<!-- Printed from ablate/schema.py; `pytest tests/test_recipe.py` says when it is out of date. -->

A recipe is YAML. `ablate run RECIPE key=value …` sets keys from the command line: keys are dotted
(`sampling.max_tokens=1024`, `factors.weights[0].awq.bits=3`, `domains.logic.limit=8`), values are
YAML, and a value replaces what the key had. `@FILE` sets all the keys, dotted ones too, that a YAML
file holds. `${oc.env:VAR}` and `${oc.env:VAR,default}` stand for environment variables,
`${sampling.max_tokens}` for another key of the recipe. Values that begin with `./`, `../` or `~/`,
the `path` and `train_path` of domains and workloads, and a `model` that is a folder beside the
recipe, are paths relative to the recipe's folder.
"""


# Keys with several forms are `Any` above; this is what the reference says of them.
FORMS: Mapping[str, tuple[str, str | None]] = {
    "model": ("text or a mapping", None),
    "domains": ("a mapping or a list", None),
    "name": ("text", "the file's name"),
    "engine": ("text or a mapping", "`local`"),
    "protocol": ("one of 'reasoning', 'lm_eval'", "none"),
    "sampling": ("a mapping", "see below"),
    "workload": ("a mapping", "`{arrival: batch}`"),
    "factors": ("a mapping of lists", "none: the baseline alone"),
    "timeout": ("a duration", "`1h`"),
    "slo": ("a mapping of durations", "none"),
    "executor": ("text or a mapping", "`local`"),
    "margins": ("a mapping of numbers", "none"),
    "claims": ("a list of mappings", "none"),
}


def reference() -> str:
    """docs/reference/recipe.md."""
    keys = {f.name: f.metadata["doc"] for f in fields(Keys)}
    return "\n".join(
        [
            HEAD,
            *_table(describe(Keys), keys, FORMS),
            "\n## `model` as a mapping\n",
            *_table(describe(ModelConfig), MODEL, {}),
            "\n## `sampling`\n",
            *_table(describe(Sampling), SAMPLING, {}),
            "\n## `claims`, each entry\n",
            *_table(describe(Claim), CLAIM, {}),
            "",
        ]
    )


def _table(
    options: Sequence[Option], docs: Mapping[str, str], forms: Mapping[str, tuple[str, str | None]]
) -> list[str]:
    rows = ["| key | is | default | |", "| --- | --- | --- | --- |"]
    for option in options:
        usual = (option.type, option.default and f"`{option.default}`")
        kind, default = forms.get(option.name, usual)
        rows.append(f"| `{option.name}` | {kind} | {default or 'needed'} | {docs[option.name]} |")
    return rows
