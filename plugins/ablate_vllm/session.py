"""The trial's side of vLLM: tokens out, completions in."""

from __future__ import annotations

import json
import os
import re
import socket
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from ablate.child import Service, cpu_seconds, peak_rss_bytes
from ablate.engine_args import made
from ablate.engines.base import EngineContext, Session
from ablate.engines.text import Codebook, completion_of, longest_of
from ablate.errors import TrialError, says_out_of_memory
from ablate.interpreters import interpreter
from ablate.types import Completion, EngineFacts, EvidenceState, Load, ModelSpec, Problem, Usage
from ablate_vllm import VllmEngine, baseline, known
from ablate_vllm.facts import facts, replicated

WORKER = Path(__file__).with_name("worker.py")
REPORTED = re.compile(r"^\(\w+ pid=\d+\) ERROR .*?\] ((?:\w+\.)*\w*(?:Error|Exception): .*)")


class VllmSession(Session):
    """A worker process that holds vLLM, and the socket to it."""

    def __init__(self, options: VllmEngine, context: EngineContext) -> None:
        self._options = options
        self._context = context
        self._codebook = Codebook(context.model)
        args = engine_args(options, context)
        mine, theirs = socket.socketpair()
        log = (context.directory or Path.cwd()) / "vllm.log"
        with theirs:
            self._service = Service(
                [interpreter(options.python), "-u", str(WORKER), str(theirs.fileno())],
                log,
                environment(options),
                fds=(theirs.fileno(),),
            )
        self._socket = mine
        self._lines = mine.makefile("rb")
        self._counted: Mapping[str, float] = {}
        opened = self._opened(args)
        self._version = opened["version"]
        self.facts: EngineFacts = replicated(facts(opened["facts"]), opened["engines"])

    def _opened(self, args: Mapping[str, Any]) -> Mapping[str, Any]:
        self._socket.settimeout(self._options.startup_timeout)
        try:
            self._send(open=args)
            message = next(self._messages())
        except BaseException:
            self.close()
            raise
        self._socket.settimeout(None)
        opened: Mapping[str, Any] = message["opened"]
        return opened

    @property
    def weight_bytes(self) -> int:
        return self.facts.weight_bytes or 0

    @property
    def cpu_seconds(self) -> float:
        return (super().cpu_seconds or 0.0) + cpu_seconds(self._service.tree)

    @property
    def peak_rss_bytes(self) -> int:
        return (super().peak_rss_bytes or 0) + peak_rss_bytes(self._service.tree)

    @property
    def info(self) -> Mapping[str, str]:
        settings = self.facts.settings
        told = ("dtype", "kv_cache_dtype", "enforce_eager", "attention_backend", "max_num_seqs")
        kernels = ", ".join(f"{n} x {name}" for name, n in (self.facts.linears or {}).items())
        return {
            "engine": "vllm",
            "vllm": self._version,
            "device": known.platform().name.lower(),
            **{name: str(settings[name]) for name in told if settings.get(name) is not None},
            "linear kernels": kernels,
        }

    def run(
        self,
        load: Load,
        on_completion: Callable[[Completion], None],
        on_usage: Callable[[Usage], None],
    ) -> Mapping[str, float]:
        asked = {request.id: request.problem for request in load.requests}
        prompts = {i: self._codebook.prompt(p) for i, p in asked.items()}
        self._check_lengths(list(asked.values()), list(prompts.values()))
        self._send(run=self.asked(load, prompts))
        for message in self._messages():
            if "done" in message:
                done = message["done"]
                name = done["id"]
                on_completion(self._completion(done, prompts[name], asked[name].stop))
            elif "usage" in message:
                on_usage(self._usage(message["usage"]))
            else:
                self._counted = message["ended"]
                break
        return self._counted

    def asked(self, load: Load, prompts: Mapping[str, list[int]]) -> dict[str, Any]:
        """What the worker is sent of a load."""
        sampling = self._context.sampling
        drawn = sampling.temperature > 0  # greedy decoding needs no generator for each request
        return {
            "requests": [
                {
                    "id": r.id,
                    "prompt": prompts[r.id],
                    "seed": r.seed if drawn else None,
                    "arrival": r.arrival,
                    "pause": r.pause,
                    "max_tokens": sampling.limit(r.problem),
                    "stop": list(r.problem.stop),
                }
                for r in load.requests
            ],
            "concurrency": load.concurrency,
            "sampling": {
                "temperature": sampling.temperature,
                "top_p": sampling.top_p,
                "stop_token_ids": sorted(self._codebook.stop_ids),
            },
            "stall_timeout": self._options.stall_timeout,
        }

    def _check_lengths(self, asked: Sequence[Problem], prompts: Sequence[list[int]]) -> None:
        allowed = self.facts.settings.get("max_model_len")
        longest = longest_of(asked, prompts, self._context.sampling)
        if allowed and longest.tokens > allowed:
            raise TrialError(
                f"{longest} exceed vLLM's max_model_len {allowed}; "
                "lower sampling.max_tokens or raise engine.vllm.args.max_model_len"
            )

    def _completion(
        self, done: Mapping[str, Any], prompt: list[int], stop: Sequence[str]
    ) -> Completion:
        if done["reason"] not in ("stop", "length"):
            raise TrialError(f"vLLM ended request {done['id']!r} with {done['reason']!r}")
        return completion_of(
            self._codebook,
            request_id=done["id"],
            prompt=prompt,
            output=done["tokens"],
            token_times=done["times"],
            arrival=done["arrival"],
            dispatched=done["dispatched"],
            finished=done["finished"],
            finish_reason=done["reason"],
            cached_tokens=done["cached"],
            stop=stop,
        )

    def _usage(self, sample: Mapping[str, Any]) -> Usage:
        tokens = self.facts.kv_cache_tokens or 0
        total = round(tokens * (self.facts.kv_bytes_per_token or 0.0))
        share = sample["kv_usage"]
        return Usage(
            time=sample["time"],
            running=sample["running"],
            waiting=sample["waiting"],
            kv_tokens=round(share * tokens),
            kv_bytes=round(share * total),
            kv_allocated_bytes=total,
            kv_budget_bytes=total,
        )

    def evidence_state(self, stage: Literal["warmup", "measured"]) -> EvidenceState:
        return EvidenceState(
            engine="vllm",
            stage=stage,
            components={"facts": self.facts},
            counters=self._counted,
        )

    def close(self) -> None:
        self._lines.close()
        self._socket.close()
        self._service.close()

    def _send(self, **message: Any) -> None:
        try:
            self._socket.sendall(json.dumps(message).encode() + b"\n")
        except OSError:
            raise self._gone() from None

    def _messages(self) -> Iterator[Mapping[str, Any]]:
        """What the worker says. Raises TrialError with the log's end when it says no more."""
        while True:
            try:
                line = self._lines.readline()
            except TimeoutError:
                limit = self._options.startup_timeout
                raise self._failure(
                    f"vLLM was not up after {limit:g} s (option: startup_timeout)", "timeout"
                ) from None
            except OSError:
                line = b""
            if not line:
                raise self._gone()
            message: Mapping[str, Any] = json.loads(line)
            if "failed" in message:
                failed = message["failed"]
                raise self._failure(failed["message"], "timeout" if failed["timeout"] else "error")
            yield message

    def _gone(self) -> TrialError:
        ending = self._service.wait(5.0)
        return self._failure(f"vLLM's process ended ({ending or 'it does not answer'})", "crash")

    def _failure(self, what: str, kind: str) -> TrialError:
        tail = self._service.last_lines()
        cause = root_cause(self._service.log)
        what = f"{what}: {cause}" if cause and cause not in what else what
        if says_out_of_memory(f"{what}\n{tail}") or "signal 9" in what:
            kind = "out_of_memory"
        return TrialError(f"{what}\n{tail}" if tail else what, kind)


