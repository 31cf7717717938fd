"""Tokens are those of the tokenizer, and outputs end where they are told to."""

from __future__ import annotations

from collections.abc import Iterator

from ablate.engines.base import EngineContext, Session
from ablate.engines.stops import UNFINISHED, cut
from ablate.engines.text import Codebook
from ablate.testing.findings import Finding, good, judged
from ablate.testing.serving import PROMPTS, Served, requests, serve

FEW = 3
TOGETHER = 4
ASKED = PROMPTS[:6]


def tokens(session: Session, context: EngineContext) -> Iterator[Finding]:
    """Of prompts, as a chat and bare, and of outputs."""
    codebook = Codebook(context.model)
    problems: list[str] = []
    for chat in (True, False):
        served = serve(session, requests(ASKED, chat=chat), TOGETHER)
        problems += _prompts(served, codebook, chat)
        problems += _outputs(served, codebook)
    yield from judged("tokens", dict.fromkeys(problems), "counts are the tokenizer's")


def _prompts(served: Served, codebook: Codebook, chat: bool) -> Iterator[str]:
    for number, (_, completion) in enumerate(sorted(served.completions.items())):
        expected = len(codebook.prompt(requests(ASKED, chat=chat)[number].problem))
        if completion.prompt_tokens != expected:
            what = "in the chat template" if chat else "as bare text (chat=False)"
            yield (
                f"prompt_tokens should be the {expected} that a prompt has {what}, and is "
                f"{completion.prompt_tokens}"
            )
            return


def _outputs(served: Served, codebook: Codebook) -> Iterator[str]:
    """Text that a tokenizer might write in another way says nothing."""
    for completion in served.completions.values():
        if UNFINISHED in completion.text:
            continue
        least = len(codebook.tokens(completion.text))
        if completion.output_tokens < least:
            yield (
                f"output_tokens should be at least the {least} that {completion.text!r} has, and "
                f"is {completion.output_tokens}"
            )


def ends(session: Session, context: EngineContext) -> Iterator[Finding]:
    """At the limit, at a problem's own limit, at a stop text; and the same each time."""
    first = serve(session, requests(ASKED), TOGETHER)
    again = serve(session, requests(ASKED), TOGETHER)
    same = first.answers == again.answers
    problems = [] if same else ["the same greedy requests should get the same answers twice"]
    yield from judged("greedy", problems, "the same answers twice")
    most = context.sampling.max_tokens
    few = serve(session, requests(ASKED, max_tokens=FEW), TOGETHER)
    problems = [*_limited(first, most), *_limited(few, FEW)]
    yield from judged("max_tokens", dict.fromkeys(problems), "kept, the problem's own as well")
    yield from _stop(session, first)


def _limited(served: Served, most: int) -> Iterator[str]:
    for c in served.completions.values():
        if c.output_tokens > most:
            yield f"an output should have at most {most} tokens, and has {c.output_tokens}"
        elif c.finish_reason == "length" and c.output_tokens < most:
            yield (
                f"an output of {c.output_tokens} tokens ended by 'length' where {most} are allowed"
            )


def _stop(session: Session, first: Served) -> Iterator[Finding]:
    texts = {i: text for i, (text, _) in first.answers.items()}
    stop = _stop_text(list(texts.values()))
    if stop is None:
        yield good("stop", "not looked at: no output has two characters to stop at")
        return
    served = serve(session, requests(ASKED, stop=(stop,)), TOGETHER)
    problems = []
    for i, (text, _) in served.answers.items():
        if text != cut(texts[i], (stop,)):
            problems.append(f"an output should end before the stop text {stop!r}, and is {text!r}")
        if stop in texts[i] and served.completions[i].finish_reason != "stop":
            problems.append("an output that ends at a stop text should say finish_reason 'stop'")
    yield from judged("stop", dict.fromkeys(problems), f"outputs end before {stop!r}")


def _stop_text(texts: list[str]) -> str | None:
    """Two plain characters in the middle of an output."""
    for text in texts:
        for at in range(1, len(text) - 2):
            found = text[at : at + 2]
            if found.isascii() and found.isprintable() and found.strip():
                return found
    return None
