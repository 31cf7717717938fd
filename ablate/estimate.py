"""How much a plan will generate, as far as can be told beforehand."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from ablate.models import ModelConfig, local_folder
from ablate.planning import Arm, Plan
from ablate.types import Problem


@dataclass(frozen=True)
class Estimate:
    """Sums over all trials. ``requests_per_trial``: by arm id.

    ``most_output_tokens`` is reached if every answer is cut off at its limit.
    ``expected_output_tokens`` holds if answers are as long as the domains' worked ones; None where
    a domain has none, or the model's tokenizer is not on this machine.
    """

    requests_per_trial: Mapping[str, int]
    requests: int
    most_output_tokens: int
    expected_output_tokens: int | None


def estimate(plan: Plan) -> Estimate:
    blocks = Counter(trial.arm.info.id for trial in plan.trials)
    per_trial = {arm.info.id: _requests(arm) for arm in plan.arms}
    lengths = _Lengths()
    expected = [_times(lengths.of(arm), blocks[arm.info.id]) for arm in plan.arms]
    return Estimate(
        requests_per_trial=per_trial,
        requests=sum(per_trial[arm] * n for arm, n in blocks.items()),
        most_output_tokens=sum(_most_tokens(arm) * blocks[arm.info.id] for arm in plan.arms),
        expected_output_tokens=sum(e for e in expected if e) if None not in expected else None,
    )


def _requests(arm: Arm) -> int:
    return sum(map(len, arm.asked.values())) * arm.recipe.sampling.samples


def _most_tokens(arm: Arm) -> int:
    """Output tokens of one trial if every answer is cut off at its limit."""
    sampling = arm.recipe.sampling
    problems = (p for some in arm.asked.values() for p in some)
    return sum(sampling.limit(problem) for problem in problems) * sampling.samples


def _times(tokens: int | None, blocks: int) -> int | None:
    return None if tokens is None else tokens * blocks


class _Lengths:
    """Tokens of worked solutions, each text counted once per model."""

    def __init__(self) -> None:
        self._counted: dict[tuple[str, str], int] = {}

    def of(self, arm: Arm) -> int | None:
        """Output tokens of one trial, None if they cannot be told."""
        problems = [p for some in arm.asked.values() for p in some]
        tokenizer = _tokenizer_file(arm.recipe.model)
        if tokenizer is None or any(p.solution is None for p in problems):
            return None
        self._count(tokenizer, problems)
        sampling = arm.recipe.sampling
        lengths = [
            min(self._counted[str(tokenizer), p.solution or ""], sampling.limit(p))
            for p in problems
        ]
        return sum(lengths) * sampling.samples

    def _count(self, tokenizer: Path, problems: list[Problem]) -> None:
        texts = [p.solution or "" for p in problems]
        new = [t for t in dict.fromkeys(texts) if (str(tokenizer), t) not in self._counted]
        if not new:
            return
        from tokenizers import Tokenizer  # a third of a plan's time, and only some plans need it

        # One more for the token that ends the answer.
        encoded = Tokenizer.from_file(str(tokenizer)).encode_batch(new, add_special_tokens=False)
        self._counted |= {
            (str(tokenizer), t): len(e) + 1 for t, e in zip(new, encoded, strict=True)
        }


def _tokenizer_file(model: ModelConfig) -> Path | None:
    folder = local_folder(model)
    file = folder / "tokenizer.json" if folder else None
    return file if file and file.is_file() else None
