"""The parts of the in-process engine, as plugins see them.

Shapes: R rows (scheduled sequences), q tokens a row, N packed tokens of a step, H query heads,
G key/value heads, L cached tokens of the longest row, D head size, V vocabulary.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from torch import Tensor

from ablate.types import Request

if TYPE_CHECKING:
    from ablate.engines.local.batch import Batch, Group


# Some tokens' keys and values in a store's own form, each tensor with the tokens in dimension 2.
Block = tuple[Tensor, ...]


@dataclass(eq=False)
class Seq:
    """A request while it is served. ``tokens`` is the prompt followed by the output so far.

    ``computed``: how many of its tokens have their keys and values in the store. ``cached_tokens``:
    prompt tokens that were found in a prefix cache at first admission. ``preemptions``: how often
    it was put back into the queue.
    """

    id: int
    request: Request
    tokens: list[int]
    prompt_len: int
    max_tokens: int
    arrival: float
    dispatched: float
    computed: int = 0
    cached_tokens: int = 0
    preemptions: int = 0
    token_times: list[float] = field(default_factory=list)

    @property
    def remaining(self) -> int:
        """Output tokens it may still produce."""
        return self.max_tokens - (len(self.tokens) - self.prompt_len)


@dataclass(frozen=True)
class Chunk:
    """Work for one step: the next ``n`` tokens of a sequence that are not computed yet."""

    seq: Seq
    n: int

    @property
    def completes(self) -> bool:
        """Whether the step computes the last known token, and so yields a new one."""
        return self.seq.computed + self.n == len(self.seq.tokens)


class KVStore(ABC):
    """Keys and values of every admitted sequence.

    A step is ``begin(batch)``, then for every layer ``append`` and ``read`` for each group, then
    ``commit`` for each sequence: tokens written beyond the committed length are rolled back.

    A store that drops tokens says so in ``holds``, and in ``positions`` what ``read`` gives. One
    that drops others for each layer and head says that in ``layer_positions``, and one that needs
    to know what attention looks at is told in ``observe``. Who wraps a store passes all of it on.
    """

    _aside: float = 0.0

    @property
    @abstractmethod
    def capacity_tokens(self) -> int:
        """Tokens that fit into the configured memory."""

    @property
    @abstractmethod
    def tokens(self) -> int:
        """Tokens held for admitted sequences."""

    @property
    @abstractmethod
    def bytes_per_token(self) -> float:
        """Bytes that one token takes over all layers, keys and values, with scales."""

    @property
    @abstractmethod
    def allocated_bytes(self) -> int:
        """Bytes taken from the system."""

    @property
    def used_bytes(self) -> int:
        """Bytes that the held tokens need."""
        return round(self.tokens * self.bytes_per_token)

    @property
    def counters(self) -> Mapping[str, float]:
        """Totals since the start, under the names of ``ablate.metrics``."""
        return {}

    @property
    def room_tokens(self) -> int:
        """Tokens that fit, each with what a drafter holds of it beside the store."""
        share = self.bytes_per_token / (self.bytes_per_token + self._aside)
        return int(self.capacity_tokens * share)

    def set_aside(self, bytes_per_token: float) -> None:
        """Leave room in the configured memory for what a drafter holds of each token.

        Called once, before any sequence is admitted; a store that decorates another passes it on.
        """
        self._aside = bytes_per_token

    def fits(self, lengths: Sequence[int]) -> bool:
        """Whether sequences of these lengths can be held at once in the configured memory.

        ``allocated_bytes`` keeps within it as long as this is asked and says yes. A store that
        takes more than its tokens need, such as as much for each sequence as for the longest,
        counts it.
        """
        return sum(map(self.holds, lengths)) <= self.room_tokens

    def ready(self, seq: Seq) -> bool:
        """False while waiting a moment would let ``seq`` share what another sequence computes."""
        return True

    @abstractmethod
    def add(self, seq: Seq) -> int:
        """Admit a sequence; returns how many of its first tokens are held already.

        At least the last known token is always left to compute, since its logits are needed.
        """

    @abstractmethod
    def free(self, seq_id: int) -> None:
        """Forget a sequence."""

    def reset(self) -> None:
        """Forget what is kept of sequences that have ended, so that one run helps no other."""
        return

    @abstractmethod
    def length(self, seq_id: int) -> int:
        """Committed tokens of a sequence."""

    def holds(self, length: int) -> int:
        """How many tokens are held of a sequence of ``length``."""
        return length

    def order(self, seq_id: int) -> int:
        """A hint: rows of a batch sorted by it can be read without a copy."""
        return seq_id

    @abstractmethod
    def begin(self, batch: Batch) -> None:
        """Make room for the batch's tokens and work out where they go."""

    def positions(self, group: Group) -> Tensor | None:
        """The place in its sequence of each entry that ``read`` gives, as each new token sees it.

        ``[R, q, L]``, or ``[R, 1, L]`` where all new tokens see the same; L is then what ``read``
        gives of a row, which may be less or more than the longest sequence. Negative: an entry that
        this token does not see. It never sees what comes after it, and must see itself. Asked once
        a step, after ``begin``, for all layers. None: every token, in order.
        """
        return None

    @abstractmethod
    def append(self, layer: int, key: Tensor, value: Tensor) -> None:
        """Write the batch's keys and values of one layer, each ``[N, G, D]``."""

    @abstractmethod
    def read(self, layer: int, group: Group) -> tuple[Tensor, Tensor]:
        """Keys and values of a group's rows, each ``[R, G, L, D]`` in the model's dtype.

        Entries at and beyond a row's own length, and those that ``positions`` hides, are undefined
        but finite; attention masks them.
        """

    def layer_positions(self, layer: int, group: Group) -> Tensor | None:
        """``positions`` of a store that holds other tokens for each layer and key/value head.

        ``[R, G, q, L]``, or ``[R, G, 1, L]`` where all new tokens see the same. Asked after the
        layer's ``append``. None: ``positions`` is true of this layer.
        """
        return None

    @property
    def observes(self) -> bool:
        """Whether ``observe`` is to be called, for which attention gives up its fast kernels."""
        return False

    def observe(self, layer: int, group: Group, weights: Tensor) -> None:
        """What a layer's attention looked at: ``weights`` ``[R, G, q, L]`` (float32) of each new
        token on each entry that ``read`` gave, summed over the query heads of a key/value head.

        Called after the layer's ``read`` of the group.
        """
        raise NotImplementedError(f"{type(self).__name__} observes nothing")

    @abstractmethod
    def commit(self, seq: Seq, length: int) -> None:
        """Keep the first ``length`` tokens of a sequence and roll the rest back."""

    def export(self, seq_id: int, start: int, end: int) -> Block:
        """A copy of tokens ``[start, end)`` in the store's own form (capability shared_blocks)."""
        raise NotImplementedError(f"{type(self).__name__} cannot share blocks")

    def adopt(self, seq_id: int, start: int, block: Block) -> None:
        """Write an exported block at ``start`` and commit it (capability shared_blocks)."""
        raise NotImplementedError(f"{type(self).__name__} cannot share blocks")


