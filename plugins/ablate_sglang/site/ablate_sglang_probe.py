"""What SGLang's scheduler says of its model, added to what ``/get_server_info`` answers.

A plugin of SGLang's, which finds it through the entry point beside this file: it runs where the
model is, so that evidence comes from the layers and caches that serve, not from arguments that were
accepted.
"""

from __future__ import annotations

import logging
from typing import Any

from ablate_layers import look
from sglang.srt.plugins.hook_registry import HookRegistry, HookType

logger = logging.getLogger(__name__)


def register() -> None:
    target = "sglang.srt.managers.scheduler.Scheduler.get_internal_state"
    HookRegistry.register(target, _add_facts, HookType.AFTER)


def _add_facts(result: Any, scheduler: Any, *_: Any, **__: Any) -> Any:
    """Adds this rank's share under ``ablate``; nothing where this SGLang has other parts."""
    try:
        result.internal_state["ablate"] = _facts(scheduler)
    except Exception:  # the page is for others, too
        logger.exception("ablate cannot look at the model's layers")
    return result


def _facts(scheduler: Any) -> dict[str, Any]:
    """JSON values: see ``ablate.types.EngineFacts``."""
    runner = scheduler.tp_worker.model_runner
    worker = scheduler.draft_worker
    drafting = [drafter for _, drafter in worker.weight_update_runners()] if worker else []
    layers = look(runner.model, *(drafter.model for drafter in drafting))
    pools = [one.token_to_kv_pool for one in (runner, *drafting)]
    return {
        "linears": layers.linears,
        "quantized": layers.quantized,
        "weight_bytes": layers.weight_bytes,
        "kv_bytes": int(sum(sum(pool.get_kv_size_bytes()) for pool in pools)),
    }
