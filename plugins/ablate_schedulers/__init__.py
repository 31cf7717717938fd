"""Orders of admission: who of the waiting requests is next, and who makes room for whom."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Literal, get_args

from ablate.evidence import resolved
from ablate.plugins import hookimpl
from ablate.types import Evidence, EvidenceState, Limits, ModelSpec
from ablate_schedulers.ordering import Numbers, Ordering

if TYPE_CHECKING:
    from ablate.engines.local.interfaces import KVStore
    from ablate_schedulers.schedulers import OrderedScheduler

SIZES = ("prompt", "difficulty")
Order = Literal["longest", "shortest"]
POLICIES: Mapping[str, str] = {"vllm": "scheduling_policy", "sglang": "schedule_policy"}


@dataclass(frozen=True)
class Fcfs(Ordering):
    """First come, first served: what the engines do by themselves, said in so many words."""

    name: ClassVar[str] = "fcfs"
    source: ClassVar[str] = "first come, first served, as in Orca (Yu et al. 2022, OSDI '22)"

    def scheduler(self, cache: KVStore, limits: Limits) -> OrderedScheduler:
        from ablate_schedulers.schedulers import OrderedScheduler

        return OrderedScheduler(self.name, cache, limits)

    @hookimpl
    def ablate_engine_args(self, engine: str, model: ModelSpec) -> Mapping[str, Any] | None:
        return {POLICIES[engine]: self.name} if engine in POLICIES else None

    @hookimpl
    def ablate_evidence(self, state: EvidenceState) -> Evidence:
        if state.engine in POLICIES:
            return resolved(self.name, state, {POLICIES[state.engine]: self.name})
        return super().ablate_evidence(state)

    def changed(self, numbers: Numbers) -> bool:
        return numbers["num_overtakes"] == 0  # it promises that nothing differs

    def told(self, numbers: Numbers) -> str:
        return (
            f"the order in force; {numbers['num_overtakes']:.0f} requests overtook an earlier one"
        )


@dataclass(frozen=True)
class Declared(Ordering):
    """An order by what a request says of itself as it comes."""

    by: str = "prompt"  # not Literal: who asks for "predicted" is told where that is

    longest: ClassVar[bool]

    def __post_init__(self) -> None:
        if self.by not in SIZES:
            raise ValueError(
                f"by must be one of {', '.join(SIZES)}, not {self.by!r} (length_aware goes by the "
                "predicted length)"
            )

    def scheduler(self, cache: KVStore, limits: Limits) -> OrderedScheduler:
        from ablate_schedulers.schedulers import OrderedScheduler, by_size

        return OrderedScheduler(self.name, cache, limits, by_size(self.by, self.longest))


@dataclass(frozen=True)
class ShortestFirst(Declared):
    """Admit waiting requests by declared length: ``by`` prompt tokens, or the problem's difficulty.

    Difficulty stands for the expected output length where a domain states it.
    """

    name: ClassVar[str] = "shortest_first"
    source: ClassVar[str] = "shortest job first; for LLM serving: Fu et al. 2024 (2408.15792)"
    longest: ClassVar[bool] = False


@dataclass(frozen=True)
class LongestFirst(Declared):
    """Admit the longest first, so that none is left over: ``by`` prompt tokens, or difficulty.

    Difficulty stands for the expected output length where a domain states it.
    """

    name: ClassVar[str] = "longest_first"
    source: ClassVar[str] = "longest processing time first: Graham 1969 (doi 10.1137/0117039)"
    longest: ClassVar[bool] = True


@dataclass(frozen=True)
class Priority(Ordering):
    """Admit the most urgent first, and preempt less urgent ones where there is no room for it.

    ``domains``: the priority of each domain's requests, the lowest number being the most urgent;
    those of other domains have 0, as requests have in vLLM that say none. ``preempt``: false lets
    what runs run on.
    """

    domains: dict[str, int]
    preempt: bool = True

    name: ClassVar[str] = "priority"
    source: ClassVar[str] = "vLLM's priority policy; preemption by recomputation: 2309.06180"
    example: ClassVar[Mapping[str, Any]] = {"domains": {"logic": 1}}

    def __post_init__(self) -> None:
        if not any(self.domains.values()):
            raise ValueError(
                "domains must give a priority other than 0, which all others have: {logic: 1}"
            )

    def scheduler(self, cache: KVStore, limits: Limits) -> OrderedScheduler:
        from ablate_schedulers.schedulers import PriorityScheduler

        return PriorityScheduler(self.name, cache, limits, self.domains, self.preempt)

    def numbers(self, state: EvidenceState) -> dict[str, float]:
        displaced = state.counters.get("num_displaced", 0.0)
        return {**super().numbers(state), "num_displaced": displaced}

    def told(self, numbers: Numbers) -> str:
        displaced = numbers["num_displaced"]
        return f"{super().told(numbers)}; {displaced:.0f} made room for a more urgent one"

    @hookimpl
    def ablate_evidence(self, state: EvidenceState) -> Evidence:
        evidence = super().ablate_evidence(state)
        seen: set[str] = getattr(state.components.get("scheduler"), "seen", set())
        unknown = sorted(self.domains.keys() - seen)
        if state.stage == "warmup" or evidence.applied is False or not unknown:
            return evidence
        asked = f"no request came of {', '.join(unknown)}, only of {', '.join(sorted(seen))}"
        return Evidence(self.name, False, asked, evidence.numbers)


@dataclass(frozen=True)
class LengthAware(Ordering):
    """Admit by the output length that is expected from the requests that ended in this very run.

    Expected is a domain's mean, or its straight line of length on difficulty; of a domain of which
    none has ended, the token limit. ``order``: ``longest`` first, so that none is left over at the
    end, or ``shortest``. ``max_overtaken``: how many later requests may be admitted before one that
    waits; null: any number.
    """

    order: Order = "longest"
    max_overtaken: int | None = 64

    name: ClassVar[str] = "length_aware"
    source: ClassVar[str] = "expected lengths: S3 (2306.06000), 2305.13144; starvation: 2408.15792"

    def __post_init__(self) -> None:
        if self.order not in get_args(Order):
            raise ValueError(
                f"order must be one of {', '.join(get_args(Order))}, not {self.order!r}"
            )
        if self.max_overtaken is not None and self.max_overtaken < 0:
            raise ValueError(f"max_overtaken must be at least 0, not {self.max_overtaken}")

    def scheduler(self, cache: KVStore, limits: Limits) -> OrderedScheduler:
        from ablate_schedulers.length_aware import LengthAwareScheduler

        longest = self.order == "longest"
        return LengthAwareScheduler(self.name, cache, limits, longest, self.max_overtaken)

    def numbers(self, state: EvidenceState) -> dict[str, float]:
        from ablate_schedulers.quality import quality

        new = int(state.counters.get("num_predicted", 0.0))
        pairs = state.components["scheduler"].predicted
        return {**super().numbers(state), **quality(pairs[len(pairs) - new :])}

    def told(self, numbers: Numbers) -> str:
        from ablate_schedulers.quality import in_words

        return f"{super().told(numbers)}; {in_words(numbers)}"
