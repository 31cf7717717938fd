"""OpenAI-compatible servers: launched for the trial and torn down after it, or attached to."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib.util import find_spec
from typing import Any, ClassVar, Literal

from ablate.engines.base import CAPABILITIES, Engine, EngineContext, Session
from ablate.engines.server.launchers import LLAMA_CPP, Launcher, launchers
from ablate.errors import RecipeError, did_you_mean
from ablate.interpreters import installed
from ablate.plugins import Registry, hookimpl

ATTACHED = "openai"


@dataclass(frozen=True)
class ServerEngine(Engine):
    """Talks to an OpenAI-compatible server, which it launches, or finds at ``base_url``.

    ``launch``: which server to start (vllm, sglang, lmdeploy, llama_cpp). ``base_url``: where one
    runs already, such as http://localhost:8000/v1. ``python``: the interpreter that has the server
    installed. ``args``: the server's own arguments, with underscores. ``env``: environment
    variables for it. ``port``: None is a free one. ``startup_timeout``: seconds until it must be
    up. ``stall_timeout``: seconds without a byte after which it counts as hanging. ``endpoint``:
    ``auto`` is completions with our chat template where the tokenizer is here, else chat.
    ``served_model_name``: what the server calls the model. ``api_key_env``: the environment
    variable that holds the API key. ``untested``: run settings that nobody has checked.
    """

    launch: str | None = None
    base_url: str | None = None
    python: str = ""
    args: dict[str, Any] = field(default_factory=dict)
    env: dict[str, str] = field(default_factory=dict)
    port: int | None = None
    startup_timeout: float = 600.0
    stall_timeout: float = 120.0
    endpoint: Literal["auto", "completions", "chat"] = "auto"
    served_model_name: str | None = None
    api_key_env: str | None = None
    untested: bool = False

    calls: ClassVar[frozenset[str]] = frozenset({"ablate_engine_args"})
    backends: ClassVar[tuple[str, ...]] = ("vllm", "sglang", "lmdeploy", "llama_cpp")
    capabilities: ClassVar[frozenset[str]] = CAPABILITIES
    preload: ClassVar[tuple[str, ...]] = ("ablate.engines.server.session",)

    def __post_init__(self) -> None:
        problems = [*self._choice_problems(), *self._value_problems()]
        if problems:
            raise RecipeError(problems)

    @property
    def backend(self) -> str:
        return self.launch or ATTACHED

    @property
    def own_args(self) -> Mapping[str, Any]:
        return self.args

    @property
    def refusal(self) -> str:
        if self.launch:
            return ""
        return (
            "The arguments of a server that runs already cannot be changed: launch it (launch: …), "
            "or compare servers that were started differently with levels such as "
            "{set: {engine.server.base_url: …}}"
        )

    def problems(self, args: Mapping[str, Any]) -> Sequence[str]:
        launcher = self.launcher
        if launcher is None:
            return ()
        taken = [
            f"engine.server: {self.launch} gets --{name.replace('_', '-')} from ablate; it is no "
            "argument to set"
            for name in args
            if name in launcher.reserved
        ]
        return [*taken, *self._server_problems(launcher, args)]

    def _server_problems(self, launcher: Launcher, args: Mapping[str, Any]) -> Sequence[str]:
        names = " or ".join(launcher.distributions)
        version, lacking = installed(
            self.python, "engine.server", names, launcher.distributions, launcher.install
        )
        if lacking:
            return lacking
        if launcher.unchecked is None or self.untested:
            return ()
        sentences = launcher.unchecked(version, args)
        tried = "Set engine.server.untested: true to try it."
        return [f"engine.server: {sentence} {tried}" for sentence in sentences]

    @property
    def launcher(self) -> Launcher | None:
        return launchers().get(self.launch) if self.launch else None

    def open(self, context: EngineContext) -> Session:
        from ablate.engines.server.opening import open_session  # tokenizers: only in a trial

        return open_session(self, context)

    def _choice_problems(self) -> list[str]:
        if (self.launch is None) == (self.base_url is None):
            return ["give either launch (a server to start) or base_url (one that runs already)"]
        if self.base_url is not None:
            launch_only = [n for n in ("args", "env", "python", "port") if getattr(self, n)]
            found = [f"{n}: is for a server that is launched" for n in launch_only]
            if not self.base_url.startswith(("http://", "https://")):
                found.append("base_url: must start with http:// or https://")
            return found
        if self.launcher is None:
            known = did_you_mean(str(self.launch), launchers())
            return [f"launch: there is no launcher {self.launch!r}.{known}"]
        return []

    def _value_problems(self) -> list[str]:
        found = [
            f"{name}: must be more than 0"
            for name in ("startup_timeout", "stall_timeout")
            if getattr(self, name) <= 0
        ]
        if self.port is not None and not 0 < self.port < 65536:
            found.append(f"port: must be from 1 to 65535, got {self.port}")
        if self.api_key_env and self.api_key_env not in os.environ:
            found.append(f"api_key_env: the environment has no {self.api_key_env}")
        if find_spec("aiohttp") is None:
            found.append("needs aiohttp: pip install 'ablate-inference[server]'")
        return found


@hookimpl
def ablate_register(registry: Registry) -> None:
    registry.add("engine", "server", ServerEngine)
    registry.add("launcher", "llama_cpp", LLAMA_CPP)
