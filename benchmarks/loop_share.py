"""How much of a step of the engine ``local`` is not the model's forward pass.

``python -m benchmarks.loop_share --model SMOLLM2 [--rows 32]`` serves ``rows`` prompts at once, all
of one length, and prints the milliseconds of a step, those within the forward pass (embedding to
logits, attention and the KV store included) and the share of the rest: scheduling, packing, what
picks the next token, telemetry, the ends of answers. On two cores nothing else may run beside it.
"""

from __future__ import annotations

import argparse
import time
from typing import Any

import numpy as np

from ablate.engines.base import EngineContext
from ablate.engines.local import LocalEngine
from ablate.engines.text import Codebook
from ablate.models import ModelConfig, resolve_model
from ablate.plugins import ArmPlugins
from ablate.types import Sampling
from benchmarks.contenders import Asked, load_of, take_token_ids
from benchmarks.local_speed import loads


class Timed:
    """The forward pass, and the seconds that went into it."""

    def __init__(self, forward: Any) -> None:
        self._forward = forward
        self.seconds, self.calls = 0.0, 0

    def __call__(self, *args: Any) -> Any:
        began = time.perf_counter()
        out = self._forward(*args)
        self.seconds += time.perf_counter() - began
        self.calls += 1
        return out


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", maxsplit=1)[0])
    parser.add_argument("--model", default="tiny-reasoner")
    parser.add_argument("--dtype", default="bfloat16")
    parser.add_argument("--rows", type=int, default=32)
    parser.add_argument("--tokens", type=int, default=64)
    parser.add_argument("--turns", type=int, default=5)
    options = parser.parse_args()
    model = resolve_model(ModelConfig(options.model, dtype=options.dtype))
    context = EngineContext(model, ArmPlugins({}), Sampling(max_tokens=256), options.rows)
    session: Any = LocalEngine().open(context)
    take_token_ids(session)
    runner = session._parts.step._runner  # no way to serve a model
    forward = runner.fused = Timed(runner.fused)
    prompts = loads(Codebook(model))["batch"].prompts
    rows = [prompts[i % len(prompts)] for i in range(options.rows)]
    load = load_of(Asked(rows, [options.tokens] * len(rows)))
    shares = []
    for turn in range(options.turns + 1):
        forward.seconds, forward.calls = 0.0, 0
        began = time.perf_counter()
        session.run(load, lambda _: None, lambda _: None)
        whole = time.perf_counter() - began
        if turn:  # the first one warms up
            shares.append(1 - forward.seconds / whole)
            per_step = [1e3 * seconds / forward.calls for seconds in (whole, forward.seconds)]
            print(f"  {per_step[0]:.2f} ms a step, {per_step[1]:.2f} in the forward pass")
    low, middle, high = 100 * np.array([min(shares), np.median(shares), max(shares)])
    print(
        f"{model.name}, {options.dtype}, {options.rows} rows: outside it {middle:.1f} % of a step "
        f"({low:.1f} to {high:.1f} over {options.turns} turns)"
    )


if __name__ == "__main__":
    main()
