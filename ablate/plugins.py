"""Plugins: their base class, how they are found, and the manager that one arm has.

Everything comes in through the entry-point group ``ablate``: a class derived from ``Plugin`` is an
optimization that recipes switch on by the entry point's name; anything else must implement
``ablate_register`` and is asked at start-up for domains, engines, arrival processes, executors,
metrics and launchers of servers.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, is_dataclass
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from types import MappingProxyType
from typing import Any, ClassVar, Literal, NamedTuple, NoReturn, get_args

from ablate.admission import check_requirement
from ablate.errors import AblateError, TrialError, did_you_mean
from ablate.hookspecs import PROJECT, hookimpl
from ablate.implementations import check_version, deprecations, hooks_of, new_manager, supports
from ablate.types import Evidence, EvidenceState, ModelSpec, Requirements

__all__ = ["Plugin", "Registry", "hookimpl", "hooks_of", "supports"]

Kind = Literal["domain", "engine", "launcher", "arrival", "executor", "metric"]
CLASSES: tuple[Kind, ...] = ("domain", "engine", "arrival", "executor", "metric")
"""Kinds of which classes are registered; of launchers, objects."""


@dataclass(frozen=True)
class Plugin:
    """Base of every optimization: fields are its options, methods marked ``@hookimpl`` its hooks.

    The first line of the docstring is what ``ablate plugins`` prints; ``source`` names the paper.
    (What a module registers has no ``source``: its docstring says it.)
    ``lossless`` claims that greedy output is the baseline's up to floating-point noise.
    ``example``: options that the support matrix is made with, where the defaults alone are refused
    or show too little. ``hookspec_version``: the version of the hook specifications that it was
    written for (``ablate.hookspecs``); None: it does not say.
    """

    hookspec_version: ClassVar[int | None] = None
    source: ClassVar[str] = ""
    lossless: ClassVar[bool] = False
    example: ClassVar[Mapping[str, Any]] = MappingProxyType({})


class Origin(NamedTuple):
    """Where something that is installed comes from."""

    entry_point: str
    distribution: str
    version: str

    def __str__(self) -> str:
        return f"{self.distribution} {self.version}"


class Registry:
    """What plugins added at start-up, by kind and name. ``adding``: on whose behalf."""

    def __init__(self) -> None:
        self._items: dict[Kind, dict[str, Any]] = {}
        self._origins: dict[tuple[Kind, str], Origin] = {}
        self.adding = Origin("?", "?", "?")

    def add(self, kind: Kind, name: str, item: Any) -> None:
        """Make something available to recipes under ``name``.

        ``kind``: ``domain``, ``engine``, ``arrival``, ``executor`` or ``metric``, whose item is a
        class, a frozen dataclass; or ``launcher``. The name is the one that recipes use, whatever
        the entry point is called; one module may add several. Raises AblateError.
        """
        if kind not in get_args(Kind):
            raise AblateError(
                f"there is no kind {kind!r} of component.{did_you_mean(kind, get_args(Kind))}"
            )
        if kind in CLASSES and not (isinstance(item, type) and is_dataclass(item)):
            raise AblateError(
                f"the {kind} {name!r} must be a dataclass, whose fields are its options"
            )
        known = self._items.setdefault(kind, {})
        if name in known:
            both = f"{self.origin(kind, name)} and {self.adding}"
            raise AblateError(f"two plugins register the {kind} {name!r}, {both}; uninstall one")
        known[name] = item
        self._origins[kind, name] = self.adding

    def all(self, kind: Kind) -> Mapping[str, Any]:
        return MappingProxyType(self._items.get(kind, {}))

    def origin(self, kind: Kind, name: str) -> Origin:
        """Who added something."""
        return self._origins[kind, name]


@dataclass(frozen=True)
class Found:
    """One entry point of the group: the class it names, or why it cannot be used.

    ``deprecated``: a sentence for each hook or argument that it should no longer use.
    """

    name: str
    plugin: type[Plugin] | None
    distribution: str
    version: str
    error: str | None = None
    deprecated: tuple[str, ...] = ()


@dataclass(frozen=True)
class Installed:
    """All that is installed: optimizations by name, the registry, and what failed to load."""

    optimizations: Mapping[str, type[Plugin]]
    registry: Registry
    found: tuple[Found, ...]
    broken: Mapping[str, str] = field(default_factory=dict)


@cache
def installed() -> Installed:
    """Find and load every entry point of the group; one that fails is kept with its error."""
    registry = Registry()
    points = sorted(entry_points(group=PROJECT))
    by_name: dict[str, list[EntryPoint]] = {}
    for point in points:
        by_name.setdefault(point.name, []).append(point)
    found = [_load(point, by_name[point.name], registry) for point in points]
    return Installed(
        optimizations={f.name: f.plugin for f in found if f.plugin},
        registry=registry,
        found=tuple(found),
        broken={f.name: f.error for f in found if f.error},
    )


def _load(point: EntryPoint, namesakes: Sequence[EntryPoint], registry: Registry) -> Found:
    origin = _origin(point)
    try:
        if len(namesakes) > 1:
            both = " and ".join(str(_origin(other)) for other in namesakes)
            raise AblateError(f"{both} both provide a plugin of this name; uninstall one")
        if point.dist:
            check_requirement(point.dist)
        plugin, deprecated = _loaded(point, origin, registry)
        return Found(point.name, plugin, *origin[1:], deprecated=deprecated)
    except AblateError as error:
        return Found(point.name, None, *origin[1:], str(error))
    except Exception as error:  # a third party's import can fail in any way; its users are told
        return Found(point.name, None, *origin[1:], f"{type(error).__name__}: {error}")


def _origin(point: EntryPoint) -> Origin:
    dist = point.dist
    return Origin(point.name, dist.name if dist else "?", dist.version if dist else "?")


def _loaded(
    point: EntryPoint, origin: Origin, registry: Registry
) -> tuple[type[Plugin] | None, tuple[str, ...]]:
    """The optimization, or None for what registered its components, and what is deprecated."""
    loaded = point.load()
    check_version(loaded)
    hooks = hooks_of(loaded)
    if isinstance(loaded, type) and issubclass(loaded, Plugin):
        return loaded, deprecations(loaded)
    if "ablate_register" not in hooks:
        raise AblateError("is neither a Plugin class nor an implementer of ablate_register")
    registry.adding = origin
    manager = new_manager()
    manager.register(loaded)
    manager.hook.ablate_register(registry=registry)
    return None, deprecations(loaded)


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
        plain = [i.plugin_name for i in impls if not (i.wrapper or i.hookwrapper)]
        wrappers = [i.plugin_name for i in impls if i.plugin_name not in plain]
        last = _forgot(hook, plain) if plain else default
        supplier = type(f"Default_{hook}", (), {hook: staticmethod(hookimpl(trylast=True)(last))})()
        self._manager.register(supplier)
        try:
            result = caller(**kwargs)
        finally:
            self._manager.unregister(supplier)
        if result is None:
            _forgot(hook, wrappers or ["the engine"])()
        return result

    def requirements(self, engine: str) -> dict[str, Requirements]:
        """Each plugin's requirements on an engine; no implementation means none.

        Raises AblateError for one that implements the hook and returns something else.
        """
        asked = {n: self._ask_one(n, "ablate_requirements", engine=engine) for n in self.plugins}
        for name, answer in asked.items():
            if not isinstance(answer, Requirements | None) or (
                answer is None and "ablate_requirements" in hooks_of(self.plugins[name])
            ):
                raise AblateError(
                    f"ablate_requirements of {name!r} returned {answer!r}; it must return a "
                    "Requirements, Requirements() where it needs and drops nothing"
                )
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
            said = f"its ablate_evidence returned {evidence!r}, which is no Evidence"
            if "ablate_evidence" not in hooks_of(self.plugins[name]):
                said = "it has no ablate_evidence"
            raise TrialError(
                f"plugin {name!r} gave no evidence that it took effect: {said}", "evidence"
            )
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


def _forgot(hook: str, names: Iterable[str]) -> Callable[[], NoReturn]:
    """What is called after implementations that all returned None."""

    def fail() -> NoReturn:
        raise TrialError(f"{hook} returned None; implemented by {', '.join(map(repr, names))}")

    return fail
