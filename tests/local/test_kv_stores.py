"""The shipped KV stores side by side: with whom they go, and what they cost a model's answers."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import pytest

from ablate.compatibility import incompatibilities
from ablate.domains.arithmetic import Arithmetic
from ablate.engines.local import LocalEngine
from ablate.models import ModelConfig, resolve_model
from ablate.plugins import Plugin
from ablate.types import Sampling
from ablate_h2o import H2o
from ablate_kivi import Kivi
from ablate_kv_fp8 import KvFp8
from ablate_kv_int8 import KvInt8
from ablate_kv_window import KvWindow
from ablate_ngram import Ngram
from ablate_prefix_cache import PrefixCache
from ablate_schedulers import ShortestFirst
from tests.local.serving import open_session, serve

OTHERS: dict[str, Plugin] = {
    "ngram": Ngram(),
    "prefix_cache": PrefixCache(),
    "shortest_first": ShortestFirst(),
}


@pytest.mark.parametrize(
    ("store", "refused"),
    [
        (KvFp8(), {}),
        (KvInt8(), {}),
        (Kivi(), {"prefix_cache": "shared_blocks"}),
        (KvWindow(), {"prefix_cache": "shared_blocks"}),
        (H2o(), {"ngram": "rollback", "prefix_cache": "shared_blocks"}),
    ],
    ids=lambda x: type(x).__name__,
)
def test_what_would_be_wrong_together_is_refused_by_the_plan(
    store: Plugin, refused: dict[str, str]
) -> None:
    engine = LocalEngine()
    for name, other in OTHERS.items():
        arm = {"store": store, name: other}
        problems = incompatibilities(arm, "local", engine, {"local": LocalEngine})
        taken = refused.get(name)
        assert problems == (
            [f"{name!r} needs {taken!r}, which 'store' takes away"] if taken else []
        )


@cache
def answers(store: Plugin | None) -> tuple[str, ...]:
    path = Path(resolve_model(ModelConfig("tiny-reasoner")).path)
    plugins = {"store": store} if store else {}
    session = open_session(path, plugins=plugins, sampling=Sampling(max_tokens=160))
    return tuple(serve(session, [p.prompt for p in Arithmetic(limit=8).problems()]).texts())


def same_as_baseline(store: Plugin) -> int:
    return sum(a == b for a, b in zip(answers(store), answers(None), strict=True))


@pytest.mark.parametrize("store", [Kivi(bits=4, residual=16), KvFp8()])
def test_rounding_leaves_most_answers_as_they_are(store: Plugin) -> None:
    assert same_as_baseline(store) >= 7


@pytest.mark.parametrize("store", [KvWindow(window=28), H2o(budget=32)])
def test_forgetting_the_question_ruins_the_answers(store: Plugin) -> None:
    assert same_as_baseline(store) <= 4
