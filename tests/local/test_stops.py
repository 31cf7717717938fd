"""Where an output ends: stop texts and a problem's own limit."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ablate.engines.stops import StopTexts, cut
from ablate.plugins import Plugin
from ablate.testing import tiny_model
from ablate_ngram import Ngram
from tests.local.serving import generated, open_session, prompts_of_many_lengths, serve

PROMPTS = prompts_of_many_lengths(8)


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_model(tmp_path_factory.mktemp("model"))


@given(
    st.lists(st.sampled_from(["a", "b", "ab", "ba", "", "é"]), max_size=30),
    st.lists(st.text("abé", min_size=1, max_size=4), min_size=1, max_size=3),
)
def test_a_stop_text_is_seen_with_the_token_that_completes_it(
    pieces: Sequence[str], stop: list[str]
) -> None:
    """A token is its index in the output, and some tokens have no text."""
    tokens = list(range(len(pieces)))
    stops = StopTexts(stop, lambda ids: "".join(pieces[i] for i in ids))
    found = next((n for n in tokens if stops.reached(tokens, 0, n + 1)), None)
    first = next((n for n in tokens if any(s in "".join(pieces[: n + 1]) for s in stop)), None)
    assert found == first


def test_text_is_cut_at_the_first_of_them() -> None:
    assert cut("one. Question: two</s>", ("</s>", "Question:")) == "one. "
    assert cut("one", ("Question:",)) == "one"
    assert cut("one", ()) == "one"


@pytest.mark.parametrize("plugins", [{}, {"ngram": Ngram(k=4, min_n=1)}], ids=["plain", "drafts"])
def test_output_ends_at_a_stop_text(checkpoint: Path, plugins: dict[str, Plugin]) -> None:
    whole = generated(checkpoint, PROMPTS)
    stop = tuple(found[0] for text in whole if (found := re.findall("[ -~]{2}", text)))
    reached = [text for text in whole if any(s in text for s in stop)]
    served = serve(open_session(checkpoint, plugins=plugins), PROMPTS, stop=stop)
    assert served.texts() == [cut(text, stop) for text in whole]
    done = served.completions.values()
    assert sum(c.finish_reason == "stop" for c in done) >= len(reached) > 2
    assert all(c.output_tokens == len(c.token_times) for c in done)


def test_a_problem_may_have_a_limit_of_its_own(checkpoint: Path) -> None:
    session = open_session(checkpoint)
    for limit, most in ((5, 5), (400, 24)):
        done = serve(session, PROMPTS, max_tokens=limit).completions.values()
        assert max(c.output_tokens for c in done) == most


def test_bare_text_is_not_put_into_a_chat(checkpoint: Path, tmp_path: Path) -> None:
    chatty = tiny_model(tmp_path)
    (chatty / "chat_template.jinja").write_text("[{{ messages[0].content }}]", encoding="utf-8")
    session = open_session(chatty)
    chat, bare = (
        sorted(c.prompt_tokens for c in serve(session, PROMPTS, chat=chat).completions.values())
        for chat in (True, False)
    )
    assert chat == [n + 2 for n in bare]
    assert serve(session, PROMPTS, chat=False).texts() == generated(checkpoint, PROMPTS)
