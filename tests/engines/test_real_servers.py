"""Real servers and the in-process engine agree, token by token.

Interpreters that have them are named by ``ABLATE_TEST_VLLM``, ``ABLATE_TEST_SGLANG`` and
``ABLATE_TEST_LMDEPLOY``; docs/reference/engines-compared.md says how they are made. Without a GPU
SGLang gets a stand-in for its compiled kernels, and LMDeploy one for its engine.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass, field, replace
from pathlib import Path
from shutil import copytree
from typing import Any

import pytest

from ablate.domains.arithmetic import Arithmetic
from ablate.engines.base import Session, has_gpu
from ablate.engines.local import LocalEngine
from ablate.engines.server import ServerEngine
from ablate.types import Completion, EngineFacts, Load, ModelSpec, Request, Sampling
from tests.engines.attached import MODEL, context, engine

HERE = Path(__file__).parent
PROBLEMS = 8
BARE = "-bare"
LINEARS = 16  # in 4 layers: query, key and value are one, and so are gate and up
KV_BYTES = 4096  # of a token in float32


@dataclass(frozen=True)
class Kind:
    """A server under test. ``cpu_path``: what its PYTHONPATH gets where there is no GPU."""

    name: str
    args: Mapping[str, Any]
    cpu_path: str = ""
    cpu_args: Mapping[str, Any] = field(default_factory=dict)
    flushes: bool = True
    dtype: str = "float32"
    says_no_prefixes: tuple[str, bool] = ("", False)
    sends_tokens: bool = False

    @property
    def python(self) -> str:
        return os.environ.get(f"ABLATE_TEST_{self.name.upper()}", "")

    def engine(self) -> ServerEngine:
        args, env = dict(self.args), {}
        if not has_gpu() and self.cpu_path:
            args |= self.cpu_args
            env = {"PYTHONPATH": str(HERE / self.cpu_path)}
        return engine(launch=self.name, python=self.python, args=args, env=env)


KINDS = (
    Kind(
        "vllm",
        {"max_model_len": 1024, "max_num_seqs": 8},
        says_no_prefixes=("enable_prefix_caching", False),
        sends_tokens=True,
    ),
    Kind(
        "sglang",
        {"context_length": 1024, "max_running_requests": 8},
        "sglang_cpu",
        says_no_prefixes=("disable_radix_cache", True),
    ),
    Kind(
        "lmdeploy",
        {"session_len": 1024, "max_batch_size": 8},
        "lmdeploy_cpu",
        {"backend": "pytorch"},
        flushes=False,
        dtype="auto",
    ),
)


@pytest.fixture(params=KINDS, ids=lambda kind: kind.name)
def kind(request: pytest.FixtureRequest) -> Kind:
    found: Kind = request.param
    if not found.python:
        pytest.skip(f"ABLATE_TEST_{found.name.upper()} names no interpreter")
    return found


@pytest.fixture
def model(kind: Kind, tmp_path: Path) -> ModelSpec:
    """In float32 by argument and by the model's own word: LMDeploy takes no such argument."""
    folder = copytree(MODEL.path, tmp_path / "model")
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"dtype": "float32"}))
    return replace(MODEL, path=str(folder), dtype=kind.dtype)


def asked() -> Load:
    problems = list(Arithmetic(limit=PROBLEMS).problems())
    problems += [
        replace(p, id=f"{p.id}{BARE}", chat=False, stop=("</think>",), max_tokens=150)
        for p in problems
    ]
    return Load(tuple(Request(p.id, p, 0, seed=1) for p in problems), concurrency=4)


def served(session: Session, kind: Kind) -> dict[str, tuple[str, int, int, int | None]]:
    """Text and numbers of tokens of each answer.

    A server that sends text, not tokens, keeps a stop text to itself: here, that thinking ended.
    """
    found: dict[str, Completion] = {}
    with closing(session):
        session.run(asked(), lambda c: found.update({c.request_id: c}), lambda _: None)
    unsaid = () if kind.sends_tokens else [name for name in found if name.endswith(BARE)]
    return {
        name: (
            c.text,
            c.prompt_tokens,
            c.output_tokens,
            None if name in unsaid else c.thinking_tokens,
        )
        for name, c in found.items()
    }


@pytest.mark.extra
@pytest.mark.slow
def test_a_server_says_what_the_local_engine_says(
    kind: Kind, model: ModelSpec, tmp_path: Path
) -> None:
    opened = context(tmp_path, model=model, sampling=Sampling(temperature=0.0, max_tokens=200))
    local = LocalEngine(device="cpu").open(opened)
    session = kind.engine().open(opened)
    facts = session.evidence_state("warmup").components["facts"]
    assert isinstance(facts, EngineFacts)
    if kind.name == "lmdeploy":
        assert facts.settings["max_batch_size"] == 8
        assert facts.settings["enable_prefix_caching"] is False
    else:
        setting, value = kind.says_no_prefixes
        assert facts.settings[setting] is value
        assert facts.kv_cache_tokens
        assert facts.kv_bytes_per_token == KV_BYTES
        assert facts.quantized == 0
        assert sum((facts.linears or {}).values()) == LINEARS
        assert 1 <= (facts.weight_bytes or 0) / (local.weight_bytes or 0) < 1.15
    assert served(session, kind) == served(local, kind)
    assert f"{2 * PROBLEMS} of {2 * PROBLEMS}" in session.info["token counts"]
    assert session.info["prefix cache"].startswith("emptied" if kind.flushes else "not emptied")
