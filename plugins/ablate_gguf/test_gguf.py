"""GGUF: options, a file really written and read, and files that are no good."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ablate.errors import TrialError
from ablate.types import EvidenceState, ModelSpec
from ablate_gguf import Gguf
from tests.quantized import apart, logits

MODELS = Path(__file__).parents[2] / "ablate" / "models"
SPEC = ModelSpec("tiny-draft", str(MODELS / "tiny-draft"), dtype="float32")

NAMES: Mapping[str, str] = {
    "self_attn.q_proj": "attn_q",
    "self_attn.k_proj": "attn_k",
    "self_attn.v_proj": "attn_v",
    "self_attn.o_proj": "attn_output",
    "mlp.gate_proj": "ffn_gate",
    "mlp.up_proj": "ffn_up",
    "mlp.down_proj": "ffn_down",
    "input_layernorm": "attn_norm",
    "post_attention_layernorm": "ffn_norm",
}


def test_a_missing_extra_or_file_is_a_problem(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ablate.quantization.extras.find_spec", lambda name: None)
    missing, gone = Gguf(str(tmp_path / "a.gguf")).ablate_requirements("local").problems
    assert 'pip install "ablate-inference[gguf]"' in missing
    assert "there is no file" in gone


def plain(folder: Path) -> Any:
    from ablate.engines.local.loading import load_model

    return load_model(ModelSpec(folder.name, str(folder), dtype="float32"), "cpu")


def write(model: Any, file: Path, kind: str | None) -> None:
    """The model as llama.cpp's converter writes it; ``kind`` None: nothing is quantized."""
    import gguf

    config = model.config
    out = gguf.GGUFWriter(file, "llama")
    out.add_block_count(config.num_hidden_layers)
    out.add_context_length(config.max_position_embeddings)
    out.add_embedding_length(config.hidden_size)
    out.add_feed_forward_length(config.intermediate_size)
    out.add_head_count(config.num_attention_heads)
    out.add_head_count_kv(config.num_key_value_heads)
    out.add_key_length(config.head_dim)
    out.add_rope_dimension_count(config.head_dim)
    out.add_rope_freq_base(config.rope_parameters["rope_theta"])
    out.add_layer_norm_rms_eps(config.rms_norm_eps)
    out.add_vocab_size(config.vocab_size)
    heads = {"q_proj": config.num_attention_heads, "k_proj": config.num_key_value_heads}
    for name, tensor in model.state_dict().items():
        if name == "lm_head.weight":  # tied
            continue
        values = tensor.numpy().astype(np.float32)
        short = name.removesuffix(".weight").removeprefix("model.")
        if short.startswith("layers."):
            _, layer, rest = short.split(".", 2)
            count = heads.get(rest.split(".")[-1])
            if count:  # llama.cpp interleaves the halves of a rotary head
                values = values.reshape(count, 2, -1, values.shape[1]).swapaxes(1, 2)
                values = np.ascontiguousarray(values.reshape(tensor.shape))
            target = f"blk.{layer}.{NAMES[rest]}.weight"
        else:
            target = {"embed_tokens": "token_embd.weight", "norm": "output_norm.weight"}[short]
        if kind and values.ndim == 2 and "blk" in target:
            what = gguf.GGMLQuantizationType[kind]
            out.add_tensor(target, gguf.quantize(values, what), raw_dtype=what)
        else:
            out.add_tensor(target, values)
    out.write_header_to_file()
    out.write_kv_data_to_file()
    out.write_tensors_to_file()
    out.close()


@pytest.fixture(scope="module")
def draft() -> Any:
    pytest.importorskip("gguf")
    pytest.importorskip("accelerate")
    return plain(MODELS / "tiny-draft")


@pytest.mark.extra
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(("kind", "bits", "within"), [("Q8_0", 8.5, 0.05), ("Q4_0", 4.5, 0.9)])
def test_the_files_weights_are_the_ones_in_use(
    draft: Any, tmp_path: Path, kind: str, bits: float, within: float
) -> None:
    file = tmp_path / f"model.{kind}.gguf"
    write(draft, file, kind)
    plugin = Gguf(str(file))
    assert plugin.ablate_requirements("local").problems == ()
    model = plugin.ablate_load_model(SPEC, "cpu")
    assert 0 < apart(draft, model) < within
    found = plugin.ablate_evidence(EvidenceState("local", "warmup", {"model": model}, {}))
    assert found.applied is True
    assert found.numbers["bits_per_weight"] == bits
    assert f"14 {kind}" in found.detail
    bare = plugin.ablate_evidence(EvidenceState("local", "warmup", {"model": draft}, {}))
    assert bare.applied is False


@pytest.mark.extra
@pytest.mark.filterwarnings("ignore")
def test_a_file_without_quantized_matrices_is_no_optimization(draft: Any, tmp_path: Path) -> None:
    file = tmp_path / "model.gguf"
    write(draft, file, None)
    plugin = Gguf(str(file))
    model = plugin.ablate_load_model(SPEC, "cpu")
    assert float((logits(model) - logits(draft)).abs().max()) < 1e-4
    state = EvidenceState("local", "warmup", {"model": model}, {})
    assert plugin.ablate_evidence(state).applied is False


@pytest.mark.extra
@pytest.mark.filterwarnings("ignore")
def test_a_file_of_another_model_fails_the_arm(draft: Any, tmp_path: Path) -> None:
    file = tmp_path / "model.gguf"
    write(draft, file, "Q8_0")
    other = ModelSpec("tiny-reasoner", str(MODELS / "tiny-reasoner"))
    with pytest.raises(TrialError, match="holds another model than tiny-reasoner: hidden_size is"):
        Gguf(str(file)).ablate_load_model(other, "cpu")
