"""Whether models load in the libraries that people use them with, and still answer.

::

    python -m training.loads LIBRARY MODEL_FOLDER...

LIBRARY is transformers, vllm, gptqmodel, llmcompressor or bitsandbytes; each has its own
environment (README.md, beside this file), and the command is run with that environment's
interpreter, from the root of the repository. Nothing of ``ablate`` is imported.

Every folder is loaded and answers one prompt greedily; a library that quantizes does so, writes
the result into a temporary folder, loads that and asks again. Texts of two libraries are the same
where their lengths and checksums are. It exits with 1 if a model failed to load or had no answer.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import chdir
from importlib import import_module
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from zlib import crc32

PROMPT = "Start with 266. Add 579. Add 59. Subtract 80. What is the result?"
NEW_TOKENS = 256
SHOWN = 60

# Read by the libraries when they are imported; what is set already is kept.
ENVIRONMENT = {
    "GPTQMODEL_CPU_WORKERS": "2",  # the least it works with, and on two cores it takes one
    "VLLM_CPU_KVCACHE_SPACE": "1",  # GiB
    "VLLM_ENABLE_V1_MULTIPROCESSING": "0",
}

# How the model was loaded, and what it then wrote.
Answers = Iterator[tuple[str, str]]


def turns(prompt: str) -> list[dict[str, str]]:
    return [{"role": "user", "content": prompt}]


def answer(model: Any, folder: Path) -> str:
    """What a model with the interface of transformers writes; the tokenizer is the folder's."""
    from transformers import AutoTokenizer

    tokenizer: Any = AutoTokenizer.from_pretrained(folder)
    inputs = tokenizer.apply_chat_template(
        turns(PROMPT), add_generation_prompt=True, return_tensors="pt", return_dict=True
    ).to(model.device)
    output = model.generate(**inputs, max_new_tokens=NEW_TOKENS, do_sample=False)
    written = output[0, inputs["input_ids"].shape[1] :]
    return str(tokenizer.decode(written, skip_special_tokens=True))


def reloaded(folder: Path, **options: Any) -> str:
    """What the model in a folder writes, loaded by transformers; refuses one left unquantized."""
    from transformers import AutoModelForCausalLM

    model = AutoModelForCausalLM.from_pretrained(folder, **options)
    if not hasattr(model.config, "quantization_config"):
        raise ValueError("the folder that was written holds no quantized model")
    return answer(model, folder)


def transformers(folder: Path) -> Answers:
    import torch
    from transformers import AutoModelForCausalLM

    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
    yield "float32", answer(model, folder)


def vllm(folder: Path) -> Answers:
    from vllm import LLM, SamplingParams

    model = LLM(str(folder), dtype="float32", enforce_eager=True)  # compiling takes minutes
    greedy = SamplingParams(temperature=0, max_tokens=NEW_TOKENS)
    yield "float32", model.chat(turns(PROMPT), greedy)[0].outputs[0].text


def gptqmodel(folder: Path) -> Answers:
    import torch
    from gptqmodel import GPTQModel, QuantizeConfig

    config = QuantizeConfig(bits=4, group_size=64, offload_to_disk=False)
    model = GPTQModel.load(str(folder), config, dtype=torch.bfloat16)
    yield "bfloat16", answer(model.model, folder)
    # Of one length, because of rows of different lengths gptqmodel may use only one.
    texts = [f"Start with {i}. Add {i + 57}. What is the result?" for i in range(100, 900, 100)]
    with TemporaryDirectory() as target, chdir(target):  # it logs where it is started
        model.quantize(texts)
        model.save(target)
        yield "GPTQ 4 bits", answer(GPTQModel.load(target).model, Path(target))


def llmcompressor(folder: Path) -> Answers:
    import torch
    from llmcompressor import oneshot
    from llmcompressor.modifiers.quantization import QuantizationModifier
    from transformers import AutoModelForCausalLM, AutoTokenizer

    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.bfloat16)
    yield "bfloat16", answer(model, folder)
    recipe = QuantizationModifier(targets="Linear", scheme="W4A16", ignore=["lm_head"])
    with TemporaryDirectory() as target:
        tokenizer = AutoTokenizer.from_pretrained(folder)
        oneshot(model=model, tokenizer=tokenizer, recipe=recipe, output_dir=target)
        yield "W4A16", reloaded(Path(target))


def bitsandbytes(folder: Path) -> Answers:
    """Saved before any use: on a CPU the first step repacks the weights in place."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer, BitsAndBytesConfig

    make: Any = BitsAndBytesConfig  # has no annotations
    nf4 = {"bnb_4bit_quant_type": "nf4", "bnb_4bit_compute_dtype": torch.bfloat16}
    configs = {"nf4": make(load_in_4bit=True, **nf4), "int8": make(load_in_8bit=True)}
    for name, config in configs.items():
        model = AutoModelForCausalLM.from_pretrained(
            folder, quantization_config=config, dtype=torch.bfloat16
        )
        with TemporaryDirectory() as target:
            model.save_pretrained(target)
            AutoTokenizer.from_pretrained(folder).save_pretrained(target)
            yield f"{name} on load", answer(model, folder)
            yield f"{name} saved", reloaded(Path(target))


LIBRARIES: dict[str, Callable[[Path], Answers]] = {
    library.__name__: library
    for library in (transformers, vllm, gptqmodel, llmcompressor, bitsandbytes)
}


def check(library: str, folder: Path) -> Iterator[tuple[bool, str]]:
    """For each way of loading, whether it worked and the line that says so."""
    try:
        name = f"{library} {import_module(library).__version__} {folder.name}"
        for how, text in LIBRARIES[library](folder):
            state = "ok" if text.strip() else "FAILED (no text)"
            size = f"{len(text)} characters, checksum {crc32(text.encode()):08x}"
            yield bool(text.strip()), f"{name}, {how}: {state}, {size}, {text[:SHOWN]!r}"
    except Exception as error:
        yield False, f"{library} {folder.name}: FAILED, {type(error).__name__}: {error}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("library", choices=LIBRARIES)
    parser.add_argument("model", type=Path, nargs="+", help="folder of a model")
    options = parser.parse_args()
    os.environ.update(ENVIRONMENT | os.environ)
    results = [
        result for folder in options.model for result in check(options.library, folder.resolve())
    ]
    print("\n".join(line for _, line in results))  # last, below what the libraries log
    sys.exit(not all(ok for ok, _ in results))


if __name__ == "__main__":
    main()
