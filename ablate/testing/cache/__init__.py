"""KV stores: what is read is what was written, whatever happened in between."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from ablate.testing.cache import memory, probe
from ablate.testing.cache.bench import SHAPES, Bench, MakeStore, bench
from ablate.testing.cache.view import StoreError
from ablate.testing.cache.walk import Allowed, Walk
from ablate.testing.findings import Finding, guarded, judged, said
from ablate.testing.serving import one_thread

WALKS = {"llama": 4}  # of one shape; of the others one each
STEPS = 40
READS = "every token that is held is read back, by one row or many, after others came and went"
ROLL_BACK = "tokens that were written and not committed leave no trace"
UNDO = (
    "commit() to fewer tokens than were written must undo the rest; a store that cannot must say "
    "drops=frozenset({'rollback'}) in ablate_requirements"
)


def examine(make_store: MakeStore, drops: frozenset[str]) -> list[Finding]:
    """What ``check_cache`` looks at, one shape after the other, until one fails."""
    found: list[Finding] = []
    with one_thread():
        for architecture in SHAPES:
            found += examine_on(bench(architecture), make_store, drops)
            if not all(f.ok for f in found):
                break
    return found


def examine_on(on: Bench, make_store: MakeStore, drops: frozenset[str]) -> list[Finding]:
    """The same for one shape."""
    found: list[Finding] = []
    for look in (_reads, _sizes, _roll_back, _shared_blocks):
        found += guarded("kv store", look, on, make_store, drops)
    return found


def _reads(on: Bench, make_store: MakeStore, drops: frozenset[str]) -> Iterator[Finding]:
    problems = _walks(on, make_store, Allowed(False, _most(drops)))
    yield from judged("kv store reads", problems, f"{_shaped(on)}: {READS}")


def _sizes(on: Bench, make_store: MakeStore, drops: frozenset[str]) -> Iterator[Finding]:
    problems = _sentences(on, lambda: probe.look(on, make_store))
    if "batching" not in drops:
        problems += _sentences(on, lambda: probe.fill(on, make_store))
        problems += _sentences(on, lambda: memory.keeps_within(on, make_store))
    store = on.store(make_store)
    fine = f"{store.bytes_per_token:g} bytes a token, {store.capacity_tokens} tokens fit"
    yield from judged("kv store sizes", problems, f"{_shaped(on)}: {fine}")


def _roll_back(on: Bench, make_store: MakeStore, drops: frozenset[str]) -> Iterator[Finding]:
    if "rollback" in drops:
        return
    found = _walks(on, make_store, Allowed(True, _most(drops)))
    problems = [f"{problem}; {UNDO}" for problem in found]
    yield from judged("kv store roll-back", problems, f"{_shaped(on)}: {ROLL_BACK}")


def _shared_blocks(on: Bench, make_store: MakeStore, drops: frozenset[str]) -> Iterator[Finding]:
    if "shared_blocks" in drops:
        problems = _sentences(on, lambda: probe.refuses(on, make_store))
        fine = "drops shared_blocks, and refuses to export and adopt"
    else:
        problems = _sentences(on, lambda: probe.share(on, make_store), hint=True)
        fine = "blocks that are exported and adopted read as if they were computed"
    yield from judged("kv store blocks", problems, f"{_shaped(on)}: {fine}")


def _walks(on: Bench, make_store: MakeStore, allowed: Allowed) -> list[str]:
    """What the first walk that fails ends with, if one does."""
    for seed in range(WALKS.get(on.architecture, 1)):
        try:
            Walk(on, make_store, seed, allowed).go(STEPS)
        except StoreError as error:
            return [f"{_shaped(on)}: {error}"]
    return []


def _sentences(on: Bench, look: Callable[[], Iterable[str]], hint: bool = False) -> list[str]:
    """What ``look`` says, with the shape it was said of; an error is a sentence, too."""
    problems: list[str] = []
    try:
        problems.extend(look())
    except StoreError as error:
        problems.append(str(error))
    except Exception as error:  # a store can fail in any way
        advice = "; a store that cannot share blocks must say drops=frozenset({'shared_blocks'})"
        problems.append(f"should not raise, and raised {said(error)}{advice if hint else ''}")
    return [f"{_shaped(on)}: {problem}" for problem in problems]


def _shaped(on: Bench) -> str:
    return f"on {on.architecture}'s shape"


def _most(drops: frozenset[str]) -> int:
    return 1 if "batching" in drops else 5
