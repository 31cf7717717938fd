"""The energy that a machine takes while it measures, where it can be read.

Read by Zeus (``pip install 'ablate-inference[energy]'``): RAPL for processors and their memory,
NVML and AMD's counters for GPUs. It is asked once before and once after measuring. The counters are
the machine's: whatever else runs there is in them.

Why Zeus: it is maintained (Apache-2.0, ML.ENERGY), reads counters that add up by themselves instead
of sampling power, and minds their wrapping round. pyRAPL and pyJoules have had no release since
2020; nvidia-ml-py reads GPUs only; CodeCarbon guesses what it cannot read, which must not be here.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from multiprocessing import active_children
from typing import Any, Protocol

WINDOW = "ablate"
UNREADABLE = (
    "Energy of the processors is not in the numbers: their counters (RAPL) may not be read by this "
    "user; see https://ml.energy/zeus/getting_started/#system-privileges."
)


class Meter(Protocol):
    """``note``: what a reader has to know of what could not be read, empty if nothing."""

    note: str

    def begin(self) -> None:
        """Measuring starts now."""

    def end(self) -> Mapping[str, float]:
        """Joules since ``begin``, by what took them (``gpu0``, ``cpu0``, ``dram0``)."""


class NoMeter:
    """Reads nothing."""

    def __init__(self, note: str = "") -> None:
        self.note = note

    def begin(self) -> None:
        """Nothing to do."""

    def end(self) -> Mapping[str, float]:
        return {}


class ZeusMeter:
    """A window of a ``ZeusMonitor``. It waits for no device: every answer has been read by then."""

    def __init__(self, monitor: Any, note: str = "") -> None:
        self.note = note
        self._monitor = monitor
        # The first reading starts what minds the counters' wrapping: not while measuring.
        self.begin()
        self.end()

    def begin(self) -> None:
        self._monitor.begin_window(WINDOW, sync_execution=False)

    def end(self) -> Mapping[str, float]:
        read = self._monitor.end_window(WINDOW, sync_execution=False)
        parts = {"gpu": read.gpu_energy, "cpu": read.cpu_energy, "dram": read.dram_energy}
        found = {f"{n}{i}": j for n, by_index in parts.items() for i, j in (by_index or {}).items()}
        too_short = not all(joules > 0 for joules in found.values())  # for a counter to move
        return {} if too_short else found


class Patient:
    """A meter that never fails: a trial that was not metered is as good as any other.

    What it could not read it says in ``note``.
    """

    def __init__(self, meter: Meter) -> None:
        self.note = meter.note
        self._meter = meter

    def begin(self) -> None:
        try:
            self._meter.begin()
        except Exception as error:  # drivers fail in many ways
            self._give_up(error)

    def end(self) -> Mapping[str, float]:
        try:
            return self._meter.end()
        except Exception as error:
            self._give_up(error)
            return {}

    def _give_up(self, error: Exception) -> None:
        self.note = f"Energy could not be read: {type(error).__name__}: {error}"
        self._meter = NoMeter()


@contextmanager
def open_meter() -> Iterator[Meter]:
    """The machine's meter, one that reads nothing where there is none."""
    others = active_children()
    try:
        yield Patient(_find())
    finally:
        for helper in set(active_children()) - set(others):
            helper.terminate()  # else the trial's process would wait for it as it ends
            helper.join()


def _find() -> Meter:
    try:
        from zeus.monitor import ZeusMonitor
    except ImportError:
        return NoMeter()
    try:
        return ZeusMeter(ZeusMonitor(), UNREADABLE if _forbidden() else "")
    except Exception as error:
        return NoMeter(f"Energy could not be read: {type(error).__name__}: {error}")


def _forbidden() -> bool:
    """Whether there are RAPL counters that this user may not read; the monitor leaves them out."""
    from zeus.device import get_cpus
    from zeus.device.cpu.common import ZeusCPUInitError, ZeusCPUNoPermissionError

    try:
        get_cpus()
    except ZeusCPUNoPermissionError:
        return True
    except ZeusCPUInitError:  # there are none
        return False
    return False
