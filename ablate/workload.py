"""The requests of a trial, in the order in which they are sent, with their arrivals and seeds."""

from __future__ import annotations

import hashlib
from random import Random

from ablate.conversations import Asked, conversations, interleaved
from ablate.planning import Arm
from ablate.types import Load, Problem, Request


def build_load(arm: Arm, block: int) -> Load:
    """The requests of one trial.

    The domains' problems are mixed. All arms of a block share order and arrivals, so that they
    differ in the optimization alone; a replicate has the arrivals and another order, as the noise
    floor is to hold what batching with other neighbours does. Blocks differ in both, and in the
    requests' seeds: with a temperature every block adds fresh answers.
    """
    seed = arm.recipe.seed
    asked = _ordered(arm, Random(f"{seed}/order/{block}/{arm.info.replicate}"))
    offsets = arm.arrival.offsets(len(asked), Random(f"{seed}/arrivals/{block}"))
    arrivals = offsets if offsets is not None else [None] * len(asked)
    thinking = arm.arrival.pauses(len(asked), Random(f"{seed}/pauses/{block}"))
    pauses = thinking if thinking is not None else [0.0] * len(asked)
    return Load(
        requests=tuple(
            _request(arm, block, problem, sample, arrival, pause)
            for (problem, sample), arrival, pause in zip(asked, arrivals, pauses, strict=True)
        ),
        concurrency=arm.arrival.in_flight,
    )


def _ordered(arm: Arm, rng: Random) -> list[Asked]:
    asked, turns = _asked(arm), arm.arrival.turns
    if turns == 1:
        rng.shuffle(asked)
        return asked
    # the same chats in every block, as problems are compared across blocks
    return interleaved(conversations(asked, turns, Random(f"{arm.recipe.seed}/chats")), rng)


def _asked(arm: Arm) -> list[Asked]:
    problems = [problem for some in arm.asked.values() for problem in some]
    return [(p, sample) for p in problems for sample in range(arm.recipe.sampling.samples)]


def _request(
    arm: Arm, block: int, problem: Problem, sample: int, arrival: float | None, pause: float
) -> Request:
    name = f"{problem.domain}/{problem.id}#{sample}"
    seed = _seed(arm.recipe.sampling.seed, block, name)
    return Request(name, problem, sample, seed, arrival, pause)


def _seed(seed: int, block: int, request: str) -> int:
    """63 bits, so that every generator takes it; the same on every machine and in every batch."""
    digest = hashlib.sha256(f"{seed}/{block}/{request}".encode()).digest()
    return int.from_bytes(digest[:8], "big") >> 1
