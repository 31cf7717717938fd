"""The fake server as a launcher, ``fake``, where this module is an entry point of ``ablate``."""

from __future__ import annotations

from ablate.engines.server.launchers import Dialect, Launcher
from ablate.plugins import Registry, hookimpl

FAKE = Launcher(
    command=(
        "{python}", "-m", "ablate.testing.fake_server", "--model", "{model}", "--port", "{port}",
    ),
    dashes=False,
    booleans="value",
    dialect=Dialect(
        owner="fake",
        token_prompts=True,
        fields={"return_token_ids": True},
        flush="/flush",
        flushed="emptied",
        gauges={
            "fake:running": "running",
            "fake:waiting": "waiting",
            "fake:share": "kv_share",
            "fake:capacity": "kv_capacity",
        },
        counters={"fake:drafts_total": "spec_num_drafts", "fake:hits_total": "prefix_cache_hits"},
    ),
)  # fmt: skip


@hookimpl
def ablate_register(registry: Registry) -> None:
    registry.add("launcher", "fake", FAKE)
