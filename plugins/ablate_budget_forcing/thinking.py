"""Where a request's thinking is, token by token, and what must be written in its place."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ablate.engines.local.interfaces import Seq
from ablate.engines.stops import StopTexts
from ablate.engines.text import Codebook
from ablate.errors import TrialError
from ablate.thinking import THINK_CLOSE, THINK_OPEN

WAIT = "Wait"


@dataclass
class Thought:
    """How far one request is. ``spent``: tokens thought, without the markers around them.

    ``begun``: whether it ever thought. ``since``: where a marker that is still to come can begin.
    ``cut``: whether the budget closed it. ``waits``: how often it was made to go on.
    """

    open: bool
    begun: bool
    since: int
    spent: int = 0
    cut: bool = False
    waits: int = 0


@dataclass(frozen=True)
class Forced:
    """``tokens`` in the place of all from ``at`` on."""

    at: int
    tokens: Sequence[int]


class Marker:
    """A text that a model writes as one token or as several."""

    def __init__(self, text: str, codebook: Codebook) -> None:
        self.tokens = codebook.tokens(text)
        self._texts = StopTexts((text,), codebook.text)

    def ends(self, tokens: Sequence[int], start: int, end: int) -> bool:
        """Whether it lies in ``tokens[start:end]`` and its last token is the last of these."""
        if len(self.tokens) == 1:
            return tokens[end - 1] == self.tokens[0]
        return self._texts.reached(tokens, start, end)


class Budget:
    """Follows requests as they think. Raises TrialError if the tokenizer cannot close them."""

    def __init__(self, most: int, closing: str, waits: int, codebook: Codebook) -> None:
        self._most = most
        self._waits = waits
        self._codebook = codebook
        self._open, self._close = (Marker(text, codebook) for text in (THINK_OPEN, THINK_CLOSE))
        self._closing = codebook.tokens(closing)
        self._wait = codebook.tokens(WAIT)
        ends = range(1, len(self._closing) + 1)
        if not any(self._close.ends(self._closing, 0, end) for end in ends):
            raise TrialError(f"budget_forcing: the model's tokenizer cannot write {closing!r}")
        if waits and len(self._close.tokens) > 1:
            raise TrialError(
                "budget_forcing: wait needs a model that closes its thinking by one token; the "
                f"tokenizer of this one makes {len(self._close.tokens)} of {THINK_CLOSE}"
            )

    def thought(self, seq: Seq) -> Thought:
        """A request before its output."""
        opened = self._codebook.leaves_open(seq.tokens[: seq.prompt_len])
        return Thought(open=opened, begun=opened, since=seq.prompt_len)

    def watch(self, thought: Thought, seq: Seq, known: int) -> Forced | None:
        """Follow the tokens that come after the first ``known``."""
        for end in range(known + 1, len(seq.tokens) + 1):
            if seq.tokens[end - 1] in self._codebook.stop_ids:
                return None
            forced = self._step(thought, seq.tokens, end)
            if forced or end - seq.prompt_len >= seq.max_tokens:
                return forced
        return None

    def _step(self, thought: Thought, tokens: Sequence[int], end: int) -> Forced | None:
        """The token before ``end`` is new. Only one too many shows that it would think longer."""
        if not thought.open:
            if not self._open.ends(tokens, thought.since, end):
                return None
            thought.open = thought.begun = True
            thought.since = end
        elif self._close.ends(tokens, thought.since, end):
            # what of the marker came before this token was counted as thought
            thought.spent = max(thought.spent - len(self._close.tokens) + 1, 0)
            return self._closed(thought, end)
        elif thought.spent < self._most:
            thought.spent += 1
        else:
            thought.open, thought.cut, thought.since = False, True, end
            return Forced(end - 1, self._closing)
        return None

    def _closed(self, thought: Thought, end: int) -> Forced | None:
        """The model closed its thinking itself."""
        if thought.waits < self._waits and thought.spent + len(self._wait) < self._most:
            thought.waits += 1
            thought.spent += len(self._wait)
            return Forced(end - 1, self._wait)
        thought.open, thought.since = False, end
        return None
