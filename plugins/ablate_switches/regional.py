"""torch.compile of decoder layers, one after the other, around the engine's attention.

All layers run the same code, so that it is compiled once, whatever their number: once for a step of
one token, and once for any other. Attention is left as it is, for every store reads differently.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor
from torch._dynamo.backends.registry import lookup_backend
from torch._dynamo.utils import counters
from transformers import AttentionInterface

from ablate.engines.local.attention import NAME, attend
from ablate.engines.local.batch import Span
from ablate.engines.local.interfaces import Seq
from ablate.engines.local.layers import decoder_layers
from ablate.engines.local.runner import ModelRunner
from ablate.engines.local.slots import SlotStore
from ablate.types import Evidence, Limits, Problem, Request

BACKEND = "inductor"
MOST = 64  # versions of one function; beyond it, torch would go on without compiling
STEPS = (2, 1)  # tokens; one has code of its own
Graph = Callable[..., Any]


class Compiled:
    """A back end that counts the graphs that it compiled, and how often they ran to serve."""

    def __init__(self, backend: str) -> None:
        self._compile = lookup_backend(backend)
        self.graphs = 0
        self.runs = 0
        self._graphs_before = 0
        self._breaks_before = _breaks()

    def opened(self) -> None:
        """From here on requests are served."""
        self.runs = 0
        self._graphs_before = self.graphs

    @property
    def breaks(self) -> int:
        return _breaks() - self._breaks_before

    @property
    def late(self) -> int:
        """Graphs that were compiled while requests were served."""
        return self.graphs - self._graphs_before

    def __call__(self, module: torch.fx.GraphModule, inputs: Sequence[Tensor]) -> Graph:
        graph = self._compile(module, inputs)  # type: ignore[arg-type]
        self.graphs += 1

        def run(*args: Any) -> Any:
            self.runs += 1
            return graph(*args)

        return run


def _breaks() -> int:
    return sum(counters["graph_break"].values())


def compile_layers(model: Any) -> None:
    """Have every layer compiled when it first runs. Raises TrialError for an unknown layout."""
    # what is not compiled in the end is an error, not a warning
    torch._dynamo.config.recompile_limit = MOST
    torch._dynamo.config.fail_on_recompile_limit_hit = True
    backend = Compiled(BACKEND)
    for layer in decoder_layers(model):
        layer.compile(backend=backend, dynamic=True)
    model.ablate_compiled = backend


@torch.compiler.disable  # type: ignore[untyped-decorator]
def opaque(*args: Any, **more: Any) -> tuple[Tensor, None]:
    """The engine's attention, whose output lies in memory the same way whatever was attended to."""
    out, nothing = attend(*args, **more)
    return out.contiguous(), nothing


def run_once(model: Any) -> None:
    """Run steps of each kind over a store of their own, so that all is compiled."""
    store = SlotStore(model, Limits(1, 16, 16, 1 << 40))
    runner = ModelRunner(model, store)
    AttentionInterface.register(NAME, opaque)
    request = Request("compile", Problem("compile", "compile", "", ""), 0, 0)
    store.add(Seq(0, request, [0], 1, 1, 0.0, 0.0))
    for n in STEPS:
        runner([Span(0, [0] * n, 0, keep=1)])
    compiled: Compiled = model.ablate_compiled
    compiled.opened()


def evidence(model: Any) -> Evidence:
    """What ran compiled, and what was compiled late: that took time that was measured."""
    compiled = getattr(model, "ablate_compiled", None)
    if not isinstance(compiled, Compiled) or not compiled.runs:
        return Evidence("compile", False, "no compiled code ran")
    late = f"; {compiled.late} of them while serving" if compiled.late else ""
    return Evidence(
        "compile",
        True,
        f"{compiled.graphs} graphs compiled{late}; they ran {compiled.runs} times",
        {
            "compiled_graphs": compiled.graphs,
            "compiled_while_serving": compiled.late,
            "compiled_runs": compiled.runs,
            "graph_breaks": compiled.breaks,
        },
    )
