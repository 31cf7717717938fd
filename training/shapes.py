"""The shapes of the shipped models."""

from __future__ import annotations

from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

HEAD = 64

# Width, layers, heads, key-value heads.
SHAPES = {"reasoner": (256, 4, 4, 2), "llm": (256, 4, 4, 2), "draft": (128, 2, 2, 1)}


def config(model: str, tokenizer: PreTrainedTokenizerFast) -> LlamaConfig:
    """``reasoner``, ``llm`` (the same) or ``draft`` (about a seventh of the parameters)."""
    width, layers, heads, kv_heads = SHAPES[model]
    return LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=width,
        intermediate_size=3 * width,
        num_hidden_layers=layers,
        num_attention_heads=heads,
        num_key_value_heads=kv_heads,
        head_dim=HEAD,
        max_position_embeddings=2048,
        tie_word_embeddings=True,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )


def fresh(model: str, tokenizer: PreTrainedTokenizerFast) -> LlamaForCausalLM:
    """An untrained model in float32."""
    return LlamaForCausalLM(config(model, tokenizer))
