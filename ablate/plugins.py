"""Plugins: their base class, how they are found, and the manager that one arm has.

Everything comes in through the entry-point group ``ablate``: a class derived from ``Plugin`` is an
optimization that recipes switch on by the entry point's name; anything else must implement
``ablate_register`` and is asked at start-up for domains, engines, arrival processes, executors,
metrics and report writers.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from types import MappingProxyType
from typing import Any, ClassVar, Literal

import pluggy

from ablate import hookspecs
from ablate.errors import AblateError, TrialError
from ablate.hookspecs import COMPONENT_HOOKS, HOOKS, PROJECT, hookimpl
from ablate.types import Evidence, EvidenceState, ModelSpec, Requirements

__all__ = ["Plugin", "Registry", "hookimpl"]

HookUse = Literal["plain", "wrapper"]
Kind = Literal["domain", "engine", "launcher", "arrival", "executor", "metric", "report"]


@dataclass(frozen=True)
class Plugin:
    """Base of every optimization: fields are its options, methods marked ``@hookimpl`` its hooks.

    The first line of the docstring is what ``ablate plugins`` prints; ``source`` names the paper.
    ``lossless`` claims that greedy output is the baseline's up to floating-point noise.
    ``example``: options that the support matrix is made with, where the defaults alone are refused
    or show too little.
    """

    source: ClassVar[str] = ""
    lossless: ClassVar[bool] = False
    example: ClassVar[Mapping[str, Any]] = MappingProxyType({})


class Registry:
    """What plugins added at start-up, by kind and name."""

    def __init__(self) -> None:
        self._items: dict[Kind, dict[str, Any]] = {}

    def add(self, kind: Kind, name: str, item: Any) -> None:
        """Add a class (domain, engine, arrival, executor), a callable or a launcher."""
        known = self._items.setdefault(kind, {})
        if name in known:
            raise AblateError(f"two plugins register the {kind} {name!r}; uninstall one")
        known[name] = item

    def all(self, kind: Kind) -> Mapping[str, Any]:
        return MappingProxyType(self._items.get(kind, {}))


@dataclass(frozen=True)
class Found:
    """One entry point of the group: the class it names, or why it cannot be used."""

    name: str
    plugin: type[Plugin] | None
    distribution: str
    version: str
    error: str | None = None


@dataclass(frozen=True)
class Installed:
    """All that is installed: optimizations by name, the registry, and what failed to load."""

    optimizations: Mapping[str, type[Plugin]]
    registry: Registry
    found: tuple[Found, ...]
    broken: Mapping[str, str] = field(default_factory=dict)


def hooks_of(plugin: object) -> dict[str, HookUse]:
    """The hooks a plugin implements, and how.

    Raises AblateError for a method that looks like a hook and is none: a misspelt or unmarked hook
    would otherwise be ignored in silence.
    """
    uses: dict[str, HookUse] = {}
    for name in dir(plugin):
        if not name.startswith("ablate_"):
            continue
        marked = getattr(getattr(plugin, name), f"{PROJECT}_impl", None)
        owner = getattr(plugin, "__name__", type(plugin).__name__)
        if name not in HOOKS:
            if marked is None and not callable(getattr(plugin, name)):
                continue
            raise AblateError(f"{owner} defines {name}, which is no hook of ablate")
        if marked is None:
            raise AblateError(f"{owner}.{name} lacks the @hookimpl mark and would never be called")
        wrapper = marked["wrapper"] or marked["hookwrapper"]
        if wrapper and name not in COMPONENT_HOOKS:
            raise AblateError(f"{owner}.{name} cannot be a wrapper: it supplies no component")
        uses[name] = "wrapper" if wrapper else "plain"
    return uses


@cache
def installed() -> Installed:
    """Find and load every entry point of the group; one that fails is kept with its error."""
    registry = Registry()
    found = [_load(point, registry) for point in sorted(entry_points(group=PROJECT))]
    twice = [name for name, n in Counter(f.name for f in found).items() if n > 1]
    if twice:
        raise AblateError(
            f"two installed distributions provide the plugin {twice[0]!r}; uninstall one"
        )
    return Installed(
        optimizations={f.name: f.plugin for f in found if f.plugin},
        registry=registry,
        found=tuple(found),
        broken={f.name: f.error for f in found if f.error},
    )


def _load(point: EntryPoint, registry: Registry) -> Found:
    dist = point.dist
    name = dist.name if dist else "?"
    version = dist.version if dist else "?"
    try:
        loaded = point.load()
        if isinstance(loaded, type) and issubclass(loaded, Plugin):
            hooks_of(loaded)
            return Found(point.name, loaded, name, version)
        _register(loaded, registry)
        return Found(point.name, None, name, version)
    except Exception as error:  # a third party's import can fail in any way; its users are told
        return Found(point.name, None, name, version, f"{type(error).__name__}: {error}")


def _register(target: object, registry: Registry) -> None:
    if "ablate_register" not in hooks_of(target):
        raise AblateError("is neither a Plugin class nor an implementer of ablate_register")
    manager = new_manager()
    manager.register(target)
    manager.hook.ablate_register(registry=registry)


def new_manager() -> pluggy.PluginManager:
    manager = pluggy.PluginManager(PROJECT)
    manager.add_hookspecs(hookspecs)
    return manager


class ArmPlugins:
    """The plugins of one arm, with a manager of their own."""

    def __init__(self, plugins: Mapping[str, Plugin]) -> None:
        self.plugins = dict(plugins)
        self._manager = new_manager()
        for name, plugin in plugins.items():
            self._manager.register(plugin, name=name)
        self._manager.check_pending()

    def component(self, hook: str, default: Callable[..., Any], **kwargs: Any) -> Any:
        """Ask for a component; ``default`` supplies it where no plugin does.

        Raises TrialError naming the implementers when a hook returns None: that is a forgotten
        ``return``, never a wish for the default.
        """
        caller = getattr(self._manager.hook, hook)
        impls = caller.get_hookimpls()
        if all(i.wrapper or i.hookwrapper for i in impls):
            supplier = _Supplier(hook, default)
            self._manager.register(supplier.module, name=f"default {hook}")
        result = caller(**kwargs)
        if result is None:
            names = ", ".join(repr(i.plugin_name) for i in impls)
            raise TrialError(f"{hook} returned None; implemented by {names or 'the engine'}")
        return result

    def requirements(self, engine: str) -> dict[str, Requirements]:
        """Each plugin's requirements on an engine; no implementation means none."""
        asked = {n: self._ask_one(n, "ablate_requirements", engine=engine) for n in self.plugins}
        return {n: r if r is not None else Requirements() for n, r in asked.items()}

    def engine_args(self, engine: str, model: ModelSpec) -> dict[str, Mapping[str, Any] | None]:
        """Each plugin's arguments for a back end; None: it does not support it."""
        return {
            name: self._ask_one(name, "ablate_engine_args", engine=engine, model=model)
            for name in self.plugins
        }

    def evidence(self, state: EvidenceState) -> tuple[Evidence, ...]:
        """Each plugin's evidence. Raises TrialError for one that has none or was not applied."""
        return tuple(self._evidence_of(name, state) for name in self.plugins)

    def _evidence_of(self, name: str, state: EvidenceState) -> Evidence:
        evidence = self._ask_one(name, "ablate_evidence", state=state)
        if not isinstance(evidence, Evidence):
            raise TrialError(f"plugin {name!r} gave no evidence that it took effect", "evidence")
        refused = evidence.applied is False
        if refused or (state.stage == "measured" and evidence.applied is None):
            raise TrialError(f"plugin {name!r} did not take effect: {evidence.detail}", "evidence")
        return evidence

    def _ask_one(self, name: str, hook: str, **kwargs: Any) -> Any:
        # Not pluggy's subset_hook_caller: it hashes plugins, and options may be lists.
        for impl in getattr(self._manager.hook, hook).get_hookimpls():
            if impl.plugin_name == name:
                return impl.function(*(kwargs[argument] for argument in impl.argnames))
        return None


