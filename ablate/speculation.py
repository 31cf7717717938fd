"""What the plugins that draft tokens share: the draft model, and each back end's arguments."""

from __future__ import annotations

from typing import Any

from ablate.errors import RecipeError
from ablate.models import ModelConfig, resolve_model
from ablate.types import ModelSpec, Requirements

NEEDS = frozenset({"rollback", "logits"})


def draft_spec(model: str, dtype: str = "auto") -> ModelSpec:
    """The model that drafts. Raises RecipeError with every problem found."""
    return resolve_model(ModelConfig(model, dtype=dtype), on_host=False)


def draft_requirements(model: str, dtype: str = "auto") -> Requirements:
    """What drafting with a model needs, or what is wrong with that model."""
    try:
        draft_spec(model, dtype)
    except RecipeError as error:
        return Requirements(problems=error.problems)
    return Requirements(needs=NEEDS)


def at_least_one(k: int) -> None:
    """Raises ValueError unless ``k`` tokens can be drafted."""
    if k < 1:
        raise ValueError(f"k must be at least 1, not {k}")


def vllm(method: str, k: int, **more: Any) -> dict[str, Any]:
    """vLLM's ``speculative_config`` (vllm/config/speculative.py)."""
    return {"speculative_config": {"method": method, "num_speculative_tokens": k, **more}}


def sglang(algorithm: str, k: int, **more: Any) -> dict[str, Any]:
    """SGLang's flags for one chain of ``k`` drafted tokens.

    It counts the token that the chain hangs on, and would draft a tree if top-k were not 1.
    """
    return {
        "speculative_algorithm": algorithm,
        "speculative_num_steps": k,
        "speculative_eagle_topk": 1,
        "speculative_num_draft_tokens": k + 1,
        **more,
    }


def lmdeploy(algorithm: str, k: int, **more: Any) -> dict[str, Any]:
    """LMDeploy's flags; its TurboMind engine ignores them, its PyTorch engine obeys."""
    return {"speculative_algorithm": algorithm, "speculative_num_draft_tokens": k, **more}
