"""check_cache passes the stores that are shipped and finds those that forget."""

from __future__ import annotations

from typing import Any

import pytest

from ablate.engines.local.interfaces import KVStore
from ablate.engines.local.slots import SlotStore
from ablate.testing import CheckError, check_cache, examine_cache
from ablate.types import Limits
from ablate_kv_int8.codec import Int8
from ablate_prefix_cache.store import PrefixStore
from tests.testing.placing import PLACING, Reordered
from tests.testing.stores import STORES, Window


def int8(model: Any, limits: Limits) -> KVStore:
    return SlotStore(model, limits, Int8())


def prefix(model: Any, limits: Limits) -> KVStore:
    return PrefixStore(SlotStore(model, limits), block_size=2)


def prefix_of_reordered(model: Any, limits: Limits) -> KVStore:
    return PrefixStore(Reordered(model, limits), block_size=2)


@pytest.mark.parametrize("make", [SlotStore, int8, prefix, Reordered, prefix_of_reordered])
def test_shipped_stores_hold_what_they_are_given(make: Any) -> None:
    check_cache(make)


def test_a_store_that_says_what_it_cannot_do_need_not_do_it() -> None:
    check_cache(Window, drops={"rollback"})


@pytest.mark.parametrize(
    ("make", "drops", "why"), [*STORES, *PLACING], ids=lambda case: getattr(case, "__name__", "")
)
def test_a_store_that_forgets_is_found(make: Any, drops: frozenset[str], why: str) -> None:
    with pytest.raises(CheckError) as caught:
        check_cache(make, drops=drops)
    assert why in str(caught.value)


def test_every_shape_is_looked_at() -> None:
    shapes = {f.message.split("'")[0] for f in examine_cache(SlotStore)}
    assert shapes == {"on llama", "on qwen2", "on qwen3", "on mistral"}
