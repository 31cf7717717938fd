"""What vLLM is started with, in-process or as a server, unless a recipe says otherwise."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ablate.engines.probes import python_path

PYTHONPATH = python_path(Path(__file__).with_name("site"))
QUIET: Mapping[str, str] = {"VLLM_NO_USAGE_STATS": "1", "DO_NOT_TRACK": "1"}
ARGS: Mapping[str, Any] = {
    "enable_prefix_caching": False,
    "worker_extension_cls": "ablate_vllm_probe.Probe",
}
ON_CPU: Mapping[str, Any] = {"enforce_eager": True}  # compiling takes minutes there
SAFE: Mapping[str, Any] = {"load_format": "safetensors"}  # no pickles
