"""What several answers to one problem are worth: pass@k and majority@k."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from functools import cache
from itertools import combinations
from math import comb
from random import Random

MOST_SUBSETS = 200


def pass_at_k(answers: int, right: int, k: int) -> float:
    """The chance that at least one of k answers is right, from ``answers`` of which some are.

    Unbiased: ``1 - C(answers - right, k) / C(answers, k)`` (Chen et al. 2021, arXiv 2107.03374).
    Raises ValueError unless 1 ≤ k ≤ answers and 0 ≤ right ≤ answers.
    """
    if not (1 <= k <= answers and 0 <= right <= answers):
        raise ValueError(f"pass@{k} needs at least {k} answers, {right} right of {answers} given")
    return 1.0 - comb(answers - right, k) / comb(answers, k)


def majority_at_k(answers: Sequence[tuple[str | None, bool]], k: int, seed: int = 0) -> float:
    """The chance that the most frequent of k answers is right (self-consistency, Wang et al.
    2022, arXiv 2203.11171).

    ``answers``: (what was read, whether it is right). Averaged over every choice of k answers, or
    over 200 seeded choices where there are more. An answer that could not be read has no vote;
    ties are shared evenly among the answers tied. Raises ValueError unless 1 ≤ k ≤ answers.
    """
    if not 1 <= k <= len(answers):
        raise ValueError(f"majority@{k} needs at least {k} answers, {len(answers)} given")
    if comb(len(answers), k) <= MOST_SUBSETS:
        chosen = list(combinations(answers, k))
    else:
        rng = Random(seed)
        chosen = [tuple(rng.sample(list(answers), k)) for _ in range(MOST_SUBSETS)]
    return sum(_vote(some) for some in chosen) / len(chosen)


def _vote(answers: Sequence[tuple[str | None, bool]]) -> float:
    """1 if the most frequent answer is right, 0 if not, a share where answers tie."""
    votes = Counter(text for text, _ in answers if text is not None)
    if not votes:
        return 0.0
    most = max(votes.values())
    right = {text for text, correct in answers if correct}
    leading = [text for text, count in votes.items() if count == most]
    return sum(text in right for text in leading) / len(leading)


@cache
def sizes_of_k(answers: int) -> tuple[int, ...]:
    """The k that are reported for so many answers: 1, 2, 4, 8 … and all of them."""
    powers = [2**i for i in range(answers.bit_length()) if 2**i <= answers]
    return tuple(sorted({*powers, answers})) if answers else ()


def over_k(
    problems: Mapping[str, Sequence[tuple[str | None, bool]]],
) -> dict[str, dict[str, float]]:
    """pass@k and majority@k, averaged over problems, for each k that every problem has answers for.

    Problems: id -> its answers (what was read, whether it is right).
    """
    fewest = min((len(a) for a in problems.values()), default=0)
    passed, voted = {}, {}
    for k in sizes_of_k(fewest):
        n = len(problems)
        rights = [(len(a), sum(right for _, right in a)) for a in problems.values()]
        passed[str(k)] = sum(pass_at_k(asked, right, k) for asked, right in rights) / n
        voted[str(k)] = sum(majority_at_k(a, k) for a in problems.values()) / n
    return {"pass_at_k": passed, "majority_at_k": voted}
