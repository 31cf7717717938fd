"""How each kind of server is started and spoken to, as data; a plugin can add its own.

A plugin adds one with ``registry.add("launcher", name, Launcher(…))``; those of vLLM, SGLang and
LMDeploy stand in ``plugins``.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from ablate.plugins import installed
from ablate.types import EngineFacts

Booleans = Literal["negated", "switch", "value"]
# Said in each request, for a server that runs already and has its model's generation_config.json.
NO_FILTERS: Mapping[str, Any] = {"top_k": -1, "min_p": 0.0, "repetition_penalty": 1.0}


@dataclass(frozen=True)
class FactsCall:
    """What a server is asked about its model and caches, and how its answer is read.

    ``body``: what is posted; None: nothing, the page is read.
    """

    path: str
    body: Mapping[str, Any] | None
    read: Callable[[Any], EngineFacts]


@dataclass(frozen=True)
class Dialect:
    """What a server understands beyond the common ground.

    ``owner``: what it calls itself in ``/v1/models``. ``token_prompts``: a prompt may be a list of
    token ids. ``token_chunks``: each chunk of a stream is one token. ``counts_end``: it counts the
    end token as output. ``stop_ids``: the field that takes the model's stop tokens, all of which it
    might not know. ``fields``: added to each request. ``flush``: where its prefix cache is emptied;
    ``flushed``: what it answers if it was.
    ``gauges`` and ``counters``: our names for its metrics; gauges are ``running``, ``waiting``,
    ``kv_share``, ``kv_tokens`` and ``kv_capacity``.
    """

    owner: str = ""
    token_prompts: bool = False
    token_chunks: bool = False
    counts_end: bool = True
    stop_ids: str | None = None
    fields: Mapping[str, Any] = field(default_factory=dict)
    flush: str | None = None
    flushed: str = ""
    gauges: Mapping[str, str] = field(default_factory=dict)
    counters: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Launcher:
    """How one kind of server is started; arguments are named with underscores.

    ``command``: its words, with ``{python}``, ``{model}`` and ``{port}``. ``booleans``: how true
    and false are written: ``--x`` and ``--no-x`` (negated), ``--x`` and nothing (switch), or
    ``--x true`` (value). ``dashes``: flags are written with dashes. ``defaults``: the baseline's
    arguments. ``from_model``: argument -> field of the recipe's model. ``no_pickles``: arguments
    for a model that may not run code when it is loaded. ``files``: the server loads one file, found
    in the model's folder by this pattern. ``health``: what answers 200 once it is up.
    ``replicated(facts, engines)``: the facts of all engines that its metrics page has totals of,
    where one of them answered.
    ``distributions``: one of them must be installed, by ``install``. ``unchecked(version, args)``:
    sentences about what nobody has checked. ``on_cpu``, ``cpu_env``: more defaults without a GPU.
    """

    command: Sequence[str]
    dialect: Dialect
    booleans: Booleans = "switch"
    dashes: bool = True
    defaults: Mapping[str, Any] = field(default_factory=dict)
    from_model: Mapping[str, str] = field(default_factory=dict)
    no_pickles: Mapping[str, Any] = field(default_factory=dict)
    files: str | None = None
    health: str = "/health"
    facts: FactsCall | None = None
    replicated: Callable[[EngineFacts, int], EngineFacts] | None = None
    distributions: tuple[str, ...] = ()
    install: str = ""
    unchecked: Callable[[str, Mapping[str, Any]], Sequence[str]] | None = None
    env: Mapping[str, str] = field(default_factory=dict)
    on_cpu: Mapping[str, Any] = field(default_factory=dict)
    cpu_env: Mapping[str, str] = field(default_factory=dict)

    @property
    def reserved(self) -> frozenset[str]:
        """Arguments that the command sets itself."""
        flags = [word[2:] for word in self.command if word.startswith("--")]
        return frozenset(flag.replace("-", "_") for flag in flags) - {"model", "model_path"}

    def words(self, python: str, model: str, port: int, args: Mapping[str, Any]) -> list[str]:
        """The command line."""
        places = {"python": python, "model": model, "port": port}
        return [word.format(**places) for word in self.command] + self.flags(args)

    def flags(self, args: Mapping[str, Any]) -> list[str]:
        """Arguments as flags; None is left out."""
        found: list[str] = []
        for name, value in args.items():
            written = name.replace("_", "-") if self.dashes else name
            if isinstance(value, bool):
                found += self._boolean(written, value)
            elif isinstance(value, Mapping):
                found += [f"--{written}", json.dumps(value)]
            elif isinstance(value, (list, tuple)):
                found += [f"--{written}", *map(str, value)]
            elif value is not None:
                found += [f"--{written}", str(value)]
        return found

    def _boolean(self, written: str, value: bool) -> list[str]:
        if self.booleans == "value":
            return [f"--{written}", str(value).lower()]
        if value:
            return [f"--{written}"]
        return [f"--no-{written}"] if self.booleans == "negated" else []


LLAMA_CPP = Launcher(
    command=(
        "{python}", "-m", "llama_cpp.server", "--model", "{model}",
        "--host", "127.0.0.1", "--port", "{port}",
    ),
    booleans="value",
    dashes=False,
    # by default a request is broken off when the next one comes
    defaults={"cache": False, "interrupt_requests": False},
    files="*.gguf",
    distributions=("llama-cpp-python",),
    install="pip install 'llama-cpp-python[server]'",
    health="/v1/models",
    dialect=Dialect(
        owner="me",
        token_chunks=True,  # and it sends no usage with a stream
        fields={"top_k": 0, "min_p": 0.0, "repeat_penalty": 1.0},
    ),
)  # fmt: skip


COMMON = Dialect(fields={"stream_options": {"include_usage": True}})


def launchers() -> Mapping[str, Launcher]:
    """Every launcher that is installed, by name."""
    return installed().registry.all("launcher")


def dialect_of(owner: str) -> Dialect:
    """What a server that calls itself ``owner`` understands; the common ground if it is unknown."""
    known = (launcher.dialect for launcher in launchers().values())
    return next((d for d in known if d.owner == owner), COMMON)
