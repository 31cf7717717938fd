"""The hook points: everything an optimization can do, and when it is asked.

A *component hook* is called once per trial for the object that does a job. A plain implementation
supplies the object; an implementation marked ``@hookimpl(wrapper=True)`` receives it from ``yield``
and returns a decorated one. Two plain implementations of one component hook in one arm are a
conflict, found when the recipe is planned. Where nobody supplies a component, the engine does. A
hook that returns None has failed, and with it its arm. Nothing here runs inside the decode loop.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import pluggy

from ablate.types import Evidence, EvidenceState, Limits, ModelSpec, Requirements

if TYPE_CHECKING:
    from ablate.engines.local.interfaces import DecodeStep, KVStore, Sampler, Scheduler
    from ablate.engines.text import Codebook
    from ablate.plugins import Registry

PROJECT = "ablate"

HOOKSPEC_VERSION = 2
"""Counts up with every change that a plugin can notice; ``hookspec_version`` of a plugin says for
which one it was written. docs/explanation/stability.md says what may change when."""
OLDEST_HOOKSPEC_VERSION = 1
"""Plugins written for an older one are refused."""

hookspec = pluggy.HookspecMarker(PROJECT)
hookimpl = pluggy.HookimplMarker(PROJECT)


class HookDeprecated(DeprecationWarning):
    """A plugin uses a hook, or an argument of one, that will go.

    For ``@hookspec(warn_on_impl=...)`` and ``warn_on_impl_args={argument: ...}``. ``since`` and
    ``until`` are versions of the specifications: the first that discourages, the first without.
    """

    def __init__(self, what: str, replacement: str, since: int, until: int) -> None:
        super().__init__(
            f"{what} is deprecated since hook specifications {since} and goes with {until}: "
            f"use {replacement} instead"
        )


@hookspec(firstresult=True)
def ablate_load_model(model: ModelSpec, device: str) -> Any:
    """Load the model: weight quantization lives here.

    Called by the in-process engine, once, when a trial opens. ``device`` is a torch device string.
    Returns a transformers ``PreTrainedModel`` in eval mode on ``device``.
    """
    raise NotImplementedError


@hookspec(firstresult=True)
def ablate_setup_cache(model: Any, limits: Limits) -> KVStore:
    """Supply the KV store: KV-cache quantization returns one, prefix caching decorates one.

    Called by the in-process engine after the model is loaded. Returns an
    ``ablate.engines.local.interfaces.KVStore``. One that drops tokens says in ``holds`` how many it
    keeps and in ``positions`` which. Since 2 it may keep others for each layer and head
    (``layer_positions``) and be told what attention looks at (``observe``), and ``fits`` says what
    memory has room for. One that decorates another passes all of them on.
    """
    raise NotImplementedError


@hookspec(firstresult=True)
def ablate_decode_step(
    model: Any, cache: KVStore, sampler: Sampler, codebook: Codebook
) -> DecodeStep:
    """Supply the decode step: one iteration over the scheduled chunks (plain or speculative).

    Called by the in-process engine after the cache is set up. Returns an
    ``ablate.engines.local.interfaces.DecodeStep``. ``codebook`` (since 2): between text and tokens,
    as the model's tokenizer and chat template have it.
    """
    raise NotImplementedError


@hookspec(firstresult=True)
def ablate_schedule(cache: KVStore, limits: Limits) -> Scheduler:
    """Supply the scheduler: who is admitted, whose prompt is chunked, who is preempted.

    Called by the in-process engine last. Returns an
    ``ablate.engines.local.interfaces.Scheduler``.
    """
    raise NotImplementedError


@hookspec
def ablate_engine_args(engine: str, model: ModelSpec) -> Mapping[str, Any] | None:
    """Arguments for an engine that owns its loop (vLLM and the servers).

    ``engine`` is the back end whose arguments are asked for: ``vllm`` (in-process and server),
    ``sglang``, ``lmdeploy`` or ``llama_cpp``; ``model`` the recipe's. Returns the arguments as that
    back end names them (vLLM: of ``EngineArgs``; the others: command-line flags, with underscores),
    or None if the plugin does not support it. The mappings of all plugins are merged by dotted leaf
    (``speculative_config.method``); a leaf that two plugins set is a conflict naming both.

    Called when the recipe is planned and again when the engine opens, so it must be quick: a value
    that takes work, such as the folder of a quantized model (``model``), is given as a function
    without arguments, which is called as the engine opens.
    """
    raise NotImplementedError


@hookspec
def ablate_requirements(engine: str) -> Requirements:
    """What the plugin needs of the engine, what it takes away, and what stands in its way.

    ``engine`` is ``local``, or the back end as in ``ablate_engine_args``.
    Called when a recipe is planned, before anything is loaded: it must not import torch. Problems
    such as a missing package or unfit hardware go into ``Requirements.problems``.
    """
    raise NotImplementedError


@hookspec
def ablate_evidence(state: EvidenceState) -> Evidence:
    """Whether the plugin took effect, with the number that shows it.

    Called after warm-up and after measuring. ``applied`` False at any time, or None after
    measuring, fails the arm.
    """
    raise NotImplementedError


@hookspec
def ablate_register(registry: Registry) -> None:
    """Add domains, engines, arrival processes, executors, metrics or launchers of servers.

    Called once at start-up, on the object or module that the entry point names.
    """
    raise NotImplementedError


COMPONENT_HOOKS = (
    "ablate_load_model",
    "ablate_setup_cache",
    "ablate_decode_step",
    "ablate_schedule",
)
HOOKS = (
    *COMPONENT_HOOKS,
    "ablate_engine_args",
    "ablate_requirements",
    "ablate_evidence",
    "ablate_register",
)
