"""What LMDeploy says of itself; tests/engines/test_real_servers.py runs a real server."""

from __future__ import annotations

from ablate_lmdeploy import facts


def test_settings_and_the_size_of_the_cache() -> None:
    found = facts({"max_batch_size": 8, "block_size": 64, "num_gpu_blocks": 10})
    assert found.settings["max_batch_size"] == 8
    assert found.settings["cache_block_seq_len"] == 64
    assert found.kv_cache_tokens == 640


def test_turbomind_does_not_tell_its_blocks() -> None:
    found = facts({"max_batch_size": 8, "cache_block_seq_len": 64})
    assert found.settings["cache_block_seq_len"] == 64
    assert found.kv_cache_tokens is None