def root_cause(log: Path) -> str | None:
    """The first error that one of vLLM's processes reported; what follows comes of it."""
    with log.open(encoding="utf-8", errors="replace") as lines:
        found = (match for line in lines if (match := REPORTED.search(line)))
        first = next(found, None)
    return first[1] if first else None


def engine_args(options: VllmEngine, context: EngineContext) -> dict[str, Any]:
    """vLLM's arguments: defaults, then the recipe's, then the optimizations', made now."""
    by_plugin = context.plugins.engine_args(options.backend, context.model)
    chosen, _ = options.merged_args(by_plugin)
    return {**defaults(context.model), **made(chosen)}


def defaults(model: ModelSpec) -> dict[str, Any]:
    """The baseline's arguments."""
    args: dict[str, Any] = {
        "model": model.path,
        "tokenizer": model.path,
        "dtype": model.dtype,
        "trust_remote_code": model.trust_remote_code,
        "seed": 0,
        **baseline.ARGS,
    }
    if model.revision:
        args |= {"revision": model.revision, "tokenizer_revision": model.revision}
    if not model.allow_pickle:
        args |= baseline.SAFE
    if known.platform() is known.CPU:
        args |= baseline.ON_CPU
    return args


def environment(options: VllmEngine) -> dict[str, str]:
    """What vLLM's processes are started with."""
    paths = [baseline.PYTHONPATH, *filter(None, [os.environ.get("PYTHONPATH")])]
    env = {**baseline.QUIET, "VLLM_LOGGING_LEVEL": "INFO", "PYTHONPATH": os.pathsep.join(paths)}
    if known.platform() is known.CPU:
        env["VLLM_CPU_KVCACHE_SPACE"] = str(options.kv_cache_gib)
        env["CUDA_VISIBLE_DEVICES"] = ""
    return {**env, **options.env}
