"""Every KV store that is installed, alone and with prefixes cached, does what a store must do."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from ablate.compatibility import example
from ablate.conflicts import capability_conflicts, claim_conflicts
from ablate.engines.base import CAPABILITIES
from ablate.engines.local.interfaces import KVStore
from ablate.engines.local.session import default_cache
from ablate.plugins import ArmPlugins, Plugin, hooks_of, installed
from ablate.testing import check_cache
from ablate.types import Limits

STORES = {
    name: cls
    for name, cls in installed().optimizations.items()
    if "ablate_setup_cache" in hooks_of(cls)
}
SUPPLIERS = [name for name, cls in STORES.items() if hooks_of(cls)["ablate_setup_cache"] == "plain"]


def check(plugins: Mapping[str, Plugin]) -> None:
    arm = ArmPlugins(plugins)
    drops = frozenset().union(*(r.drops for r in arm.requirements("local").values()))

    def store(model: Any, limits: Limits) -> KVStore:
        made: KVStore = arm.component(
            "ablate_setup_cache", default_cache, model=model, limits=limits
        )
        return made

    check_cache(store, drops=drops)


def test_there_are_stores() -> None:
    assert {"kv_int8", "prefix_cache"} <= STORES.keys()


@pytest.mark.parametrize("name", ["the engine's", *STORES])
def test_a_store(name: str) -> None:
    check({name: example(STORES[name])} if name in STORES else {})


@pytest.mark.parametrize("name", SUPPLIERS)
def test_a_store_that_a_prefix_cache_decorates(name: str) -> None:
    arm = {name: example(STORES[name]), "prefix_cache": example(STORES["prefix_cache"])}
    asked = ArmPlugins(arm).requirements("local")
    assert claim_conflicts(arm) == []
    if capability_conflicts(asked, "local", CAPABILITIES):
        assert "shared_blocks" in asked[name].drops
    else:
        check(arm)
