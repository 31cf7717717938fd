"""The values that flow between the parts: plain, frozen, and free of torch.

Times are seconds on one monotonic clock, counted from the start of the trial's measured part.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

Outcome = Literal["correct", "wrong", "unparsed", "truncated"]
FinishReason = Literal["stop", "length"]
TrialStatus = Literal["ok", "failed"]
Protocol = Literal["reasoning", "lm_eval"]
"""How the field asks a data set's problems and reads the answers.

``reasoning``: as reasoning models are evaluated: chat template, the answer in ``\\boxed{}``, read
after the last ``</think>``. ``lm_eval``: as lm-evaluation-harness does: its prompts, continued as
bare text, its stop texts, its filters.
"""


@dataclass(frozen=True)
class Problem:
    """One question of a domain.

    ``id`` is unique within the domain and does not change with ``limit``; ``difficulty`` orders the
    problems of one domain (larger is harder; None where the domain does not say); ``solution`` is
    a worked answer in the form that a reasoning model would write, where the domain has one.
    ``chat``: the prompt is a user's message, for the model's chat template; False: it is text that
    the model goes on with. ``stop``: texts at which an output ends; they are no part of it.
    ``max_tokens``: output tokens it may have at most, besides the recipe's limit. ``history``: the
    chat's earlier turns, each a message and the answer to it. ``payload``: what the grader needs
    beyond ``reference``; it is kept nowhere.
    """

    id: str
    domain: str
    prompt: str
    reference: str
    difficulty: float | None = None
    solution: str | None = None
    chat: bool = True
    stop: tuple[str, ...] = ()
    max_tokens: int | None = None
    history: tuple[tuple[str, str], ...] = ()
    payload: Any = field(default=None, compare=False, repr=False)

    @property
    def messages(self) -> list[dict[str, str]]:
        """The chat, oldest message first, in the form that chat templates and servers take."""
        said = (
            {"role": role, "content": text}
            for turn in self.history
            for role, text in zip(("user", "assistant"), turn, strict=True)
        )
        return [*said, {"role": "user", "content": self.prompt}]


@dataclass(frozen=True)
class Grade:
    """What a grader says of one answer; ``parsed`` is the answer it read, None if it found none."""

    outcome: Outcome
    parsed: str | None = None


@dataclass(frozen=True)
class Sampling:
    """How tokens are drawn. ``temperature`` 0 is greedy. ``samples`` answers are asked per problem.

    ``seed`` and a request's id give the request a seed of its own, so that what it draws does not
    depend on the batch it shares.
    """

    temperature: float = 0.0
    top_p: float = 1.0
    max_tokens: int = 512
    samples: int = 1
    seed: int = 0

    def limit(self, problem: Problem) -> int:
        """Output tokens that a problem may have at most."""
        own = problem.max_tokens
        return self.max_tokens if own is None else min(own, self.max_tokens)


@dataclass(frozen=True)
class Request:
    """One answer to be generated.

    ``arrival`` None: it arrives ``pause`` seconds after a slot of the closed loop has opened.
    """

    id: str
    problem: Problem
    sample: int
    seed: int
    arrival: float | None = None
    pause: float = 0.0


@dataclass(frozen=True)
class Load:
    """The requests of a trial in the order they are sent, and how many may be in flight at once.

    ``concurrency`` None: no limit on the client's side (an open loop).
    """

    requests: tuple[Request, ...]
    concurrency: int | None = None


@dataclass(frozen=True)
class Completion:
    """What an engine returns for one request. ``token_times`` has one entry per output token.

    ``arrival`` is the scheduled arrival (open loop), or the moment the slot opened and its user had
    thought (closed loop; to a server, when the request then went out); ``dispatched`` is when the
    engine got the request. ``first_visible`` is when the first token
    after the reasoning came, None if none came. ``cached_tokens`` counts prompt tokens that a
    prefix cache spared; ``preemptions``, how often it was put back into the queue to begin again,
    as far as the engine says.
    """

    request_id: str
    text: str
    prompt_tokens: int
    output_tokens: int
    thinking_tokens: int
    arrival: float
    dispatched: float
    finished: float
    token_times: tuple[float, ...]
    first_visible: float | None
    finish_reason: FinishReason
    cached_tokens: int = 0
    preemptions: int = 0


@dataclass(frozen=True)
class Record:
    """One graded request, as kept in ``records.jsonl``."""

    completion: Completion
    domain: str
    problem_id: str
    sample: int
    difficulty: float | None
    outcome: Outcome
    parsed: str | None
    reference: str

    @property
    def correct(self) -> bool:
        return self.outcome == "correct"


@dataclass(frozen=True)
class Usage:
    """One telemetry sample of an engine.

    ``kv_tokens`` counts tokens held; ``kv_bytes`` what these tokens need (logical);
    ``kv_allocated_bytes`` what the store has taken from the system; ``kv_budget_bytes`` what it may
    take. None: the engine does not say.
    """

    time: float
    running: int
    waiting: int
    kv_tokens: int | None
    kv_bytes: int | None
    kv_allocated_bytes: int | None
    kv_budget_bytes: int | None


@dataclass(frozen=True)
class Limits:
    """What an engine may use. Field names follow vLLM's engine arguments.

    ``max_model_len``: tokens of the longest sequence (prompt + output). ``kv_cache_memory_bytes``:
    bytes that keys and values may take from the system, a drafter's included; how many tokens that
    is depends on the store. ``num_lookahead_tokens``: tokens a step may write beyond those that it
    keeps.
    """

    max_num_seqs: int
    max_num_batched_tokens: int
    max_model_len: int
    kv_cache_memory_bytes: int
    num_lookahead_tokens: int = 0


@dataclass(frozen=True)
class ModelSpec:
    """A model as the recipe names it, resolved.

    ``path`` is a local folder or a Hugging Face id; ``dtype`` is ``auto`` (the checkpoint's),
    ``float32``, ``bfloat16`` or ``float16``. ``calibration(n, seed)`` gives worked examples
    ``(prompt, completion)`` from the training split of the recipe's domains, never test problems.
    """

    name: str
    path: str
    revision: str | None = None
    dtype: str = "auto"
    allow_pickle: bool = False
    trust_remote_code: bool = False
    calibration: Callable[[int, int], Sequence[tuple[str, str]]] | None = field(
        default=None, compare=False, repr=False
    )


@dataclass(frozen=True)
class Requirements:
    """What an optimization needs of, takes from, or finds wrong with an engine.

    ``needs`` and ``drops`` name capabilities (``rollback``, ``shared_blocks``, ``batching``,
    ``logits``); ``problems`` are sentences that stop the arm, such as a missing package.
    """

    needs: frozenset[str] = frozenset()
    drops: frozenset[str] = frozenset()
    problems: tuple[str, ...] = ()


@dataclass(frozen=True)
class Evidence:
    """Whether an optimization took effect, and the numbers that show it.

    ``plugin``: its name in recipes. ``applied`` None means "cannot be told yet", which is accepted
    after warm-up only. ``detail``: what was seen, for the report. ``numbers``: the same as finite
    numbers, under any names, for ``results.json``.
    """

    plugin: str
    applied: bool | None
    detail: str
    numbers: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class EngineFacts:
    """What an engine that owns its loop says of itself once it is up; None: it does not say.

    ``settings``: its arguments as it resolved them, under the names that its back end gives them,
    dotted. ``linears``: how many linear layers of the model each kernel runs. ``quantized``: how
    many of them hold codes. ``kv_bytes_per_token``: with scales, over all layers.
    """

    settings: Mapping[str, Any] = field(default_factory=dict)
    linears: Mapping[str, int] | None = None
    quantized: int | None = None
    weight_bytes: int | None = None
    kv_bytes_per_token: float | None = None
    kv_cache_tokens: int | None = None


@dataclass(frozen=True)
class EvidenceState:
    """What a plugin may look at to prove itself.

    ``engine`` is ``local``, or the back end of an engine that owns its loop. ``components`` holds
    the trial's parts by name: of the in-process engine ``model``, ``cache``, ``step`` and
    ``scheduler``; of the others ``facts``, their ``EngineFacts``. ``counters``: the engine's totals
    since the stage began.
    """

    engine: str
    stage: Literal["warmup", "measured"]
    components: Mapping[str, Any]
    counters: Mapping[str, float]


@dataclass(frozen=True)
class TrialResult:
    """How one trial (arm x block) ended.

    ``running_time`` is seconds from the start of measuring to the last finished request.
    ``counters`` are the engine's totals over the measured part; ``info`` is what the engine says of
    itself (threads, dtype, kernels). ``resumed``: some records come from an earlier, interrupted
    try, so the trial counts for accuracy and not for speed. ``grading_given_up``: answers that
    could not be graded in time. ``energy``: joules taken while measuring, by what took them
    (``gpu0``, ``cpu0``, ``dram0``); empty where nothing can be read.
    """

    arm: str
    block: int
    status: TrialStatus
    kind: str | None = None
    message: str | None = None
    running_time: float | None = None
    load_seconds: float | None = None
    weight_bytes: int | None = None
    peak_rss_bytes: int | None = None
    cpu_seconds: float | None = None
    load_average: float | None = None
    resumed: bool = False
    grading_given_up: int = 0
    evidence: tuple[Evidence, ...] = ()
    counters: Mapping[str, float] = field(default_factory=dict)
    info: Mapping[str, str] = field(default_factory=dict)
    energy: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Trial:
    """A finished or failed trial with everything measured in it: what metrics are computed from."""

    result: TrialResult
    records: tuple[Record, ...]
    usage: tuple[Usage, ...]


@dataclass(frozen=True)
class ArmInfo:
    """An arm as a report needs it. ``levels``: factor -> level label, ``off`` where it is off.

    ``plugins``: name -> options. ``replicate`` numbers the repetitions of the baseline that give
    the noise floor: 0 for every ordinary arm. ``lossless``: those of its plugins that claim to
    leave greedy output as it is. ``offline_of``: of an arm that is another's twin, whose requests
    it serves as a batch in block 0; empty for every ordinary arm.
    """

    id: str
    levels: Mapping[str, str]
    plugins: Mapping[str, Mapping[str, Any]]
    settings: Mapping[str, Any] = field(default_factory=dict)
    replicate: int = 0
    lossless: tuple[str, ...] = ()
    offline_of: str = ""


ClaimKind = Literal[
    "non_inferior",
    "more_accurate",
    "less_accurate",
    "faster",
    "slower",
    "smaller",
    "larger",
    "shorter",
    "longer",
    "no_difference",
    "interaction",
    "no_interaction",
]


@dataclass(frozen=True)
class Claim:
    """A statement about an optimization, made in a recipe before it is measured.

    ``factor`` names a factor's level (``weights.awq``), or the factor where it has one level;
    ``other`` the second one of an interaction. ``metric`` None: what the kind of claim is usually
    about. ``domain`` None: all problems together; ``"*"``: each domain by itself. ``by``: at least
    that much, a share for accuracy and else a factor above 1. ``margin``: what still counts as no
    loss or no difference, a share.
    """

    claim: ClaimKind
    factor: str
    other: str | None = None
    metric: str | None = None
    domain: str | None = None
    by: float | None = None
    margin: float | None = None


@dataclass(frozen=True)
class RunInfo:
    """What a run directory says of itself in ``run.json``; enough to report without the recipe.

    ``slo``: bounds in seconds by metric (``ttft``, ``tpot``, ``e2e_latency``). ``margins``: the
    largest loss still accepted, by metric. ``claims``: the recipe's statements to be tested.
    ``sampling``: how tokens were drawn, empty where that is not known. ``statements``: how domains
    asked and graded, by domain, in their own words. ``price``: of an hour of the machine, in the
    user's currency; a level may set another.
    """

    name: str
    created: str
    ablate_version: str
    model: str
    engine: str
    domains: tuple[str, ...]
    arms: tuple[ArmInfo, ...]
    blocks: int
    requests_per_trial: int
    margins: Mapping[str, float] = field(default_factory=dict)
    slo: Mapping[str, float] = field(default_factory=dict)
    environment: Mapping[str, Any] = field(default_factory=dict)
    claims: tuple[Claim, ...] = ()
    sampling: Mapping[str, Any] = field(default_factory=dict)
    statements: Mapping[str, str] = field(default_factory=dict)
    price: float | None = None

    @property
    def baseline(self) -> ArmInfo:
        """The arm with every factor off that the others are compared with."""
        plain = (a for a in self.arms if not (a.replicate or a.offline_of))
        return next(a for a in plain if set(a.levels.values()) <= {"off"})

    @property
    def places(self) -> tuple[tuple[str, int], ...]:
        """Every trial, as its arm's id and its block, in the order of arms and blocks."""
        return tuple(
            (a.id, b) for a in self.arms for b in range(1 if a.offline_of else self.blocks)
        )

    @property
    def under_load(self) -> RunInfo:
        """The run without its offline twins."""
        return replace(self, arms=tuple(a for a in self.arms if not a.offline_of))
