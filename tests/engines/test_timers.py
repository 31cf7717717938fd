"""The client's event loop: waits that are neither rounded up nor deaf meanwhile."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Coroutine
from typing import Any, TypeVar

import pytest

from ablate.engines.server import timers

T = TypeVar("T")
SHORT, LONG = timers.FINE / 4, 10 * timers.FINE


def run(work: Coroutine[Any, Any, T]) -> T:
    loop = timers.exact_loop()
    try:
        return loop.run_until_complete(work)
    finally:
        loop.close()


async def waits(seconds: float, n: int) -> list[float]:
    """How late each of ``n`` waits ended."""
    loop, late = asyncio.get_running_loop(), []
    for _ in range(n):
        due = loop.time() + seconds
        await asyncio.sleep(seconds)
        late.append(loop.time() - due)
    return late


@pytest.mark.parametrize("seconds", [SHORT, timers.FINE, LONG + SHORT])
def test_a_wait_is_not_rounded_up_to_milliseconds(seconds: float) -> None:
    late = run(waits(seconds, 20))
    assert min(late) >= -1e-9  # as asyncio has it: not before its clock's resolution
    assert min(late) < 4e-4  # rounded up they would all be 0.5 ms late, or more


async def heard_after(seconds: float) -> bool:
    """Whether a byte that comes later than ``seconds`` is heard within a longer wait."""
    loop, heard = asyncio.get_running_loop(), asyncio.Event()
    read, write = os.pipe()
    loop.add_reader(read, heard.set)
    loop.call_later(seconds, os.write, write, b"x")
    try:
        await asyncio.wait_for(heard.wait(), 10)
    finally:
        loop.remove_reader(read)
        os.close(read)
        os.close(write)
    return heard.is_set()


@pytest.mark.parametrize("seconds", [SHORT, LONG])
def test_what_comes_during_a_wait_is_heard(seconds: float) -> None:
    assert run(heard_after(seconds))


async def called() -> bool:
    """Whether another thread wakes the loop."""
    loop, woken = asyncio.get_running_loop(), asyncio.Event()
    await asyncio.to_thread(loop.call_soon_threadsafe, woken.set)
    await asyncio.wait_for(woken.wait(), 10)
    return woken.is_set()


def test_other_threads_wake_it() -> None:
    assert run(called())


def test_where_too_many_files_are_open_it_is_the_standard_loop(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(timers, "LARGEST", 0)
    assert run(heard_after(SHORT))
