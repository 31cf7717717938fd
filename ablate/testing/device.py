"""Where what is tested runs."""

from __future__ import annotations

import os


def device() -> str:
    """The CPU, unless ``ABLATE_TEST_DEVICE`` names another (``cuda``)."""
    return os.environ.get("ABLATE_TEST_DEVICE", "cpu")
