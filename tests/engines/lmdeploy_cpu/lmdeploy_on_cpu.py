"""An engine for LMDeploy's server that computes with transformers on a CPU, greedily."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

import torch
from lmdeploy.messages import EngineOutput, RequestMetrics, ResponseType, ScheduleMetrics
from transformers import AutoModelForCausalLM


class CpuEngine:
    """What LMDeploy's server asks of an engine."""

    def __init__(self, path: str, config: Any) -> None:
        self.engine_config = config
        dtype = "auto" if config.dtype == "auto" else getattr(torch, config.dtype)
        self.model = AutoModelForCausalLM.from_pretrained(path, dtype=dtype)
        self.turn = asyncio.Lock()
        self.running = 0

    def create_instance(self) -> Instance:
        return Instance(self)

    def get_schedule_metrics(self) -> ScheduleMetrics:
        return ScheduleMetrics(active_seqs=self.running)

    async def get_health_status(self) -> dict[str, Any]:
        metrics = self.get_schedule_metrics()
        return {"alive": True, "message": "", "schedule_metrics": metrics}

    def close(self) -> None:
        pass


@dataclass
class Instance:
    """Serves one request at a time."""

    engine: CpuEngine
    cancelled: set[int] = field(default_factory=set)

    async def async_cancel(self, session_id: int) -> None:
        self.cancelled.add(session_id)

    async def async_stream_infer(
        self, session_id: int, input_ids: list[int], gen_config: Any, **_: Any
    ) -> AsyncIterator[EngineOutput]:
        greedy = gen_config.top_k == 1 or gen_config.temperature == 0
        if not greedy or gen_config.repetition_penalty != 1:
            raise ValueError(f"this engine is greedy, and was asked for {gen_config}")
        stops = set(gen_config.stop_token_ids or ())
        new, cache = input_ids, None
        self.engine.running += 1
        try:
            for done in range(gen_config.max_new_tokens):
                async with self.engine.turn:
                    token, cache = await asyncio.to_thread(self._step, new, cache)
                last = done + 1 == gen_config.max_new_tokens or token in stops
                status = ResponseType.FINISH if last else ResponseType.SUCCESS
                if session_id in self.cancelled:
                    status, last = ResponseType.CANCEL, True
                metrics = RequestMetrics(token_timestamp=time.time())
                yield EngineOutput(status, [token], req_metrics=metrics)
                if last:
                    return
                new = [token]
        finally:
            self.engine.running -= 1
            self.cancelled.discard(session_id)

    def _step(self, tokens: list[int], cache: Any) -> tuple[int, Any]:
        with torch.inference_mode():
            out = self.engine.model(
                input_ids=torch.tensor([tokens]), past_key_values=cache, use_cache=True
            )
        return int(out.logits[0, -1].argmax()), out.past_key_values
