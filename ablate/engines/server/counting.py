"""How many tokens each chunk of a reply brought, and where its visible part begins."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import accumulate, pairwise

from ablate.engines.server.launchers import Dialect
from ablate.engines.server.reply import Reply
from ablate.engines.text import Codebook
from ablate.thinking import THINK_CLOSE, THINK_OPEN, visible_text

Measure = Callable[[str], int]


def token_counts(reply: Reply, codebook: Codebook | None, dialect: Dialect) -> list[int]:
    """Tokens by chunk; they add up to what the server counted, if it did, and an end token.

    Where it says nothing by chunk, a chunk with text is one token if that adds up, with one more
    for an end token. If it does not, the total is spread over the chunks as their texts' own tokens
    (without a tokenizer: characters) are.
    Where it counts nothing at all, the tokenizer does, unless each chunk is one token.
    """
    if dialect.counts_end and all(n is not None for n in reply.counts):
        return [n or 0 for n in reply.counts]
    said = [bool(text or thought) for text, thought in _pieces(reply)]
    end = int(reply.finish_reason == "stop")
    total = reply.output_tokens
    if total is not None and not dialect.counts_end:
        total += end
    if total is None:
        tokenizer = None if dialect.token_chunks else codebook
        total = end + (_length(reply, tokenizer) if tokenizer else sum(said))
    ones = [int(s) for s in said]
    missing = total - sum(ones)
    if missing in (0, end):
        ones[-1] += missing
        return ones
    measure: Measure = (lambda text: len(codebook.tokens(text))) if codebook else len
    parts = [measure(thought + text) for text, thought in _pieces(reply)]
    if sum(parts) + end == total:
        parts[-1] += end
    return spread(total, parts)


def spread(total: int, weights: Sequence[int]) -> list[int]:
    """``total`` in whole parts, as nearly as can be in proportion to ``weights``.

    Where all weights are 0, the last part is all of it.
    """
    whole = sum(weights)
    if not whole:
        return [0] * (len(weights) - 1) + [total]
    edges = [round(total * done / whole) for done in accumulate(weights, initial=0)]
    return [b - a for a, b in pairwise(edges)]


def agrees(reply: Reply, codebook: Codebook) -> bool:
    """Whether the server counted the output tokens that the tokenizer finds."""
    if reply.has_ids:
        return reply.output_tokens in (None, len(reply.ids))
    found = _length(reply, codebook)
    return reply.output_tokens in (found, found + int(reply.finish_reason == "stop"))


def whole_text(reply: Reply, codebook: Codebook | None) -> str:
    """The output as a model writes it, reasoning in its tags."""
    text = "".join(reply.texts)
    thought = "".join(reply.thoughts)
    if thought:
        return f"{THINK_OPEN}{thought}" + (f"{THINK_CLOSE}{text}" if text else "")
    return codebook.text(reply.ids) if codebook and reply.has_ids else text


def visible_place(reply: Reply, opened: bool) -> tuple[int, str] | None:
    """The chunk in which visible text begins, and what of that chunk comes before.

    ``opened``: the prompt opened the reasoning.
    """
    if any(reply.thoughts):
        return next(((i, "") for i, text in enumerate(reply.texts) if text.strip()), None)
    text = "".join(reply.texts)
    shown = visible_text(text).lstrip()
    if not shown or (opened and THINK_CLOSE not in text):
        return None
    begins = len(text) - len(shown)
    ends = list(accumulate(len(piece) for piece in reply.texts))
    chunk = next(i for i, end in enumerate(ends) if end > begins)
    return chunk, text[ends[chunk] - len(reply.texts[chunk]) : begins]


def _pieces(reply: Reply) -> zip[tuple[str, str]]:
    return zip(reply.texts, reply.thoughts, strict=True)


def _length(reply: Reply, codebook: Codebook) -> int:
    thought, text = "".join(reply.thoughts), "".join(reply.texts)
    return len(codebook.tokens(thought)) + len(codebook.tokens(text))
