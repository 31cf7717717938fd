"""h2o: the store, what each head keeps, and what serving with it gives."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch
from torch import Tensor

from ablate.testing import check_cache, tiny_model
from ablate_h2o import H2o
from ablate_h2o.store import HeavyHitterStore
from tests.local.serving import generated, open_session, prompts_of_many_lengths, serve
from tests.local.written_out import reference_answers

BUDGET, RECENT = 12, 6
PROMPTS = prompts_of_many_lengths(6)
DROPS = {"rollback", "shared_blocks"}


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_model(tmp_path_factory.mktemp("h2o"))


@pytest.mark.parametrize(("budget", "recent"), [(2, 1)])
def test_the_store_holds_what_it_is_given(budget: int, recent: int) -> None:
    check_cache(lambda m, limits: HeavyHitterStore(m, limits, budget, recent), drops=DROPS)


@dataclass(eq=False)
class Entry:
    """A token as one head holds it, and the attention that it got so far."""

    place: int
    key: Tensor
    value: Tensor
    score: float = 0.0


class HeavyHitters:
    """Attention over what H2O's algorithm keeps, a list of tokens for each layer and head."""

    def __init__(self) -> None:
        self._held: dict[tuple[int, int], list[Entry]] = defaultdict(list)

    def __call__(self, layer: int, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
        heads = range(key.shape[0])
        return torch.stack([self._head(layer, g, query[g], key[g], value[g]) for g in heads])

    def _head(self, layer: int, head: int, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
        held = self._held[layer, head]
        start = held[-1].place + 1 if held else 0
        held += [Entry(start + i, *kv) for i, kv in enumerate(zip(key, value, strict=True))]
        places = torch.tensor([entry.place for entry in held])
        here = torch.arange(start, start + len(key))[:, None]
        scores = query @ torch.stack([entry.key for entry in held]).T
        weights = scores.masked_fill(places > here, -torch.inf).softmax(-1)
        for entry, got in zip(held, weights.sum((0, 1)).tolist(), strict=True):
            entry.score += got
        old, new = held[:-RECENT], held[-RECENT:]
        heavy = sorted(old, key=lambda entry: -entry.score)[: BUDGET - RECENT]
        kept = [entry for entry in held if entry in heavy or entry in new]
        out = weights @ torch.stack([entry.value for entry in held])
        self._held[layer, head] = kept
        return out


@pytest.mark.parametrize(
    ("pieces", "concurrency"), [(4096, 1), (4096, 8), (7, 1)], ids=["alone", "together", "pieces"]
)
def test_serving_is_attention_over_heavy_hitters(
    checkpoint: Path, pieces: int, concurrency: int
) -> None:
    plugin = H2o(BUDGET, RECENT / BUDGET)
    session = open_session(
        checkpoint,
        plugins={"h2o": plugin},
        concurrency=concurrency,
        max_num_batched_tokens=pieces,
    )
    served = serve(session, PROMPTS, concurrency)
    expected = reference_answers(checkpoint, PROMPTS, HeavyHitters, pieces)
    assert served.texts() == expected != generated(checkpoint, PROMPTS)
    assert max(u.kv_tokens or 0 for u in served.usage) <= concurrency * BUDGET


def test_a_budget_that_nothing_exceeds_changes_nothing_and_is_no_evidence(checkpoint: Path) -> None:
    session = open_session(checkpoint, plugins={"h2o": H2o(1000)})
    assert serve(session, PROMPTS).texts() == generated(checkpoint, PROMPTS)
    shown = H2o(1000).ablate_evidence(session.evidence_state("measured"))
    assert (shown.applied, shown.detail) == (
        False,
        "no sequence had more than 1000 tokens, so none was evicted",
    )
    assert H2o(1000).ablate_evidence(session.evidence_state("warmup")).applied is None


def test_memory_is_kept_to_and_everybody_is_served(checkpoint: Path) -> None:
    token_bytes = 2 * 2 * (2 * 16 * 4 + 8)  # layers, KV heads, key and value, place and score
    budget = 3 * BUDGET * token_bytes
    session = open_session(
        checkpoint, plugins={"h2o": H2o(BUDGET)}, kv_cache_gib=budget / 2**30, max_num_seqs=8
    )
    served = serve(session, PROMPTS)
    assert len(served.completions) == len(PROMPTS)
    assert 0 < max(u.kv_bytes or 0 for u in served.usage) <= budget


@pytest.mark.parametrize(
    ("budget", "recent", "why"),
    [(1, 0.5, "budget must be at least 2 tokens, not 1"), (8, 1.5, "a share from 0 to 1, not 1.5")],
)
def test_bad_options(budget: int, recent: float, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        H2o(budget, recent)
