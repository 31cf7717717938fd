"""A real vLLM server and the in-process engine agree. ``ABLATE_TEST_VLLM``: its interpreter."""

from __future__ import annotations

import os
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from ablate.domains.arithmetic import Arithmetic
from ablate.engines.base import Session
from ablate.engines.local import LocalEngine
from ablate.types import Load, Request, Sampling
from tests.engines.attached import MODEL, context, engine

PYTHON = os.environ.get("ABLATE_TEST_VLLM")


@pytest.mark.extra
@pytest.mark.slow
@pytest.mark.skipif(not PYTHON, reason="ABLATE_TEST_VLLM names no interpreter that has vLLM")
def test_vllm_serves_what_the_local_engine_says(tmp_path: Path) -> None:
    problems = list(Arithmetic(limit=8).problems())
    problems += [
        replace(p, id=f"{p.id}-bare", chat=False, stop=("</think>",), max_tokens=150)
        for p in problems
    ]
    load = Load(tuple(Request(p.id, p, 0, seed=1) for p in problems), concurrency=4)
    opened = context(
        tmp_path,
        model=replace(MODEL, dtype="float32"),
        sampling=Sampling(temperature=0.0, max_tokens=200),
    )

    def texts(session: Session) -> dict[str, tuple[str, int, int, int]]:
        found = {}
        with closing(session):
            session.run(load, lambda c: found.update({c.request_id: c}), lambda _: None)
        return {
            name: (c.text, c.prompt_tokens, c.output_tokens, c.thinking_tokens)
            for name, c in found.items()
        }

    server = engine(launch="vllm", python=PYTHON, args={"max_model_len": 1024, "max_num_seqs": 8})
    session = server.open(opened)
    facts = session.evidence_state("warmup").components["facts"]
    assert facts.weight_bytes
    assert facts.kv_cache_tokens
    assert facts.settings["enable_prefix_caching"] is False
    assert texts(session) == texts(LocalEngine(device="cpu").open(opened))
    assert "16 of 16" in session.info["token counts"]
    assert session.info["prefix cache"] == "emptied before each run"
