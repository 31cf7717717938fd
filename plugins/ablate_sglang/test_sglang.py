"""What SGLang says of itself; tests/engines/test_real_servers.py runs a real one."""

from __future__ import annotations

from importlib.metadata import Distribution
from pathlib import Path
from typing import Any

import pytest

from ablate_sglang import LAUNCHER, facts

ANSWER: dict[str, Any] = {
    "tp_size": 2,
    "pp_size": 1,
    "page_size": 16,
    "max_total_num_tokens": 1024,
    "kv_cache_dtype": "auto",
    "cuda_graph_config": {"decode": {}},
    "internal_states": [
        {
            "ablate": {
                "linears": {"GPTQMarlinLinearMethod": 16},
                "quantized": 16,
                "weight_bytes": 1000,
                "kv_bytes": 1040 * 64,
            }
        }
    ],
}


def test_ranks_hold_equal_parts() -> None:
    found = facts(ANSWER)
    assert found.settings["kv_cache_dtype"] == "auto"
    assert "cuda_graph_config" not in found.settings
    assert (found.linears, found.quantized) == ({"GPTQMarlinLinearMethod": 16}, 16)
    assert found.weight_bytes == 2000
    assert found.kv_bytes_per_token == 128
    assert found.kv_cache_tokens == 1024


def test_replicas_are_added_up() -> None:
    two = facts(ANSWER | {"dp_size": 2, "internal_states": ANSWER["internal_states"] * 2})
    assert two.linears == {"GPTQMarlinLinearMethod": 16}
    assert (two.weight_bytes, two.kv_cache_tokens, two.kv_bytes_per_token) == (4000, 2048, 128)


@pytest.mark.parametrize("change", [{"pp_size": 2}, {"internal_states": [{}]}])
def test_what_cannot_be_known_is_not_said(change: dict[str, Any]) -> None:
    found = facts(ANSWER | change)
    known = [found.linears, found.quantized, found.weight_bytes, found.kv_bytes_per_token]
    assert known == [None] * 4
    assert found.kv_cache_tokens == 1024


def test_sglang_finds_the_probe() -> None:
    (site,) = [p for p in LAUNCHER.env["PYTHONPATH"].split(":") if p.endswith("ablate_sglang/site")]
    (found,) = Distribution.discover(path=[site])
    (entry,) = found.entry_points
    assert (entry.group, entry.name) == ("sglang.srt.plugins", "ablate")
    module, _, function = entry.value.partition(":")
    assert f"def {function}(" in (Path(site) / f"{module}.py").read_text()