@dataclass(frozen=True)
class Draft:
    """Proposed tokens of one sequence, with the distribution each was drawn from.

    ``probs`` is ``[len(tokens), V]``, or None for tokens proposed with certainty.
    """

    tokens: Sequence[int]
    probs: Tensor | None = None


class Companion:
    """What keeps state of sequences, and perhaps memory, beside the model and its store."""

    def release(self, seq_id: int) -> None:
        """Forget a sequence that ended or was preempted."""
        return

    @property
    def weight_bytes(self) -> int:
        """Bytes of weights beside the model's."""
        return 0

    @property
    def kv_bytes(self) -> int:
        """Bytes that the keys and values held beside the store's need."""
        return 0

    @property
    def kv_allocated_bytes(self) -> int:
        """Bytes taken from the system for them."""
        return self.kv_bytes

    @property
    def kv_bytes_per_token(self) -> float:
        """What one more token of a sequence takes beside the store: room is left for it."""
        return 0.0


class Proposer(Companion, ABC):
    """Guesses the next tokens of sequences, all of a batch at once."""

    @property
    @abstractmethod
    def lookahead(self) -> int:
        """The most tokens ever proposed for one sequence in one step."""

    @abstractmethod
    def propose(self, seqs: Sequence[Seq]) -> Sequence[Draft]:
        """One draft a sequence, of at most ``lookahead`` and ``seq.remaining - 1`` tokens."""


class DecodeStep(Companion, ABC):
    """One iteration: computes the scheduled chunks and returns the new tokens."""

    @property
    def lookahead(self) -> int:
        """The most tokens written for a sequence in one step beyond those that are kept."""
        return 0

    @abstractmethod
    def __call__(self, chunks: Sequence[Chunk]) -> list[list[int]]:
        """New tokens of each chunk's sequence: none for a chunk that does not complete.

        Leaves ``seq.computed`` and the store committed as if all returned tokens but the last had
        been computed, or fewer: the rest is scheduled again, as the sequence's next chunk.
        """

    @property
    def counters(self) -> Mapping[str, float]:
        """Totals since the start, under the names of ``ablate.metrics``."""
        return {}


class Sampler(ABC):
    """Turns logits into tokens. What a request draws depends on its seed and position alone."""

    @property
    @abstractmethod
    def greedy(self) -> bool:
        """Whether the most likely token is always taken."""

    @abstractmethod
    def probs(self, logits: Tensor) -> Tensor:
        """Probabilities ``[M, V]`` (float32) after temperature and top-p, of logits ``[M, V]``."""

    @abstractmethod
    def draw(self, probs: Tensor, uniforms: Sequence[float]) -> list[int]:
        """One token for each row of ``probs`` from its number in [0, 1)."""

    @abstractmethod
    def uniform(self, seed: int, position: int, stream: int) -> float:
        """The number in [0, 1) that a request's seed has for a position and a purpose."""


class Scheduler(ABC):
    """Decides what each step computes."""

    @abstractmethod
    def add(self, seq: Seq) -> None:
        """Take a new sequence into the queue."""

    @abstractmethod
    def schedule(self) -> list[Chunk]:
        """Work for the next step; empty only when nothing is left to do."""

    @abstractmethod
    def finish(self, seq: Seq) -> None:
        """Remove a sequence that ended and free what it holds."""

    @abstractmethod
    def take_preempted(self) -> list[Seq]:
        """Sequences preempted since the last call, so that others can forget them too."""

    @property
    @abstractmethod
    def running(self) -> int:
        """Sequences admitted."""

    @property
    @abstractmethod
    def waiting(self) -> int:
        """Sequences in the queue."""

    @property
    def counters(self) -> Mapping[str, float]:
        """Totals since the start, under the names of ``ablate.metrics``."""
        return {}
