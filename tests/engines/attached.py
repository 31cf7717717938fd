"""A fake server in this process, the engine that talks to it, and what is asked of it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from ablate.engines.base import EngineContext, Session
from ablate.engines.server import ServerEngine
from ablate.engines.text import Codebook
from ablate.models import ModelConfig, resolve_model
from ablate.options import build
from ablate.plugins import ArmPlugins
from ablate.testing import FakeServer
from ablate.testing.fake_server import OUTPUT
from ablate.testing.fake_server.app import Fake
from ablate.types import Completion, Load, Problem, Request, Sampling, Usage

MODEL = resolve_model(ModelConfig("tiny-reasoner"))
TOKENS = len(Codebook(MODEL).tokens(OUTPUT)) + 1  # and the end token


def engine(**options: Any) -> ServerEngine:
    made, problems = build(ServerEngine, options, "engine.server")
    assert made is not None, problems
    return made


def context(directory: Path, **changes: Any) -> EngineContext:
    made = EngineContext(MODEL, ArmPlugins({}), Sampling(max_tokens=64), 4, directory)
    return replace(made, **changes)


def load(n: int = 3, arrivals: float | None = None, concurrency: int | None = None) -> Load:
    problems = [Problem(str(i), "sums", f"What is {i} + 7?", str(i + 7)) for i in range(n)]
    requests = [
        Request(p.id, p, 0, seed=i, arrival=None if arrivals is None else i * arrivals)
        for i, p in enumerate(problems)
    ]
    return Load(tuple(requests), concurrency)


def served(
    session: Session, what: Load
) -> tuple[list[Completion], list[Usage], Mapping[str, float]]:
    done: list[Completion] = []
    usage: list[Usage] = []
    counters = session.run(what, done.append, usage.append)
    return sorted(done, key=lambda c: int(c.request_id)), usage, counters


@contextmanager
def running(**behaviour: Any) -> Iterator[tuple[str, Fake]]:
    """A fake server in a thread of this process, at the address that is given."""
    with FakeServer(MODEL.path, **{"served": "tiny-reasoner", **behaviour}) as server:
        yield server.url, server.fake


@contextmanager
def attached(
    tmp_path: Path, options: Mapping[str, Any] | None = None, **behaviour: Any
) -> Iterator[Session]:
    with running(**behaviour) as (url, _):
        made = engine(base_url=url, **(options or {}))
        with closing(made.open(context(tmp_path))) as session:
            yield session
