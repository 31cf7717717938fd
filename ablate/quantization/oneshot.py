"""Run by the interpreter of llm-compressor's environment: ``python oneshot.py REQUEST``.

Nothing of ablate can be imported here, only what that environment has.
"""

from __future__ import annotations

import json
import runpy
import sys
from pathlib import Path
from typing import Any


def modifiers(wanted: dict[str, dict[str, Any]]) -> list[Any]:
    """llm-compressor's modifiers, by class name; where one lives has changed between releases."""
    from importlib import import_module

    places = (
        "llmcompressor.modifiers.quantization",
        "llmcompressor.modifiers.transform.smoothquant",
        "llmcompressor.modifiers.smoothquant",
    )
    made = []
    for name, arguments in wanted.items():
        for place in places:
            try:
                kind = getattr(import_module(place), name)
            except (ImportError, AttributeError):
                continue
            made.append(kind(**arguments))
            break
        else:
            raise SystemExit(f"this llm-compressor has no {name}")
    return made


def main() -> None:
    request = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    runpy.run_path(request["lifeline"])["exit_with_parent"]()

    import torch
    from datasets import Dataset
    from llmcompressor import oneshot
    from transformers import AutoModelForCausalLM, AutoTokenizer

    torch.manual_seed(request["seed"])
    model = AutoModelForCausalLM.from_pretrained(request["source"], dtype=torch.bfloat16)
    rows = request["rows"]
    given: dict[str, Any] = {}
    if rows:
        masks = [[1] * len(row) for row in rows]
        given = {
            "dataset": Dataset.from_dict({"input_ids": rows, "attention_mask": masks}),
            "max_seq_length": max(map(len, rows)),
            "num_calibration_samples": len(rows),
            "shuffle_calibration_samples": False,
        }
    oneshot(model=model, recipe=modifiers(request["modifiers"]), **given)
    model.save_pretrained(request["target"], save_compressed=True)
    AutoTokenizer.from_pretrained(request["source"]).save_pretrained(request["target"])


if __name__ == "__main__":
    main()
