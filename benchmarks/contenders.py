"""One way of decoding, in a process of its own, for ``benchmarks.local_speed``.

``python -m benchmarks.contenders NAME MODEL DTYPE DEVICE LOAD.json`` loads and warms up, prints
``ready``, serves the load once for every line it is sent, and answers each with the useful output
tokens and the seconds it took. A load is ``{"prompts": [token ids], "lengths": [new tokens]}``:
every answer has the length asked for, whatever the model would rather say.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

DONE_WITHIN = 600.0  # s, of one load


@dataclass(frozen=True)
class Asked:
    """Prompts as token ids, and how many tokens each shall be continued by."""

    prompts: list[list[int]]
    lengths: list[int]

    @classmethod
    def read(cls, path: str) -> Asked:
        return cls(**json.loads(Path(path).read_text(encoding="utf-8")))


@dataclass(frozen=True)
class Model:
    """What is decoded, and where. vLLM and llama.cpp choose the device themselves."""

    path: str
    dtype: str
    device: str


Serve = Callable[[Asked], Any]


def transformers_model(asked: Model) -> Any:
    from transformers import AutoModelForCausalLM

    model: Any = AutoModelForCausalLM.from_pretrained(asked.path, dtype=asked.dtype)
    return model.to(asked.device).eval()


def generate(model: Model) -> Serve:
    """``generate()`` on one left-padded batch, which runs until the longest answer is done."""
    import torch

    loaded = transformers_model(model)

    def serve(asked: Asked) -> None:
        most = max(map(len, asked.prompts))
        padded = [[0] * (most - len(p)) + p for p in asked.prompts]
        mask = [[0] * (most - len(p)) + [1] * len(p) for p in asked.prompts]
        new = max(asked.lengths)
        with torch.inference_mode():
            out = loaded.generate(
                torch.tensor(padded, device=loaded.device), do_sample=False, pad_token_id=0,
                attention_mask=torch.tensor(mask, device=loaded.device), max_new_tokens=new,
                min_new_tokens=new,
            )  # fmt: skip
        assert out.shape[1] == most + new  # noqa: S101

    return serve


def continuous_batching(model: Model) -> Serve:
    """Transformers' continuous batching, with torch's attention where flash-attn is not installed:
    it would look for a kernel on the hub.
    """
    from transformers import ContinuousBatchingConfig, GenerationConfig

    loaded = transformers_model(model)
    made: Any = GenerationConfig
    config = made(do_sample=False, max_new_tokens=256, eos_token_id=-1)
    # of a GPU's memory it would take nearly all, though others are loaded beside it, and without
    # flash-attn a mask over all of it
    room: dict[str, Any] = {}
    if model.device != "cpu":
        room = {"num_blocks": 128, "max_batch_tokens": 2048}
    if not any(map(find_spec, ("flash_attn", "flash_attn_interface"))):
        if "auto_switch_to_flash" in ContinuousBatchingConfig.__dataclass_fields__:
            room["auto_switch_to_flash"] = False
        else:
            loaded.set_attn_implementation("paged|sdpa")
    how = ContinuousBatchingConfig(**room)

    def serve(asked: Asked) -> float:
        with loaded.continuous_batching_context_manager(
            config, block=True, timeout=5, continuous_batching_config=how
        ) as manager:
            began = time.perf_counter()
            for ids, length in zip(asked.prompts, asked.lengths, strict=True):
                manager.add_request(ids, max_new_tokens=length, eos_token_id=-1)
            finished = [_result(manager) for _ in asked.prompts]
            took = time.perf_counter() - began
        lengths = sorted(len(result.generated_tokens) for result in finished)
        assert lengths == sorted(asked.lengths)  # noqa: S101
        return took

    return serve


def _result(manager: Any) -> Any:
    deadline = time.perf_counter() + DONE_WITHIN
    while time.perf_counter() < deadline:
        result = manager.get_result(timeout=1)
        if result is not None and result.error:
            raise RuntimeError(f"continuous batching: {result.error}")
        if result is not None and result.is_finished():
            return result
        if result is None and not manager.is_running():
            break
    raise RuntimeError("continuous batching did not answer")


def local(model: Model) -> Serve:
    """The engine ``local``."""
    from ablate.engines.base import EngineContext
    from ablate.engines.local import LocalEngine
    from ablate.models import ModelConfig, resolve_model
    from ablate.plugins import ArmPlugins
    from ablate.types import Completion, Sampling

    spec = resolve_model(ModelConfig(model.path, dtype=model.dtype))
    context = EngineContext(spec, ArmPlugins({}), Sampling(max_tokens=256), 32)
    # as vLLM does: an output layer that is the embedding is packed as well, and long steps may be
    engine = LocalEngine(device=model.device, pack_output=True, max_num_batched_tokens=2048)
    session: Any = engine.open(context)
    take_token_ids(session)

    def serve(asked: Asked) -> None:
        done: list[Completion] = []
        session.run(load_of(asked), done.append, lambda _: None)
        assert sum(c.output_tokens for c in done) == sum(asked.lengths)  # noqa: S101

    return serve


def load_of(asked: Asked) -> Any:
    """All at once, for a session that takes token ids."""
    from ablate.types import Load, Problem, Request

    requests = tuple(
        Request(str(i), Problem(str(i), "", "", "", max_tokens=length, payload=ids), 0, 0)
        for i, (ids, length) in enumerate(zip(asked.prompts, asked.lengths, strict=True))
    )
    return Load(requests, len(requests))


def take_token_ids(session: Any) -> None:
    """Have a problem's payload for its prompt, and answers that run to their limit."""
    codebook = session._parts.codebook  # no way to serve a model
    codebook.stop_ids = frozenset()
    codebook.prompt = lambda problem: problem.payload


