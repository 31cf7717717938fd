"""Between text and tokens: prompts, stop tokens, where thinking ends, and what is reported."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from transformers import AutoConfig, AutoTokenizer, GenerationConfig

from ablate.engines.stops import cut
from ablate.errors import TrialError
from ablate.thinking import THINK_CLOSE, THINK_OPEN
from ablate.types import Completion, FinishReason, ModelSpec, Problem, Sampling

WINDOW = 8
"""The last tokens of a prompt, among which thinking may be opened, or opened and closed."""


class Codebook:
    """A model's tokenizer with what serving needs of it.

    ``generation_config``: the loaded model's; None: that of the checkpoint's files.
    """

    def __init__(self, spec: ModelSpec, generation_config: Any = None) -> None:
        try:
            self._tokenizer = AutoTokenizer.from_pretrained(
                spec.path, revision=spec.revision, trust_remote_code=spec.trust_remote_code
            )
        except (OSError, ValueError) as error:
            raise TrialError(f"model {spec.name!r} has no usable tokenizer: {error}") from error
        config = generation_config or _generation_config(spec)
        self.stop_ids = _stop_ids(config, self._tokenizer)
        self._open = self._tokenizer.encode(THINK_OPEN, add_special_tokens=False)
        self._close = self._tokenizer.encode(THINK_CLOSE, add_special_tokens=False)

    def prompt(self, problem: Problem) -> list[int]:
        """The tokens of ``rendered``; a template says itself which special ones it wants."""
        rendered, begin = self.rendered(problem), self._tokenizer.bos_token
        templated = problem.chat and bool(self._tokenizer.chat_template)
        special = not templated and not (begin and rendered.startswith(begin))
        return list(self._tokenizer.encode(rendered, add_special_tokens=special))

    def rendered(self, problem: Problem) -> str:
        """The chat template around the messages; bare text where there is none or no chat."""
        if not problem.chat or not self._tokenizer.chat_template:
            return "\n\n".join(message["content"] for message in problem.messages)
        return str(
            self._tokenizer.apply_chat_template(
                problem.messages, add_generation_prompt=True, tokenize=False
            )
        )

    def as_text(self, problem: Problem, prompt: Sequence[int]) -> str:
        """``rendered`` for one who is to make ``prompt`` of it, and may begin it a second time."""
        rendered, begin = self.rendered(problem), self._tokenizer.bos_token
        if begin and rendered.startswith(begin):
            rest = rendered.removeprefix(begin)
            if self._tokenizer.encode(rest) == prompt:
                return rest
        return rendered

    def tokens(self, output: str) -> list[int]:
        """What a model's text is made of, if it wrote it as the tokenizer would."""
        return list(self._tokenizer.encode(output, add_special_tokens=False))

    def text(self, output: Sequence[int]) -> str:
        return str(self._tokenizer.decode(list(output), skip_special_tokens=True))

    def leaves_open(self, prompt: Sequence[int]) -> bool:
        """Whether the end of a prompt opens the thinking, as some chat templates do."""
        end = prompt[-WINDOW:]
        opened = _after_last(end, self._open)
        return opened is not None and _after_last(end[opened:], self._close) is None

    def visible_from(self, prompt: Sequence[int], output: Sequence[int]) -> int | None:
        """Index of the first output token that a user sees, None if there is none.

        That is the first token with text after the last ``</think>``; all are visible where no
        thinking was opened, by the prompt or by the model.
        """
        start = _after_last(output, self._close)
        if start is None:
            if self.leaves_open(prompt) or _after_last(output, self._open) is not None:
                return None
            start = 0
        for index in range(start, len(output)):
            token = output[index]
            if token not in self.stop_ids and self.text([token]).strip():
                return index
        return None


def completion_of(
    codebook: Codebook,
    *,
    request_id: str,
    prompt: Sequence[int],
    output: Sequence[int],
    token_times: Sequence[float],
    arrival: float,
    dispatched: float,
    finished: float,
    finish_reason: FinishReason,
    cached_tokens: int = 0,
    preemptions: int = 0,
    stop: Sequence[str] = (),
) -> Completion:
    """What is reported of a request whose tokens are known; ``token_times``: one for each.

    The text ends before the first of ``stop``; the tokens that made it are counted, as they took
    time.
    """
    visible = codebook.visible_from(prompt, output)
    return Completion(
        request_id=request_id,
        text=cut(codebook.text(output), stop),
        prompt_tokens=len(prompt),
        output_tokens=len(output),
        thinking_tokens=len(output) if visible is None else visible,
        arrival=arrival,
        dispatched=dispatched,
        finished=finished,
        token_times=tuple(token_times),
        first_visible=None if visible is None else token_times[visible],
        finish_reason=finish_reason,
        cached_tokens=cached_tokens,
        preemptions=preemptions,
    )


@dataclass(frozen=True)
class Longest:
    """The request that needs the most room: its prompt's tokens, and those it may put out."""

    prompt: int = 0
    output: int = 0

    @property
    def tokens(self) -> int:
        return self.prompt + self.output

    def __str__(self) -> str:
        return f"a prompt of {self.prompt} tokens and {self.output} tokens of output"


def longest_of(
    asked: Sequence[Problem], prompts: Sequence[Sequence[int]], sampling: Sampling
) -> Longest:
    """Of problems with their prompts; all zero if there are none."""
    sizes = [
        Longest(len(prompt), sampling.limit(problem))
        for problem, prompt in zip(asked, prompts, strict=True)
    ]
    return max(sizes, key=lambda size: size.tokens, default=Longest())


def _generation_config(spec: ModelSpec) -> Any:
    for kind in (GenerationConfig, AutoConfig):  # the second where there is no file for the first
        try:
            return kind.from_pretrained(
                spec.path,
                revision=spec.revision or "main",
                trust_remote_code=spec.trust_remote_code,
            )
        except OSError:
            continue
    return None


def _stop_ids(config: Any, tokenizer: Any) -> frozenset[int]:
    configured = getattr(config, "eos_token_id", None)
    if configured is None:
        configured = tokenizer.eos_token_id
    if configured is None:
        return frozenset()
    return frozenset(configured if isinstance(configured, list) else [configured])


def _after_last(tokens: Sequence[int], marker: Sequence[int]) -> int | None:
    size = len(marker)
    for start in range(len(tokens) - size, -1, -1):
        if list(tokens[start : start + size]) == list(marker):
            return start + size
    return None
