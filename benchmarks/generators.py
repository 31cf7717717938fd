"""Other load generators: what ``vllm bench serve`` and ``guidellm`` are told, and what they say."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from ablate.models import ModelConfig, resolve_model
from benchmarks.same_server import run
from benchmarks.streamer import MODEL

SHOWN = ("mean", "p50", "p99")
WARMUP = 4  # requests that are sent before and not counted, where a tool can; recipes' default
Latencies = Mapping[str, float]
"""``mean_ttft``, ``p50_ttft``, ``p99_ttft`` and the same of ``tpot``, in milliseconds."""


@dataclass(frozen=True)
class Sending:
    """A load: ``n`` requests of ``tokens`` output tokens, in a closed loop of ``concurrency``, or
    by a Poisson process of ``rate`` a second.
    """

    url: str
    n: int
    tokens: int
    concurrency: int | None = None
    rate: float | None = None

    @property
    def name(self) -> str:
        return f"closed, {self.concurrency}" if self.rate is None else f"Poisson, {self.rate:g}/s"


Tool = Callable[[Sending, Path], Latencies]
"""Sends a load and says what it measured; the folder is for what it writes."""


def vllm_bench(python: str, load: Sending) -> list[str]:
    """``python``: an interpreter that has vLLM."""
    pace = ("--max-concurrency", str(load.concurrency))
    if load.rate is not None:
        pace = ("--request-rate", str(load.rate))
    return [
        python, "-m", "vllm.entrypoints.cli.main", "bench", "serve",
        "--backend", "openai", "--base-url", load.url, "--model", MODEL, "--tokenizer", tokenizer(),
        "--dataset-name", "random", "--random-input-len", "32",
        "--random-output-len", str(load.tokens), "--num-prompts", str(load.n), *pace,
        "--num-warmups", str(WARMUP), "--disable-tqdm", "--ready-check-timeout-sec", "0",
    ]  # fmt: skip


def guidellm(command: str, load: Sending) -> list[str]:
    """``command``: the command guidellm."""
    profile = f"kind=concurrent,streams={load.concurrency}"
    if load.rate is not None:
        profile = f"kind=poisson,rate={load.rate}"
    return [
        command, "run", "--disable-console",
        "--backend",
        f"kind=openai_http,target={load.url},model={MODEL},request_format=/v1/completions",
        "--profile", profile, "--constraint", f"kind=max_requests,count={load.n}",
        "--tokenizer", f"kind=hf_auto,model={tokenizer()}",
        "--data", f"kind=synthetic_text,prompt_tokens=32,output_tokens={load.tokens}",
    ]  # fmt: skip


def tokenizer() -> str:
    return resolve_model(ModelConfig("tiny-reasoner")).path


def vllm_latencies(python: str, load: Sending, folder: Path) -> Latencies:
    """What ``vllm bench serve`` says of a load. Raises RuntimeError if it did not serve it all."""
    saved = ["--save-result", "--result-dir", str(folder), "--result-filename", "vllm.json"]
    asked = ["--percentile-metrics", "ttft,tpot", "--metric-percentiles", "50,99"]
    run([*vllm_bench(python, load), *saved, *asked], folder / "vllm.log")
    found = json.loads((folder / "vllm.json").read_text(encoding="utf-8"))
    if found["completed"] != load.n:  # it exits with 0 even if all of them failed
        raise RuntimeError(f"vllm bench serve: {found['completed']} of {load.n} requests")
    return {f"{s}_{m}": float(found[f"{s}_{m}_ms"]) for m in ("ttft", "tpot") for s in SHOWN}


def guidellm_latencies(command: str, load: Sending, folder: Path) -> Latencies:
    """What guidellm says of a load. TPOT is what it calls inter-token latency."""
    file = folder / "guidellm.json"
    run([*guidellm(command, load), "--output", f"kind=json,path={file}"], folder / "guidellm.log")
    metrics = json.loads(file.read_text(encoding="utf-8"))["benchmarks"][0]["metrics"]
    found: dict[str, float] = {}
    for short, name in (("ttft", "time_to_first_token_ms"), ("tpot", "inter_token_latency_ms")):
        told = metrics[name]["successful"]
        values = (told["mean"], told["percentiles"]["p50"], told["percentiles"]["p99"])
        found |= {f"{s}_{short}": float(value) for s, value in zip(SHOWN, values, strict=True)}
    return found
