"""Code for other engines' processes, which find it by this folder on their ``PYTHONPATH``."""

from __future__ import annotations

import os
from pathlib import Path


def python_path(*folders: Path) -> str:
    """A ``PYTHONPATH`` of this folder after others."""
    return os.pathsep.join(map(str, [*folders, Path(__file__).parent]))
