"""Whether what a recipe claims holds in a run, as an exit code."""

from __future__ import annotations

from ablate.errors import AblateError
from ablate.report.results import build_results
from ablate.report.source import run_info, run_trials
from ablate.report.summary import claim_lines
from ablate.store import RunDir


def gate(run_dir: RunDir) -> tuple[int, list[str]]:
    """Whether a run's claims hold: (exit code, a line for each claim).

    0: all are supported. 1: one is refuted. 3: none is, and one is undecided. Raises AblateError
    where there is no run, or its recipe makes no claims.
    """
    info = run_info(run_dir)
    if not info.claims:
        raise AblateError(f"the recipe of {run_dir.path} makes no claims to judge it by")
    results = build_results(info, run_trials(run_dir, info))
    found = {claim["status"] for claim in results["claims"]}
    code = 1 if "refuted" in found else 3 if "undecided" in found else 0
    return code, claim_lines(results)
