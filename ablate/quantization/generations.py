"""What a model itself answers to prompts, made in a process of its own.

Quantized reasoning models lose least when calibrated on their own reasoning (Liu et al. 2025,
*Quantization Hurts Reasoning?*, arXiv 2504.04823). ``python -m ablate.quantization.generations``.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from ablate.artifacts import source_folder
from ablate.child import run_module
from ablate.errors import TrialError
from ablate.lifeline import exit_with_parent
from ablate.quantization.calibration import chat
from ablate.types import ModelSpec

MOST_TOKENS = 1024
BATCH = 16


def generate(model: ModelSpec, prompts: Sequence[str]) -> list[str]:
    """The model's greedy answers, special tokens left out, at most 1,024 tokens each.

    Raises TrialError if it fails or has nothing to say.
    """
    with TemporaryDirectory() as folder:
        request, answers = Path(folder, "request.json"), Path(folder, "answers.json")
        asked = {
            "source": str(source_folder(model)),
            "prompts": list(prompts),
            "answers": str(answers),
        }
        request.write_text(json.dumps(asked), encoding="utf-8")
        what = f"generating calibration text with {model.name}"
        run_module(__name__, str(request), what, {"HF_HUB_OFFLINE": "1"})
        found: list[str] = json.loads(answers.read_text(encoding="utf-8"))
    if not any(found):
        raise TrialError(f"{model.name} has no answers of its own to calibrate on")
    return found


def main() -> None:
    """The body of the child process."""
    exit_with_parent()
    request = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))

    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    source = request["source"]
    tokenizer: Any = AutoTokenizer.from_pretrained(source, padding_side="left")
    tokenizer.pad_token = tokenizer.pad_token or tokenizer.eos_token
    model: Any = AutoModelForCausalLM.from_pretrained(source, dtype="auto", use_safetensors=True)
    model.to("cuda" if torch.cuda.is_available() else "cpu").eval()
    answers: list[str] = []
    prompts = request["prompts"]
    for start in range(0, len(prompts), BATCH):
        texts = [chat(tokenizer, prompt) for prompt in prompts[start : start + BATCH]]
        given = tokenizer(texts, padding=True, add_special_tokens=False, return_tensors="pt")
        given = given.to(model.device)
        with torch.inference_mode():
            ids = model.generate(**given, max_new_tokens=MOST_TOKENS, do_sample=False)
        new = ids[:, given["input_ids"].shape[1] :]
        answers += tokenizer.batch_decode(new, skip_special_tokens=True)
    Path(request["answers"]).write_text(json.dumps(answers), encoding="utf-8")


if __name__ == "__main__":
    main()
