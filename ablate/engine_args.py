"""Arguments for engines that own their loop: merged by dotted leaf, and made when they are due."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any


def merge_engine_args(
    by_plugin: Mapping[str, Mapping[str, Any]],
) -> tuple[dict[str, Any], list[str]]:
    """Merge the plugins' engine arguments by dotted leaf; returns the mapping and the conflicts."""
    owner: dict[str, str] = {}
    merged: dict[str, Any] = {}
    problems = []
    for plugin, args in by_plugin.items():
        for leaf, value in _leaves(args):
            if leaf in owner:
                problems.append(f"{owner[leaf]!r} and {plugin!r} both set engine argument {leaf!r}")
                continue
            owner[leaf] = plugin
            _set_leaf(merged, leaf.split("."), value)
    return merged, problems


def made(args: Mapping[str, Any]) -> dict[str, Any]:
    """Engine arguments with the values that are functions called; may take long."""
    return {
        key: made(value) if isinstance(value, Mapping) else value() if callable(value) else value
        for key, value in args.items()
    }


def _leaves(args: Mapping[str, Any], prefix: str = "") -> Sequence[tuple[str, Any]]:
    out: list[tuple[str, Any]] = []
    for key, value in args.items():
        path = f"{prefix}{key}"
        out += _leaves(value, f"{path}.") if isinstance(value, Mapping) else [(path, value)]
    return out


def _set_leaf(target: dict[str, Any], path: list[str], value: Any) -> None:
    for key in path[:-1]:
        target = target.setdefault(key, {})
    target[path[-1]] = value
