"""A plugin's KV store and scheduler by themselves, under more than a small load asks of them."""

from __future__ import annotations

from typing import Any

from ablate.engines.local.interfaces import KVStore, Scheduler
from ablate.engines.local.session import default_cache, default_scheduler
from ablate.plugins import ArmPlugins, Plugin, hooks_of
from ablate.testing import cache, schedule
from ablate.testing.findings import Finding
from ablate.testing.plugin import asking
from ablate.types import Limits


def examine(plugin: Plugin) -> list[Finding]:
    """What it supplies or decorates of the two."""
    arm, hooks = ArmPlugins({"it": plugin}), hooks_of(plugin)

    def store(model: Any, limits: Limits) -> Any:
        return arm.component("ablate_setup_cache", default_cache, model=model, limits=limits)

    def scheduler(held: KVStore, limits: Limits) -> Scheduler:
        made: Scheduler = arm.component(
            "ablate_schedule", default_scheduler, cache=held, limits=limits
        )
        return made

    found: list[Finding] = []
    if "ablate_setup_cache" in hooks:
        found += cache.examine(store, asking.of(plugin, "local").drops)
    if "ablate_schedule" in hooks:
        found += schedule.examine(scheduler)
    return found
