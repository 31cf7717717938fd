"""The run directory: what is written where, and how it is read back.

::

    run.json                        RunInfo
    recipe.yaml                     the resolved recipe
    server.log                      what libraries said while they were loaded
    trials/<arm>/<block>/records.jsonl   one Record a line, flushed as each request ends
    trials/<arm>/<block>/completions.jsonl  what was served, before it is graded by slow graders
    trials/<arm>/<block>/usage.jsonl     telemetry samples
    trials/<arm>/<block>/result.json     TrialResult, written last
    trials/<arm>/<block>/log.txt         what the trial's process printed
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, fields, is_dataclass
from functools import cache
from pathlib import Path
from types import UnionType
from typing import Any, TextIO, TypeVar, Union, get_args, get_origin, get_type_hints

from ablate.errors import AblateError
from ablate.types import Completion, Record, RunInfo, Trial, TrialResult, Usage

T = TypeVar("T")

RECORDS = "records.jsonl"
COMPLETIONS = "completions.jsonl"
USAGE = "usage.jsonl"


def to_json(value: Any) -> str:
    """A frozen dataclass of ours as one line of JSON."""
    return json.dumps(asdict(value), separators=(",", ":"), allow_nan=False, default=str)


def from_json(kind: type[T], text: str) -> T:
    """The dataclass back from its JSON. Raises ValueError, KeyError or TypeError on other text."""
    value: T = _decode(kind, json.loads(text))
    return value


@cache
def _hints(kind: type) -> dict[str, Any]:
    return get_type_hints(kind)


def _decode(kind: Any, value: Any) -> Any:
    origin = get_origin(kind)
    if value is None:
        return None
    if origin in (Union, UnionType):
        return _decode(next(a for a in get_args(kind) if a is not type(None)), value)
    if origin is tuple:
        inner = get_args(kind)[0]
        return (
            tuple(value) if inner in (float, int, str) else tuple(_decode(inner, v) for v in value)
        )
    if isinstance(kind, type) and is_dataclass(kind):
        hints = _hints(kind)
        return kind(
            **{
                f.name: _decode(hints[f.name], value[f.name])
                for f in fields(kind)
                if f.name in value
            }
        )
    return value


@dataclass(frozen=True)
class TrialDir:
    """The files of one trial."""

    path: Path

    @property
    def log(self) -> Path:
        return self.path / "log.txt"

    def records(self) -> tuple[Record, ...]:
        """The finished requests. A last line cut off by a kill is dropped."""
        return tuple(_read_lines(Record, self.path / RECORDS))

    def ungraded(self) -> tuple[Completion, ...]:
        """What was served and had not been graded when the trial was cut off."""
        served = {c.request_id: c for c in _read_lines(Completion, self.path / COMPLETIONS)}
        for record in self.records() if served else ():
            served.pop(record.completion.request_id, None)
        return tuple(served.values())

    def usage(self) -> tuple[Usage, ...]:
        return tuple(_read_lines(Usage, self.path / USAGE))

    def result(self) -> TrialResult | None:
        """How the trial ended, None if it has not."""
        file = self.path / "result.json"
        return from_json(TrialResult, file.read_text()) if file.exists() else None

    def write_result(self, result: TrialResult) -> None:
        write_atomically(self.path / "result.json", to_json(result))

    def load(self) -> Trial | None:
        result = self.result()
        return Trial(result, self.records(), self.usage()) if result else None


class LineWriter:
    """Appends dataclasses to a JSONL file, each line reaching the system before the next."""

    def __init__(self, file: Path) -> None:
        _drop_torn_line(file)
        self._stream: TextIO = file.open("a", encoding="utf-8")

    def write(self, value: Any) -> None:
        self._stream.write(to_json(value) + "\n")
        self._stream.flush()

    def close(self) -> None:
        self._stream.close()


@dataclass(frozen=True)
class RunDir:
    """A run directory."""

    path: Path

    def trial(self, arm: str, block: int) -> TrialDir:
        return TrialDir(self.path / "trials" / arm / str(block))

    def write_info(self, info: RunInfo) -> None:
        write_atomically(self.path / "run.json", json.dumps(asdict(info), indent=2, default=str))

    def info(self) -> RunInfo:
        """Raises AblateError if this is no run directory."""
        file = self.path / "run.json"
        try:
            return from_json(RunInfo, file.read_text())
        except FileNotFoundError:
            raise AblateError(f"{self.path} is no run directory: it has no run.json") from None
        except (ValueError, KeyError, TypeError) as error:
            raise AblateError(f"{file} is not readable as a run of ablate: {error}") from None

    def trials(self, info: RunInfo) -> Sequence[Trial]:
        """Every trial that has ended, in the order of arms and blocks."""
        loaded = (self.trial(arm, block).load() for arm, block in info.places)
        return [t for t in loaded if t]


def write_atomically(file: Path, text: str) -> None:
    """Write a whole file or nothing."""
    partial = file.with_name(f".{file.name}.{os.getpid()}")
    partial.write_text(text, encoding="utf-8")
    partial.replace(file)


def _read_lines(kind: type[T], file: Path) -> Iterator[T]:
    if not file.exists():
        return
    lines = file.read_text(encoding="utf-8").split("\n")
    for number, line in enumerate(lines[:-1], 1):  # the last piece is "" or a torn line
        try:
            yield from_json(kind, line)
        except (ValueError, KeyError, TypeError) as error:
            raise AblateError(f"{file}:{number} is damaged: {error}") from None


def _drop_torn_line(file: Path) -> None:
    if not file.exists():
        return
    data = file.read_bytes()
    keep = data.rfind(b"\n") + 1
    if keep != len(data):
        with file.open("r+b") as stream:
            stream.truncate(keep)
