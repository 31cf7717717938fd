"""The server engine against a server that really runs and says, or fails, what it is told to."""

from __future__ import annotations

import socket
from collections.abc import Mapping
from contextlib import closing
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from ablate.engines.server import ServerEngine
from ablate.engines.text import Codebook
from ablate.errors import TrialError
from ablate.options import build
from ablate.testing.fake_server import OUTPUT
from ablate.thinking import visible_text
from ablate.types import Completion, Load, Problem, Request
from tests.engines.attached import (
    MODEL,
    TOKENS,
    attached,
    context,
    engine,
    load,
    running,
    served,
)


@pytest.mark.parametrize("style", ["ids", "usage", "final", "none"])
@pytest.mark.parametrize("together", [1, 3])
def test_tokens_and_their_times_however_a_server_counts(
    tmp_path: Path, style: str, together: int
) -> None:
    book = Codebook(MODEL)
    thought = book.visible_from([], book.tokens(OUTPUT))
    with attached(tmp_path, style=style, together=together) as session:
        done, _, _ = served(session, load())
        assert [c.request_id for c in done] == ["0", "1", "2"]
        for c in done:
            assert visible_text(c.text).strip() == "19"
            assert c.output_tokens == len(c.token_times) == TOKENS
            assert list(c.token_times) == sorted(c.token_times)
            assert c.arrival <= c.dispatched <= c.token_times[0] <= c.finished
            assert c.finish_reason == "stop"
            assert c.first_visible in c.token_times
            assert c.thinking_tokens == thought
        expected = "the server gives none" if style == "none" else "the server's"
        assert session.info["token counts"].startswith(expected)


@pytest.mark.usefixtures("fake_launcher")
def test_a_known_server_is_recognized_by_what_it_calls_itself(tmp_path: Path) -> None:
    with attached(tmp_path) as session:
        done, usage, counters = served(session, load())
        prompts = [len(Codebook(MODEL).prompt(r.problem)) for r in load().requests]
        assert [c.prompt_tokens for c in done] == prompts
        assert all("<think>" in c.text and c.text.endswith("19") for c in done)
        prompt = sum(c.prompt_tokens for c in done)
        assert counters == {
            "spec_num_drafts": 3.0,
            "prefix_cache_queries": prompt,
            "prefix_cache_hits": 0.0,
        }
        assert usage[0].running == 3
        assert usage[0].waiting == 4
        assert usage[0].kv_tokens == 500
        assert usage[0].kv_bytes is None
        assert "3 of 3 requests" in session.info["token counts"]
        assert session.info["prefix cache"] == "emptied before each run"
        assert session.evidence_state("measured").counters == counters
        assert session.cpu_seconds is session.peak_rss_bytes is session.weight_bytes is None


def test_reasoning_fields_are_put_back_into_their_tags(tmp_path: Path) -> None:
    behaviour = {"text": "The answer is 19", "reasoning": "12 + 7 = 19", "style": "usage"}
    with attached(tmp_path, {"endpoint": "chat"}, **behaviour) as session:
        (done,), _, _ = served(session, load(1))
        book = Codebook(MODEL)
        assert done.text.startswith("<think>12 + 7 = 19</think>")
        assert visible_text(done.text).split() == ["The", "answer", "is", "19"]
        assert done.thinking_tokens == len(book.tokens("12 + 7 = 19"))
        assert done.first_visible == done.token_times[done.thinking_tokens]


def test_reasoning_that_never_ends_shows_nothing(tmp_path: Path) -> None:
    behaviour = {"text": "", "reasoning": "12 + 7", "finish": "length"}
    with attached(tmp_path, {"endpoint": "chat"}, **behaviour) as session:
        (done,), _, _ = served(session, load(1))
        assert visible_text(done.text) == ""
        assert done.first_visible is None
        assert done.thinking_tokens == done.output_tokens
        assert done.finish_reason == "length"


def test_without_the_tokenizer_a_chat_and_the_servers_counts(tmp_path: Path) -> None:
    elsewhere = replace(MODEL, name="tiny-reasoner", path=str(tmp_path / "nowhere"))
    with running(style="final", together=2, text="It is 19") as (url, _):
        with closing(engine(base_url=url).open(context(tmp_path, model=elsewhere))) as session:
            (done,), _, _ = served(session, load(1))
            assert session.info["endpoint"] == "chat"
            assert "not checked" in session.info["token counts"]
            assert done.output_tokens == len(Codebook(MODEL).tokens("It is 19")) + 1
        with pytest.raises(TrialError, match="no usable tokenizer"):
            engine(base_url=url, endpoint="completions").open(context(tmp_path, model=elsewhere))


@pytest.mark.parametrize("endpoint", ["completions", "chat"])
def test_text_to_go_on_with_is_sent_as_it_is(tmp_path: Path, endpoint: str) -> None:
    bare = Problem("0", "sums", "Question: 12 + 7?", "19", chat=False, stop=("\n1",), max_tokens=9)
    with (
        running(style="ids") as (url, fake),
        closing(engine(base_url=url, endpoint=endpoint).open(context(tmp_path))) as session,
    ):
        (done,), _, _ = served(session, Load((Request("0", bare, 0, seed=0),)))
    path, body = fake.asked[-1]
    assert path == "/v1/completions"
    sent = body["prompt"]
    text = sent if isinstance(sent, str) else fake.tokenizer.decode(sent)
    assert text == bare.prompt
    assert body["stop"] == ["\n1"]
    assert body["max_tokens"] == 9
    assert done.text == "<think>"  # the fake goes on; what it says after the stop text is cut off


