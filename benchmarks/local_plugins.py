"""What optimizations on the engine ``local`` are for, each against the engine without it.

``python -m benchmarks.local_plugins [--model SMOLLM2]``, in one process, taking turns:

- ``draft`` and ``ngram``: running time on ``tiny-reasoner`` at concurrency 1, greedy;
- ``prefix_cache``: mean TTFT of 16 requests over one prefix of 512 tokens, all in one wave and one
  after the other; the cache is empty before each turn;
- ``kv_int8``, ``kv_fp8``, ``kivi``: bytes of keys and values per token, needed and allocated, of
  four requests of 1,900 tokens.

On two cores nothing else may run beside it.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping, Sequence
from statistics import fmean

from ablate.domains.arithmetic import Arithmetic
from ablate.domains.logic import Logic
from ablate.engines.base import EngineContext
from ablate.engines.local import LocalEngine
from ablate.models import ModelConfig, resolve_model
from ablate.plugins import ArmPlugins, Plugin
from ablate.types import Completion, Load, Problem, Request, Sampling, Usage
from ablate_draft import Draft
from ablate_kivi import Kivi
from ablate_kv_fp8 import KvFp8
from ablate_kv_int8 import KvInt8
from ablate_ngram import Ngram
from ablate_prefix_cache import PrefixCache
from benchmarks.contenders import take_token_ids
from benchmarks.ratios import print_ratios

SHARED = 512  # tokens of the prefix
REQUESTS = 16
LONG, TAIL, HELD = 1900, 32, 4  # tokens, and the new ones among them, of so many sequences


class Served:
    """A session, and what came of its last load."""

    def __init__(self, model: str, plugins: Mapping[str, Plugin], max_tokens: int) -> None:
        spec = resolve_model(ModelConfig(model, dtype="bfloat16"))
        context = EngineContext(spec, ArmPlugins(plugins), Sampling(max_tokens=max_tokens), 64)
        self.session = LocalEngine().open(context)
        self.done: list[Completion] = []
        self.usage: list[Usage] = []

    def run(self, problems: Sequence[Problem], concurrency: int) -> None:
        self.done, self.usage = [], []
        requests = tuple(Request(str(i), p, 0, i) for i, p in enumerate(problems))
        self.session.run(Load(requests, concurrency), self.done.append, self.usage.append)

    @property
    def seconds(self) -> float:
        return max(done.finished for done in self.done)

    @property
    def ttft(self) -> float:
        return fmean(done.token_times[0] - done.arrival for done in self.done)


def take_turns(
    name: str, pairs: int, plain: Callable[[], float], with_it: Callable[[], float]
) -> None:
    """Print how many times less ``with_it`` takes; the first turn of each is a warm-up."""
    plain()
    with_it()
    print_ratios(name, [(plain(), with_it()) for _ in range(pairs)])


def speculation(pairs: int) -> None:
    asked = [*Arithmetic(limit=8).problems(), *Logic(limit=8).problems()]
    plain = Served("tiny-reasoner", {}, 512)

    def seconds(served: Served) -> Callable[[], float]:
        def run() -> float:
            served.run(asked, 1)
            return served.seconds

        return run

    # a small draft is faster in float32 on a CPU
    draft = Served("tiny-reasoner", {"draft": Draft("tiny-draft", 8, "float32")}, 512)
    take_turns("draft (k 8), running time, plain / with it", pairs, seconds(plain), seconds(draft))
    ngram = Served("tiny-reasoner", {"ngram": Ngram()}, 512)
    take_turns("ngram (k 4), running time, plain / with it", pairs, seconds(plain), seconds(ngram))


def prefix(model: str, pairs: int) -> None:
    plain, cached = Served(model, {}, 8), Served(model, {"prefix_cache": PrefixCache()}, 8)
    for served in (plain, cached):
        take_token_ids(served.session)
    turn = iter(range(1, 1000))

    def ttft(served: Served, concurrency: int) -> Callable[[], float]:
        def run() -> float:
            served.run(sharing(next(turn)), concurrency)
            return served.ttft

        return run

    for name, concurrency in (("in one wave", REQUESTS), ("one after the other", 1)):
        title = f"prefix_cache, mean TTFT {name}, plain / with it"
        take_turns(title, pairs, ttft(plain, concurrency), ttft(cached, concurrency))


def sharing(turn: int) -> list[Problem]:
    """Requests over a prefix that no other turn has."""
    shared = [5 + (turn * 31 + i * i * 7) % 400 for i in range(SHARED)]
    ends = [[5 + (i * 13 + j) % 400 for j in range(16)] for i in range(REQUESTS)]
    return [
        Problem(str(i), "", "", "", max_tokens=8, payload=[*shared, *end])
        for i, end in enumerate(ends)
    ]


def bytes_per_token(model: str) -> None:
    plugins: Mapping[str, Mapping[str, Plugin]] = {
        "none": {},
        "kv_int8": {"kv_int8": KvInt8()},
        "kv_fp8": {"kv_fp8": KvFp8()},
        "kivi (4 bits)": {"kivi": Kivi(bits=4)},
        "kivi (4 bits, groups of 64, 32 newest)": {"kivi": Kivi(4, 64, 32)},
        "kivi (2 bits)": {"kivi": Kivi(bits=2)},
    }
    prompt = [5 + i * i % 400 for i in range(LONG - TAIL)]
    full = (1.0, 1.0)
    for name, chosen in plugins.items():
        served = Served(model, chosen, TAIL)
        take_token_ids(served.session)
        served.run(
            [Problem(str(i), "", "", "", max_tokens=TAIL, payload=prompt) for i in range(HELD)],
            HELD,
        )
        counted = [
            (u.kv_tokens, u.kv_bytes, u.kv_allocated_bytes)
            for u in served.usage
            if u.kv_tokens and u.kv_bytes and u.kv_allocated_bytes
        ]
        tokens, needs, takes = max(counted)
        held = needs / tokens, takes / tokens
        full = held if name == "none" else full
        needed, allocated = (mine / all_ for mine, all_ in zip(held, full, strict=True))
        print(
            f"KV, {name}: {held[0]:,.0f} bytes a token ({needed:.2f}), "
            f"{held[1]:,.0f} allocated ({allocated:.2f}), {tokens:,} tokens"
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", maxsplit=1)[0])
    parser.add_argument("--model", default="tiny-reasoner", help="for prefix_cache and the bytes")
    parser.add_argument("--pairs", type=int, default=5)
    options = parser.parse_args()
    speculation(options.pairs)
    prefix(options.model, options.pairs)
    bytes_per_token(options.model)


if __name__ == "__main__":
    main()
