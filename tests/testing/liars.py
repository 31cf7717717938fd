"""Plugins that each break one promise."""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar

from ablate.evidence import resolved
from ablate.plugins import Plugin, hookimpl
from ablate.types import (
    Evidence,
    EvidenceState,
    Limits,
    ModelSpec,
    Requirements,
)

if TYPE_CHECKING:
    from ablate.engines.local.interfaces import DecodeStep, KVStore

FINE = {"seen": 1.0}


@dataclass(frozen=True)
class Honest(Plugin):
    """Decorates the scheduler with itself; what the others change one thing of."""

    @hookimpl(wrapper=True)
    def ablate_schedule(self) -> Generator[None, Any, Any]:
        scheduler = yield
        scheduler.touched = True
        return scheduler

    @hookimpl
    def ablate_evidence(self, state: EvidenceState) -> Evidence:
        touched = getattr(state.components.get("scheduler"), "touched", False)
        return Evidence("honest", touched, "touched the scheduler", FINE)


@dataclass(frozen=True)
class Offered(Plugin):
    """Gives vLLM an argument; what others, which nothing has to be run for, change one thing of."""

    @hookimpl
    def ablate_engine_args(self, engine: str, model: ModelSpec) -> Mapping[str, Any] | None:
        return {"luck": True} if engine == "vllm" else None

    @hookimpl
    def ablate_evidence(self, state: EvidenceState) -> Evidence:
        return resolved("offered", state, {"luck": True})


@dataclass(frozen=True)
class Typo(Honest):
    """Its hook has a name that nobody calls."""

    @hookimpl
    def ablate_setup_cahce(self, model: Any, limits: Limits) -> Any:
        return None


@dataclass(frozen=True)
class WrongArgument(Honest):
    """Its hook asks for what nobody passes."""

    @hookimpl
    def ablate_load_model(self, modle: Any) -> Any:
        return None


@dataclass(frozen=True)
class Unproven(Plugin):
    """Has no evidence."""

    @hookimpl(wrapper=True)
    def ablate_schedule(self) -> Generator[None, Any, Any]:
        return (yield)


@dataclass(frozen=True)
class Idle(Plugin):
    """Has evidence of nothing."""

    @hookimpl
    def ablate_evidence(self, state: EvidenceState) -> Evidence:
        return Evidence("idle", True, "here I am", FINE)


@dataclass(frozen=True)
class Silent(Offered):
    """Says nothing of its option."""

    colour: str = "red"


@dataclass(frozen=True)
class Strange(Offered):
    """Its ``thing`` is of a type that no recipe can write."""

    thing: Callable[[], int] | None = None


@dataclass(frozen=True)
class Raising(Offered):
    """Raises its problem instead of reporting it."""

    @hookimpl
    def ablate_requirements(self, engine: str) -> Requirements:
        raise ImportError("no module named luck")


@dataclass(frozen=True)
class Unfit(Honest):
    """Reports a problem."""

    @hookimpl
    def ablate_requirements(self, engine: str) -> Requirements:
        return Requirements(problems=("luck is not installed",))


@dataclass(frozen=True)
class Dreamer(Offered):
    """Needs what no engine knows."""

    @hookimpl
    def ablate_requirements(self, engine: str) -> Requirements:
        return Requirements(needs=frozenset({"luck"}))


@dataclass(frozen=True)
class Everywhere(Offered):
    """Has arguments for every engine, the unknown ones too."""

    @hookimpl
    def ablate_engine_args(self, engine: str, model: ModelSpec) -> Mapping[str, Any]:
        return {"luck": True}


@dataclass(frozen=True)
class Unwritable(Offered):
    """Has arguments that are no JSON, and one that cannot be made."""

    @hookimpl
    def ablate_engine_args(self, engine: str, model: ModelSpec) -> Mapping[str, Any] | None:
        if engine != "vllm":
            return None
        return {"luck": {1, 2}, "model": lambda folder: folder}


@dataclass(frozen=True)
class Moody(Offered):
    """Has other arguments each time."""

    asked: list[int] = field(default_factory=list)

    @hookimpl
    def ablate_engine_args(self, engine: str, model: ModelSpec) -> Mapping[str, Any] | None:
        self.asked.append(1)
        return {"luck": len(self.asked)} if engine == "vllm" else None


@dataclass(frozen=True)
class Forgetful(Honest):
    """Forgets to return what it decorated."""

    @hookimpl(wrapper=True)
    def ablate_schedule(self) -> Generator[None, Any, Any]:
        yield


@dataclass(frozen=True)
class Elsewhere(Honest):
    """Returns a step that is none."""

    @hookimpl
    def ablate_decode_step(self, model: Any, cache: Any, sampler: Any) -> Any:
        return Fake()


class Fake:
    lookahead = 0
    kv_bytes_per_token = 0.0


