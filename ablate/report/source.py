"""What a report reads of a run directory."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

import yaml

from ablate.errors import AblateError
from ablate.options import build
from ablate.store import RunDir
from ablate.types import Claim, RunInfo, Trial


def run_info(run_dir: RunDir) -> RunInfo:
    """The run's description; what run.json leaves out is taken from its resolved recipe.

    Raises AblateError where either cannot be read.
    """
    info = run_dir.info()
    recipe = _recipe(run_dir)
    claims = info.claims or tuple(_claim(run_dir, c) for c in recipe.get("claims") or ())
    return replace(info, claims=claims, sampling=info.sampling or recipe.get("sampling") or {})


def run_trials(run_dir: RunDir, info: RunInfo) -> Iterator[Trial]:
    """Every trial that has ended, one at a time, in the order of arms and blocks."""
    for arm, block in info.places:
        trial = run_dir.trial(arm, block).load()
        if trial:
            yield trial


def _recipe(run_dir: RunDir) -> Mapping[str, Any]:
    file = run_dir.path / "recipe.yaml"
    if not file.exists():
        return {}
    try:
        tree = yaml.safe_load(file.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise AblateError(f"{file} cannot be read: {error}") from None
    return tree if isinstance(tree, Mapping) else {}


def _claim(run_dir: RunDir, written: object) -> Claim:
    claim, problems = build(Claim, written, "claims")
    if claim is None:
        raise AblateError(f"{run_dir.path / 'recipe.yaml'}: {problems[0]}")
    return claim
