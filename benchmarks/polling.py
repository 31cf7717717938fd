"""vLLM's processes that poll, told to give way to others.

Its engine core and its worker keep a core each busy while they wait for each other. On two cores
its HTTP front end, and any client, then wait for a core, and that is what is measured. At the
lowest priority (nice 19) they take only what others leave.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

LOWEST = 19
NAMES = (b"VLLM::EngineCore", b"VLLM::Worker")


def give_way() -> int:
    """Lowers every thread of theirs; later ones take after these. How many processes there are."""
    found = list(_processes())
    for process in found:
        for thread in Path(process, "task").glob("*"):
            try:
                os.setpriority(os.PRIO_PROCESS, int(thread.name), LOWEST)
            except (ProcessLookupError, FileNotFoundError):
                continue
    return len(found)


def _processes() -> Iterator[Path]:
    for process in Path("/proc").glob("[0-9]*"):
        try:
            words = Path(process, "cmdline").read_bytes()
        except (ProcessLookupError, FileNotFoundError):
            continue
        if words.startswith(NAMES):
            yield process
