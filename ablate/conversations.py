"""Problems asked one after the other in a chat, so that prompts share what went before."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from random import Random

from ablate.thinking import visible_text
from ablate.types import Problem

Asked = tuple[Problem, int]
"""A problem and the number of its sample."""


def conversations(asked: Sequence[Asked], turns: int, rng: Random) -> list[list[Asked]]:
    """Chats of ``turns`` problems of one domain each; the last of a domain may be shorter.

    The answers in a problem's history are the right ones, worked where the domain has that, not
    the model's: all arms are asked the same, and a wrong answer does not pull the next one down.
    Reasoning is left out of them, as chat templates do.
    """
    by_domain: dict[tuple[str, int], list[Problem]] = {}
    for problem, sample in asked:
        by_domain.setdefault((problem.domain, sample), []).append(problem)
    found = []
    for (_, sample), problems in by_domain.items():
        rng.shuffle(problems)
        for start in range(0, len(problems), turns):
            chat = _chat(problems[start : start + turns])
            found.append([(problem, sample) for problem in chat])
    return found


def interleaved(chats: Sequence[Sequence[Asked]], rng: Random) -> list[Asked]:
    """All turns in one random order in which each chat's follow one another."""
    whose = [i for i, chat in enumerate(chats) for _ in chat]
    rng.shuffle(whose)
    turns = [iter(chat) for chat in chats]
    return [next(turns[i]) for i in whose]


def _chat(problems: Sequence[Problem]) -> list[Problem]:
    said: tuple[tuple[str, str], ...] = ()
    chat = []
    for problem in problems:
        chat.append(replace(problem, history=(*problem.history, *said)))
        answer = visible_text(problem.solution or "").strip() or problem.reference
        said = (*said, (problem.prompt, answer))
    return chat
