"""What the terminal shows while trials run: a live display, or plain lines in a log."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
from rich.progress import Progress as Bars

from ablate.running.trial import Progress
from ablate.types import TrialResult


class Display(Protocol):
    """Told of every trial's start, progress and end."""

    def started(self, arm: str, block: int, requests: int) -> None: ...

    def progressed(self, progress: Progress) -> None: ...

    def ended(self, result: TrialResult) -> None: ...


@contextmanager
def display(console: Console, trials: int) -> Iterator[Display]:
    """The display that fits the console."""
    if not console.is_terminal:
        yield PlainLines(console, trials)
        return
    live = LiveBars(console, trials)
    with live.bars:
        yield live


def outcome(result: TrialResult, tokens: int) -> str:
    """A trial's end in a few words."""
    if result.status == "failed":
        first = (result.message or "").splitlines()
        return f"failed ({result.kind}): {first[0] if first else ''}"
    seconds = result.running_time or 0.0
    known = tokens and seconds and not result.resumed
    speed = f", {tokens / seconds:,.0f} tok/s" if known else ""
    node = f" on {result.info['node']}" if "node" in result.info else ""
    return f"{seconds:.1f} s{speed}{node}"


class PlainLines:
    """One line as each trial ends."""

    def __init__(self, console: Console, trials: int) -> None:
        self._console = console
        self._trials = trials
        self._count = 0
        self._tokens = 0

    def started(self, arm: str, block: int, requests: int) -> None:
        self._tokens = 0

    def progressed(self, progress: Progress) -> None:
        self._tokens = progress.tokens

    def ended(self, result: TrialResult) -> None:
        self._count += 1
        place = f"[{self._count}/{self._trials}] {result.arm} block {result.block}"
        text = f"{place}: {outcome(result, self._tokens)}"
        self._console.print(text, markup=False, highlight=False, soft_wrap=True)


class LiveBars:
    """Bars for trials and for the requests of the current one.

    Drawn only when something is reported: a display that refreshes by itself would take time from
    the cores that are being measured.
    """

    def __init__(self, console: Console, trials: int) -> None:
        self.bars = Bars(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[note]}"),
            TimeRemainingColumn(),
            console=console,
            auto_refresh=False,
        )
        self._all = self.bars.add_task("trials", total=trials, note="")
        self._one = self.bars.add_task("", total=None, note="")
        self._tokens = 0

    def started(self, arm: str, block: int, requests: int) -> None:
        self._tokens = 0
        self.bars.reset(self._one, total=requests, description=f"{arm} block {block}", note="")
        self.bars.refresh()

    def progressed(self, progress: Progress) -> None:
        self._tokens = progress.tokens
        speed = f"{progress.tokens / progress.seconds:,.0f} tok/s" if progress.seconds else ""
        self.bars.update(self._one, completed=progress.requests, note=f"{progress.phase} {speed}")
        self.bars.refresh()

    def ended(self, result: TrialResult) -> None:
        self.bars.console.print(
            f"{result.arm} block {result.block}: {outcome(result, self._tokens)}", markup=False
        )
        self.bars.advance(self._all)
        self.bars.refresh()