def test_what_was_in_the_cache_is_reported(tmp_path: Path) -> None:
    with attached(tmp_path, cached=4) as session:
        done, _, counters = served(session, load(2))
        assert counters["prefix_cache_hits"] == 8
        assert [c.cached_tokens for c in done] == [4, 4]
        total = sum(c.prompt_tokens for c in done)
        assert session.info["prefix cache"] == (
            f"not emptied: 8 of {total} prompt tokens came from the cache"
        )


@pytest.mark.usefixtures("fake_launcher")
def test_a_cache_that_is_still_held_is_emptied_a_little_later(tmp_path: Path) -> None:
    with attached(tmp_path, held=2) as session:
        served(session, load(1))
        assert session.info["prefix cache"] == "emptied before each run"


def test_an_open_loop_keeps_its_schedule_and_a_closed_one_its_slots(tmp_path: Path) -> None:
    with attached(tmp_path, delay=0.01) as session:
        done, _, _ = served(session, load(5, arrivals=0.02))
        assert [c.arrival for c in done] == pytest.approx([0.0, 0.02, 0.04, 0.06, 0.08])
        assert all(c.dispatched >= c.arrival for c in done)
        assert done[1].dispatched < done[0].finished
        done, _, _ = served(session, load(5, concurrency=1))
        assert all(b.arrival >= a.finished for a, b in pairwise(done))


@pytest.mark.parametrize("pieces", [1, 7])
def test_however_the_network_cuts_the_stream(tmp_path: Path, pieces: int) -> None:
    with attached(tmp_path, pieces=pieces, fault="ping") as session:
        done, _, _ = served(session, load(2))
        assert [c.output_tokens for c in done] == [TOKENS, TOKENS]


FAULTS = {
    "404": ("error", "the model says 404"),
    "500": ("error", "the model says 500"),
    "html": ("error", "bad gateway"),
    "garbage": ("error", "no JSON"),
    "binary": ("error", "no JSON"),
    "form": ("error", "another form"),
    "error": ("error", "the engine is dead"),
    "cut": ("error", "cut a stream short"),
    "hang": ("timeout", "sent nothing for 0.3 s"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_faults_are_failures_that_say_what_happened(tmp_path: Path, fault: str) -> None:
    kind, words = FAULTS[fault]
    done: list[Completion] = []
    behaviour = {"fault": fault, "strikes": 3, "delay": 0.001}
    with attached(tmp_path, {"stall_timeout": 0.3}, **behaviour) as session:
        with pytest.raises(TrialError, match=words) as caught:
            session.run(load(6, concurrency=1), done.append, lambda _: None)
        assert caught.value.kind == kind
        assert [c.request_id for c in done] == ["0", "1"]


def test_another_reason_to_finish_is_a_failure(tmp_path: Path) -> None:
    with (
        attached(tmp_path, finish="content_filter") as session,
        pytest.raises(TrialError, match="content_filter"),
    ):
        served(session, load(1))


@pytest.mark.usefixtures("fake_launcher")
def test_another_count_of_the_prompt_that_was_sent_is_a_failure(tmp_path: Path) -> None:
    with (
        attached(tmp_path, extra_prompt=1) as session,
        pytest.raises(TrialError, match="serves another model"),
    ):
        served(session, load(1))


def test_a_grader_that_fails_ends_the_run_and_leaves_the_session_usable(tmp_path: Path) -> None:
    def fails(_: Completion) -> None:
        raise RuntimeError("no grade")

    with attached(tmp_path, delay=0.005) as session:
        with pytest.raises(RuntimeError, match="no grade"):
            session.run(load(4, concurrency=2), fails, lambda _: None)
        assert len(served(session, load(2))[0]) == 2


def test_a_model_that_is_not_served(tmp_path: Path) -> None:
    with running(served="another") as (url, _):
        with pytest.raises(TrialError, match="it serves: 'another'"):
            engine(base_url=url).open(context(tmp_path))
        named = engine(base_url=url, served_model_name="another")
        with closing(named.open(context(tmp_path))) as session:
            assert len(served(session, load(1))[0]) == 1


def test_nobody_answers(tmp_path: Path) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with pytest.raises(TrialError, match="Connect"):
        engine(base_url=f"http://127.0.0.1:{port}/v1").open(context(tmp_path))


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({}, "give either launch"),
        ({"launch": "vllm", "base_url": "http://x"}, "give either launch"),
        ({"launch": "vlm"}, "there is no launcher 'vlm'. Did you mean 'vllm'?"),
        ({"launch": "vllm", "port": 70000}, "from 1 to 65535"),
        ({"launch": "vllm", "stall_timeout": 0}, "must be more than 0"),
        ({"launch": "vllm", "api_key_env": "NO_SUCH_KEY"}, "has no NO_SUCH_KEY"),
        ({"base_url": "localhost:8000"}, "must start with http"),
        ({"base_url": "http://x", "args": {"a": 1}}, "is for a server that is launched"),
    ],
)
def test_options_that_cannot_be_right(options: Mapping[str, Any], words: str) -> None:
    made, problems = build(ServerEngine, options, "engine.server")
    assert made is None
    assert any(words in problem for problem in problems), problems