class _Supplier:
    """The engine's own component as a hook implementation, for when nobody claims the hook."""

    def __init__(self, hook: str, default: Callable[..., Any]) -> None:
        self.module = type(f"Default_{hook}", (), {hook: staticmethod(hookimpl(default))})()


def claim_conflicts(
    plugins: Mapping[str, Plugin], engine_calls: Iterable[str] = COMPONENT_HOOKS
) -> list[str]:
    """Sentences for each component that two plugins of one arm both supply to the engine."""
    problems = []
    for hook in [h for h in COMPONENT_HOOKS if h in engine_calls]:
        claimants = [n for n, p in plugins.items() if hooks_of(p).get(hook) == "plain"]
        if len(claimants) > 1:
            names = " and ".join(repr(n) for n in claimants)
            problems.append(f"{names} both supply {hook}; an arm can have only one of them")
    return problems


def capability_conflicts(
    requirements: Mapping[str, Requirements], engine: str, offered: frozenset[str]
) -> list[str]:
    """Sentences for each capability that a plugin needs and the engine or another plugin denies."""
    problems = [f"{n}: {text}" for n, r in requirements.items() for text in r.problems]
    for name, wanted in requirements.items():
        problems += [
            f"{name!r} needs {need!r}, which engine {engine!r} does not offer"
            for need in sorted(wanted.needs - offered)
        ]
        for need in sorted(wanted.needs & offered):
            takers = [n for n, r in requirements.items() if need in r.drops and n != name]
            problems += [f"{name!r} needs {need!r}, which {t!r} takes away" for t in takers]
    return problems


def merge_engine_args(
    by_plugin: Mapping[str, Mapping[str, Any]],
) -> tuple[dict[str, Any], list[str]]:
    """Merge the plugins' engine arguments by dotted leaf; returns the mapping and the conflicts."""
    owner: dict[str, str] = {}
    merged: dict[str, Any] = {}
    problems = []
    for plugin, args in by_plugin.items():
        for leaf, value in _leaves(args):
            if leaf in owner:
                problems.append(f"{owner[leaf]!r} and {plugin!r} both set engine argument {leaf!r}")
                continue
            owner[leaf] = plugin
            _set_leaf(merged, leaf.split("."), value)
    return merged, problems


def made(args: Mapping[str, Any]) -> dict[str, Any]:
    """Engine arguments with the values that are functions called; may take long."""
    return {
        key: made(value) if isinstance(value, Mapping) else value() if callable(value) else value
        for key, value in args.items()
    }


def _leaves(args: Mapping[str, Any], prefix: str = "") -> Sequence[tuple[str, Any]]:
    out: list[tuple[str, Any]] = []
    for key, value in args.items():
        path = f"{prefix}{key}"
        out += _leaves(value, f"{path}.") if isinstance(value, Mapping) else [(path, value)]
    return out


def _set_leaf(target: dict[str, Any], path: list[str], value: Any) -> None:
    for key in path[:-1]:
        target = target.setdefault(key, {})
    target[path[-1]] = value


def supports(plugin: type[Plugin], engine_calls: frozenset[str]) -> bool:
    """Whether a plugin implements a working hook that the engine calls."""
    working = set(hooks_of(plugin)) - {"ablate_requirements", "ablate_evidence", "ablate_register"}
    return bool(working & engine_calls)
