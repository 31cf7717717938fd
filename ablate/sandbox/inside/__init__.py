"""What runs in the sandbox, around a program. Standard library only, and little of it.

An interpreter in there has none of this package's files: it is given the text of ``common``, of
``proof`` or ``several``, and of ``entry``, one after the other, without what they import of each
other.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path


@cache
def code(part: str) -> str:
    """One program; ``part`` is ``proof`` or ``several``."""
    folder = Path(__file__).parent
    texts = [(folder / f"{n}.py").read_text(encoding="utf-8") for n in ("common", part, "entry")]
    lines = [line for text in texts for line in text.splitlines()]
    kept = (
        line for line in lines if not line.strip().startswith(("from ablate.", "from __future__"))
    )
    return "\n".join(["from __future__ import annotations", *kept, ""])