def vllm(model: Model) -> Serve:
    """vLLM's engine in this process, without compilation."""
    from vllm import LLM, SamplingParams

    engine = LLM(
        model.path, dtype=model.dtype, enforce_eager=True, max_model_len=1024, max_num_seqs=32,
        enable_prefix_caching=False, disable_log_stats=True,
    )  # fmt: skip

    def serve(asked: Asked) -> None:
        prompts = [{"prompt_token_ids": ids} for ids in asked.prompts]
        params = [
            SamplingParams(temperature=0, ignore_eos=True, max_tokens=n, detokenize=False)
            for n in asked.lengths
        ]
        out = engine.generate(prompts, params, use_tqdm=False)
        assert [len(o.outputs[0].token_ids) for o in out] == asked.lengths  # noqa: S101

    return serve


def llama_cpp(model: Model) -> Serve:
    """llama.cpp's library, one batch of all sequences a step; the path is a GGUF file's."""
    import llama_cpp as lib  # type: ignore[import-not-found, unused-ignore]
    import numpy as np

    rows, length = 32, 512
    with tempfile.TemporaryDirectory() as folder:  # the file has done its work once it is loaded
        params = lib.llama_model_default_params()
        params.use_mmap = False
        loaded = lib.llama_model_load_from_file(_converted(lib, model, folder), params)
    config = lib.llama_context_default_params()
    config.n_ctx, config.n_seq_max = rows * length, rows
    config.n_batch = config.n_ubatch = 2048
    config.n_threads = config.n_threads_batch = len(os.sched_getaffinity(0))
    context = lib.llama_init_from_model(loaded, config)
    batch = lib.llama_batch_init(2048, 0, 1)
    vocabulary = lib.llama_vocab_n_tokens(lib.llama_model_get_vocab(loaded))

    def forward(spans: Mapping[int, tuple[list[int], int]]) -> dict[int, int]:
        """The next token of each sequence, of new tokens and the place of the first."""
        n, last = 0, {}
        for row, (tokens, start) in spans.items():
            for position, token in enumerate(tokens, start):
                batch.token[n], batch.pos[n], batch.logits[n] = token, position, 0
                batch.n_seq_id[n], batch.seq_id[n][0] = 1, row
                n += 1
            last[row] = n - 1
            batch.logits[n - 1] = 1
        batch.n_tokens = n
        assert lib.llama_decode(context, batch) == 0  # noqa: S101
        logits = {row: lib.llama_get_logits_ith(context, place) for row, place in last.items()}
        shape = (vocabulary,)
        return {r: int(np.ctypeslib.as_array(x, shape).argmax()) for r, x in logits.items()}

    def serve(asked: Asked) -> None:
        lib.llama_memory_clear(lib.llama_get_memory(context), True)
        spans = {row: (prompt, 0) for row, prompt in enumerate(asked.prompts)}
        left = list(asked.lengths)
        while spans:
            new = forward(spans)
            for row in new:
                left[row] -= 1
            spans = {
                row: ([token], spans[row][1] + len(spans[row][0]))
                for row, token in new.items()
                if left[row]
            }

    return serve


def _converted(lib: Any, model: Model, folder: str) -> bytes:
    """The GGUF file with its weights in ``dtype``."""
    params = lib.llama_model_quantize_default_params()
    params.ftype = {"float32": 0, "float16": 1, "bfloat16": 32}[model.dtype]
    params.allow_requantize = True
    out = os.path.join(folder, "model.gguf").encode()
    assert lib.llama_model_quantize(model.path.encode(), out, params) == 0  # noqa: S101
    return out


CONTENDERS: Mapping[str, Callable[[Model], Serve]] = {
    "local": local,
    "generate": generate,
    "continuous batching": continuous_batching,
    "vllm": vllm,
    "llama.cpp": llama_cpp,
}


def main() -> None:
    name, path, dtype, device, load = sys.argv[1:]
    replies, sys.stdout = sys.stdout, sys.stderr  # libraries print, too
    serve, asked = CONTENDERS[name](Model(path, dtype, device)), Asked.read(load)
    serve(asked)
    print("ready", file=replies, flush=True)
    for _ in sys.stdin:
        began = time.perf_counter()
        own = serve(asked)
        took = own if isinstance(own, float) else time.perf_counter() - began
        print(json.dumps({"tokens": sum(asked.lengths), "seconds": took}), file=replies, flush=True)


if __name__ == "__main__":
    main()
