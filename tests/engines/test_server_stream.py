"""Streams, metrics pages and command lines: what is read and written without a server."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ablate.engines.server.asking import Tally
from ablate.engines.server.client import ServerError
from ablate.engines.server.counting import spread
from ablate.engines.server.events import EventParser
from ablate.engines.server.launchers import Dialect, launchers
from ablate.engines.server.reply import read
from ablate.engines.server.telemetry import counters, engines, read_page, usage
from ablate.types import EngineFacts

ENDS = st.sampled_from([b"\n\n", b"\r\n\r\n", b"\n\n: ping\n\n"])
TEXTS = st.lists(st.text(min_size=1), min_size=1, max_size=6)


def chunk(text: str, finish: str | None = None) -> bytes:
    return json.dumps({"choices": [{"text": text, "finish_reason": finish}]}).encode()


@given(TEXTS, ENDS, st.booleans(), st.data())
def test_a_stream_reads_the_same_however_it_is_cut(
    texts: list[str], end: bytes, space: bool, data: st.DataObject
) -> None:
    head = b"data: " if space else b"data:"
    events = [*(chunk(text) for text in texts), chunk("", "stop"), b"[DONE]"]
    whole = b"".join(head + event + end for event in events)
    places = data.draw(st.lists(st.integers(0, len(whole)), max_size=12).map(sorted))
    pieces = [whole[a:b] for a, b in zip([0, *places], [*places, len(whole)], strict=True)]
    parser = EventParser()
    assert [event for piece in pieces for event in parser.feed(piece)] == events
    assert parser.pending == b""
    reply = read([(float(i), piece) for i, piece in enumerate(pieces)])
    assert reply.texts == [*texts, ""]
    assert reply.times == sorted(reply.times)


@given(TEXTS, st.data())
def test_a_stream_that_is_cut_short_never_passes(texts: list[str], data: st.DataObject) -> None:
    events = [*(chunk(text) for text in texts), chunk("", "stop"), b"[DONE]"]
    whole = b"".join(b"data: " + event + b"\n\n" for event in events)
    short = whole[: data.draw(st.integers(0, len(whole) - 2))]
    with pytest.raises(ServerError):
        read([(0.0, short)])


@given(st.binary(max_size=200))
def test_garbage_is_an_error_and_nothing_else(garbage: bytes) -> None:
    with pytest.raises(ServerError):
        read([(0.0, b"data: " + garbage + b"\n\n")])


@given(st.integers(0, 50), st.lists(st.integers(0, 9), min_size=1, max_size=8))
def test_what_is_spread_adds_up(total: int, weights: list[int]) -> None:
    parts = spread(total, weights)
    assert sum(parts) == total
    assert min(parts) >= 0
    if sum(weights):
        assert all(part == 0 for part, weight in zip(parts, weights, strict=True) if not weight)


def test_what_speculative_decoding_did_is_added_up() -> None:
    told = {"spec_verify_ct": 3, "spec_num_proposed_drafts": 12, "spec_num_correct_drafts": 5}
    events = [chunk("a", "stop"), json.dumps({"sglext": {"spec_tokens_details": told}}).encode()]
    stream = b"".join(b"data: " + event + b"\n\n" for event in [*events, b"[DONE]"])
    tally = Tally()
    assert "spec_num_drafts" not in tally.counters
    for _ in range(2):
        tally.add(read([(0.0, stream)]), None, None)
    assert tally.counters == {
        "spec_num_drafts": 6, "spec_num_draft_tokens": 24, "spec_num_accepted_tokens": 10,
    }  # fmt: skip


PAGE = """# HELP x:running Requests
x:running{engine="0",model_name="a} b"} 2.0
x:running{engine="1"} 3.0 1700000000
x:running_total 9
x:waiting 1e0
x:share{engine="0"} 0.25
x:share{engine="1"} 0.75
x:broken{a="b"} what
"""
SPEAKS = Dialect(
    gauges={"x:running": "running", "x:waiting": "waiting", "x:share": "kv_share"},
    counters={"x:running_total": "num_preemptions"},
)


def test_a_metrics_page() -> None:
    assert read_page(PAGE, ["x:running", "x:broken", "x:none"]) == {
        "x:running": [2.0, 3.0],
        "x:broken": [0.0],
    }
    assert counters(PAGE, SPEAKS) == {"num_preemptions": 9.0}
    sample = usage(1.0, PAGE, SPEAKS, EngineFacts(kv_bytes_per_token=10.0, kv_cache_tokens=100))
    assert sample is not None
    assert (sample.running, sample.waiting, sample.kv_tokens) == (5, 1, 50)
    assert (sample.kv_bytes, sample.kv_budget_bytes) == (500, 1000)
    unknown = usage(1.0, PAGE, SPEAKS, EngineFacts())
    assert unknown is not None
    assert unknown.kv_tokens is unknown.kv_bytes is unknown.kv_allocated_bytes is None
    assert usage(1.0, "nothing", SPEAKS, EngineFacts()) is None
    assert (engines(PAGE, SPEAKS), engines("nothing", SPEAKS)) == (1, 0)
    assert engines(PAGE + 'x:running_total{engine="1"} 2\n', SPEAKS) == 2


def test_command_lines() -> None:
    args = {
        "enable_x": True, "no_y": False, "max_len": 8, "gone": None,
        "nested": {"method": "ngram"}, "several": [1, 2],
    }  # fmt: skip
    vllm = launchers()["vllm"].words("py", "m", 80, args)
    assert vllm[:7] == [
        "py",
        "-m",
        "vllm.entrypoints.cli.main",
        "serve",
        "m",
        "--host",
        "127.0.0.1",
    ]
    assert vllm[9:] == [
        "--enable-x", "--no-no-y", "--max-len", "8", "--nested", '{"method": "ngram"}',
        "--several", "1", "2",
    ]  # fmt: skip
    sglang = launchers()["sglang"].flags({"disable_radix_cache": True, "enable_x": False})
    assert sglang == ["--disable-radix-cache"]
    assert launchers()["llama_cpp"].flags({"type_k": 8, "cache": False}) == [
        "--type_k", "8", "--cache", "false",
    ]  # fmt: skip
    assert "server_port" in launchers()["lmdeploy"].reserved