@dataclass(frozen=True)
class Boaster(Honest):
    """Says that it took effect whatever it sees."""

    @hookimpl
    def ablate_evidence(self, state: EvidenceState) -> Evidence:
        return Evidence("boaster", True, "of course", FINE)


@dataclass(frozen=True)
class Pretender(Offered):
    """Takes its argument for an effect, whatever the engine says."""

    @hookimpl
    def ablate_evidence(self, state: EvidenceState) -> Evidence:
        return Evidence("pretender", True, "asked for luck", FINE)


@dataclass(frozen=True)
class Rememberer(Honest):
    """Remembers that its hook was asked, and takes that for an effect."""

    asked: list[int] = field(default_factory=list)

    @hookimpl(wrapper=True)
    def ablate_schedule(self) -> Generator[None, Any, Any]:
        self.asked.append(1)
        return (yield)

    @hookimpl
    def ablate_evidence(self, state: EvidenceState) -> Evidence:
        return Evidence("rememberer", bool(self.asked), "I was asked", FINE)


@dataclass(frozen=True)
class Numberless(Honest):
    """Has no number to show."""

    @hookimpl
    def ablate_evidence(self, state: EvidenceState) -> Evidence:
        touched = getattr(state.components["scheduler"], "touched", False)
        return Evidence("numberless", touched, "touched the scheduler")


@dataclass(frozen=True)
class Modest(Honest):
    """Never sees its effect."""

    @hookimpl
    def ablate_evidence(self, state: EvidenceState) -> Evidence:
        return Evidence("modest", None, "who knows", FINE)


@dataclass(frozen=True)
class Lossy(Honest):
    """Rounds keys and values to one bit and calls that lossless."""

    lossless: ClassVar[bool] = True

    @hookimpl
    def ablate_setup_cache(self, model: Any, limits: Limits) -> KVStore:
        from tests.testing.stores import SignStore

        return SignStore(model, limits)


@dataclass(frozen=True)
class Undeclared(Honest):
    """Drafts tokens and does not say that it rolls back."""

    @hookimpl
    def ablate_decode_step(self, model: Any, cache: KVStore, sampler: Any) -> DecodeStep:
        from ablate.engines.local.runner import ModelRunner
        from ablate.engines.local.step import VerifyingStep
        from ablate_ngram.proposer import NgramProposer

        return VerifyingStep(ModelRunner(model, cache), sampler, NgramProposer(3, 1, 3))


@dataclass(frozen=True)
class Losing(Plugin):
    """Its scheduler loses requests."""

    @hookimpl
    def ablate_schedule(self, cache: KVStore, limits: Limits) -> Any:
        from tests.testing.stores import LosingScheduler

        return LosingScheduler(cache, limits)

    @hookimpl
    def ablate_evidence(self, state: EvidenceState) -> Evidence:
        name = type(state.components["scheduler"]).__name__
        return Evidence("losing", name == "LosingScheduler", name, FINE)


@dataclass(frozen=True)
class Overfull(Plugin):
    """Its scheduler keeps to no limit."""

    @hookimpl
    def ablate_schedule(self, cache: KVStore, limits: Limits) -> Any:
        from tests.testing.stores import OverfullScheduler

        return OverfullScheduler(cache, limits)

    @hookimpl
    def ablate_evidence(self, state: EvidenceState) -> Evidence:
        name = type(state.components["scheduler"]).__name__
        return Evidence("overfull", name == "OverfullScheduler", name, FINE)


PLUGINS: Sequence[tuple[type[Plugin], str]] = (
    (Typo, "ablate_setup_cahce, which is no hook"),
    (WrongArgument, "modle"),
    (Unproven, "there should be an ablate_evidence"),
    (Idle, "there should be a hook that changes something"),
    (Silent, "docstring should say what these options do: colour"),
    (Strange, "the options of Strange cannot be read"),
    (Raising, "ablate_requirements raised ImportError: no module named luck"),
    (Unfit, "cannot run here; check it with .*: luck is not installed"),
    (Dreamer, "needs should be of .*'luck'. are not"),
    (Everywhere, "a back end that the plugin does not know should get None"),
    (Unwritable, "model is a function that makes a value, and should take no arguments"),
    (Moody, "should be the same each time"),
    (Forgetful, "returned None; implemented by 'it'; is a `return` forgotten"),
    (Elsewhere, "the step should be a DecodeStep"),
    (Pretender, "asked about an untouched vllm, after measured, it should say applied=False"),
    (Boaster, "asked about an engine without it, after measured, it should say applied=False"),
    (Rememberer, "not at options or at what a hook remembers"),
    (Numberless, "should have numbers that show the effect"),
    (Modest, "should say that the plugin took effect, and says None"),
    (Lossy, "greedy answers in float32 differ from the baseline's .* do not claim lossless"),
    (Undeclared, "commits fewer tokens than it wrote and does not say so"),
    (Losing, "schedules none of them"),
    (Overfull, "at most max_num_batched_tokens tokens"),
)
