"""The loss on the way, as a table for a model's card.

::

    python -m training.curve runs/reasoner/curve.jsonl
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterable, Sequence
from pathlib import Path

ROWS = 12


def spaced(lines: Iterable[str], rows: int = ROWS) -> list[dict[str, float]]:
    """About ``rows`` of a curve's points, evenly spaced, the last one among them."""
    points: list[dict[str, float]] = [json.loads(line) for line in lines]
    every = max(1, round(len(points) / rows))
    return points[::-1][::every][::-1]


def table(points: Sequence[dict[str, float]]) -> str:
    """Tokens in millions, minutes of training, and the mean loss of the updates just before."""
    rows = [
        f"| {point['tokens'] / 1e6:.1f} | {point['seconds'] / 60:.0f} | {point['loss']:.4f} |"
        for point in points
    ]
    return "\n".join(["| million tokens | minutes | loss |", "| --- | --- | --- |", *rows])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("curve", type=Path)
    print(table(spaced(parser.parse_args().curve.read_text(encoding="utf-8").splitlines())))


if __name__ == "__main__":
    main()
