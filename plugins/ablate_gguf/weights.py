"""Loading a GGUF file with transformers, and what shows that its weights are the ones in use."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from gguf import GGUFReader, dequantize
from transformers import AutoConfig

from ablate.engines.local.loading import pretrained
from ablate.errors import TrialError
from ablate.types import Evidence, ModelSpec

WHOLE = ("F32", "F16", "BF16")
SHAPE = ("vocab_size", "hidden_size", "num_hidden_layers", "num_attention_heads")
# A matrix that no loader permutes, under both of its names.
WITNESS, IN_FILE = "layers.{}.mlp.down_proj", "blk.{}.ffn_down.weight"


def load(file: Path, model: ModelSpec, device: str) -> Any:
    """The model with the file's weights, in eval mode. Raises TrialError if it is another model."""
    wanted: Any = AutoConfig.from_pretrained(
        model.path, revision=model.revision, trust_remote_code=model.trust_remote_code
    )
    auto = wanted.dtype or torch.float32
    dtype = auto if model.dtype == "auto" else getattr(torch, model.dtype)
    spec = replace(model, name=file.name, path=str(file.parent), revision=None)
    loaded = pretrained(spec, gguf_file=file.name)
    differing = [
        f"{name} is {getattr(loaded.config, name, None)} instead of {getattr(wanted, name, None)}"
        for name in SHAPE
        if getattr(loaded.config, name, None) != getattr(wanted, name, None)
    ]
    if differing:
        raise TrialError(f"{file} holds another model than {model.name}: {'; '.join(differing)}")
    loaded.config.eos_token_id = wanted.eos_token_id
    return loaded.to(device=device, dtype=dtype).eval()


def evidence(file: Path, model: Any) -> Evidence:
    """Counts the file's quantized matrices, and the layers that hold one of them as it is there."""
    tensors = {tensor.name: tensor for tensor in GGUFReader(file).tensors}
    kinds = Counter(t.tensor_type.name for t in tensors.values() if len(t.shape) > 1)
    quantized = [t for t in tensors.values() if t.tensor_type.name not in WHOLE]
    layers = model.config.num_hidden_layers
    same = sum(_same(model, tensors, layer) for layer in range(layers))
    held = sum(int(t.n_bytes) for t in tensors.values())
    weights = sum(int(t.n_elements) for t in quantized)
    said = ", ".join(f"{count} {name}" for name, count in sorted(kinds.items()))
    return Evidence(
        "gguf",
        bool(quantized) and same == layers,
        f"{same} of {layers} layers hold the file's matrices ({said}; {held:,} bytes in the file, "
        "turned back into whole numbers for computing)",
        {
            "layers": layers,
            "layers_from_file": same,
            "file_bytes": held,
            "bits_per_weight": 8 * sum(int(t.n_bytes) for t in quantized) / weights
            if weights
            else 0.0,
        },
    )


def _same(model: Any, tensors: dict[str, Any], layer: int) -> bool:
    """Whether a layer's witness is the file's, up to the rounding of the model's dtype."""
    found = tensors.get(IN_FILE.format(layer))
    if found is None:
        return False
    weight = model.base_model.get_submodule(WITNESS.format(layer)).weight
    written = torch.from_numpy(dequantize(found.data, found.tensor_type).copy())
    return bool(torch.equal(written.to(weight.dtype), weight.cpu()))
