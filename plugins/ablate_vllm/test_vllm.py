"""The vLLM engine: planning, the session against a worker that plays a part, and vLLM itself.

``ABLATE_TEST_VLLM=PYTHON pytest plugins/ablate_vllm`` runs the last, with the vLLM of that
interpreter.
"""

from __future__ import annotations

import os
import signal
import stat
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import psutil
import pytest

from ablate.compatibility import incompatibilities
from ablate.engines.base import EngineContext
from ablate.engines.local import LocalEngine
from ablate.errors import TrialError
from ablate.models import ModelConfig, resolve_model
from ablate.options import build
from ablate.plugins import ArmPlugins, Plugin, hookimpl
from ablate.types import Completion, Load, ModelSpec, Problem, Request, Sampling, Usage
from ablate_eagle3 import Eagle3
from ablate_mtp import Mtp
from ablate_ngram import Ngram
from ablate_vllm import VllmEngine, known
from ablate_vllm.facts import facts, replicated
from ablate_vllm.session import VllmSession, engine_args, root_cause
from tests.drafting_models import eagle_head, with_mtp

PYTHON = os.environ.get("ABLATE_TEST_VLLM", "")
MODEL = resolve_model(ModelConfig("tiny-reasoner", dtype="float32"))
SETTINGS = {"num_gpu_blocks": 10, "block_size": 32, "max_model_len": 512, "dtype": "float32"}
ANSWER: Mapping[str, Any] = {
    "settings": SETTINGS,
    "linears": {"Plain": 16},
    "quantized": 0,
    "weight_bytes": 100,
    "kv_bytes": 6400,
    "rank": 0,
}


class TestFacts:
    def test_of_one_rank(self) -> None:
        found = facts([ANSWER])
        assert found.linears == {"Plain": 16}
        assert found.kv_cache_tokens == 320
        assert found.kv_bytes_per_token == 20

    def test_ranks_that_split_layers_hold_parts_of_the_same_ones(self) -> None:
        settings = {**SETTINGS, "tensor_parallel_size": 2}
        ranks = [{**ANSWER, "settings": settings, "rank": r, "quantized": 16} for r in (1, 0)]
        found = facts(ranks)
        assert (found.linears, found.quantized) == ({"Plain": 16}, 16)
        assert found.weight_bytes == 200
        assert found.kv_bytes_per_token == 40

    def test_engines_of_data_parallelism_hold_equal_shares(self) -> None:
        found = replicated(facts([ANSWER]), 2)
        assert found.settings["data_parallel_size"] == 2
        assert (found.weight_bytes, found.kv_cache_tokens) == (200, 640)
        assert found.kv_bytes_per_token == 20
        assert found.linears == {"Plain": 16}


class TestKnown:
    @pytest.mark.parametrize("dtype", ["int8_per_token_head", "turboquant_4bit", "int4"])
    def test_kv_types_that_nobody_checked_are_refused(self, dtype: str) -> None:
        (problem,) = known.problems("0.32.0", {"kv_cache_dtype": dtype}, known.CPU)
        assert dtype in problem

    def test_what_was_checked_passes(self) -> None:
        args = {
            "kv_cache_dtype": "fp8",
            "quantization": "gptq",
            "speculative_config": {"method": "ngram"},
        }
        assert known.problems("0.32.1+cpu", args, known.CPU) == []
        assert known.problems("0.45.0", {}, known.CUDA) == []

    @pytest.mark.parametrize("version", ["0.31.2", "0.33.0"])
    def test_other_versions_on_a_cpu(self, version: str) -> None:
        assert "not checked" in known.problems(version, {}, known.CPU)[0]

    @pytest.mark.parametrize("version", ["0.9.2", "strange"])
    def test_versions_that_are_too_old(self, version: str) -> None:
        assert "too old" in known.problems(version, {}, known.CUDA)[0]


class Switch(Plugin):
    """Sets one argument of vLLM."""

    @hookimpl
    def ablate_engine_args(self, engine: str, model: ModelSpec) -> Mapping[str, Any] | None:
        return {"kv_cache_dtype": "turboquant_3bit"} if engine == "vllm" else None


class TestPlanning:
    def problems(self, engine: VllmEngine, **plugins: Plugin) -> list[str]:
        return incompatibilities(plugins, "vllm", engine, {"vllm": VllmEngine}, MODEL)

    def test_vllm_is_not_installed(self) -> None:
        found = self.problems(VllmEngine(python=plain_python()))
        assert any("vLLM is not installed" in p and "pip install" in p for p in found)

    def test_no_interpreter(self) -> None:
        (problem,) = self.problems(VllmEngine(python="/nowhere/python"))
        assert problem == "engine.vllm.python: /nowhere/python is no interpreter that can be run"

    def test_what_is_not_known_to_be_right(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("ablate.interpreters.versions", lambda *_: {"vllm": "0.32.0"})
        (problem,) = self.problems(VllmEngine(), switch=Switch())
        assert "turboquant_3bit" in problem
        assert "engine.vllm.untested: true" in problem
        assert self.problems(VllmEngine(untested=True), switch=Switch()) == []

    def test_an_argument_set_twice(self) -> None:
        engine = VllmEngine(python=plain_python(), args={"kv_cache_dtype": "fp8"})
        found = self.problems(engine, switch=Switch())
        assert any("'switch' both set engine argument 'kv_cache_dtype'" in p for p in found)

    def test_options(self) -> None:
        engine, problems = build(VllmEngine, {"args": {"a": {"b": 1}}}, "engine.vllm")
        assert not problems
        assert engine is not None
        assert engine.args == {"a": {"b": 1}}
        _, problems = build(VllmEngine, {"kv_cache_gib": 0}, "engine.vllm")
        assert problems == ["engine.vllm: kv_cache_gib must be more than 0"]

    def test_arguments(self) -> None:
        given = context({"quantizer": Quantizer()})
        args = engine_args(VllmEngine(args={"max_model_len": 99}), given)
        assert args["model"] == "/made/when/opened"
        assert args["tokenizer"] == MODEL.path
        assert (args["max_model_len"], args["enable_prefix_caching"]) == (99, False)
        assert args["load_format"] == "safetensors"


class Quantizer(Plugin):
    """Makes a model when the engine opens."""

    @hookimpl
    def ablate_engine_args(self, engine: str, model: ModelSpec) -> Mapping[str, Any] | None:
        return {"model": lambda: "/made/when/opened"}


def plain_python() -> str:
    """An interpreter without vLLM."""
    return str(Path(sys.base_prefix) / "bin" / "python3")


def context(plugins: Mapping[str, Plugin], directory: Path | None = None) -> EngineContext:
    return EngineContext(MODEL, ArmPlugins(plugins), Sampling(max_tokens=48), 4, directory)


def load(n: int = 4, concurrency: int | None = 4, gap: float | None = None) -> Load:
    problems = [Problem(str(i), "sums", f"What is {i} + {7 * i}?", str(8 * i)) for i in range(n)]
    requests = [
        Request(p.id, p, 0, seed=i, arrival=None if gap is None else i * gap)
        for i, p in enumerate(problems)
    ]
    return Load(tuple(requests), concurrency)


def with_form(load: Load, **form: Any) -> Load:
    """The load with its problems asked in another form."""
    asked = (replace(r, problem=replace(r.problem, **form)) for r in load.requests)
    return replace(load, requests=tuple(asked))


PART = """#!{python}
import json, os, socket, sys, time
line = socket.socket(fileno=int(sys.argv[-1])).makefile("rwb")
def say(**message):
    line.write(json.dumps(message).encode() + b"\\n")
    line.flush()
def opened():
    line.readline()
    say(opened={{"facts": [{facts}], "engines": 1, "version": "0"}})
def finish(name, **more):
    say(done={{"id": name, "tokens": [5, 6], "times": [0.1, 0.2], "reason": "stop", "cached": 0,
        "arrival": 0.0, "dispatched": 0.0, "finished": 0.2, **more}})
{script}
"""


def play(tmp_path: Path, script: str, **options: Any) -> VllmSession:
    """A session whose worker does what ``script`` says."""
    part = tmp_path / "part"
    part.write_text(PART.format(python=sys.executable, facts=dict(ANSWER), script=script))
    part.chmod(part.stat().st_mode | stat.S_IXUSR)
    return VllmSession(VllmEngine(python=str(part), **options), context({}, tmp_path))


def ran(session: VllmSession, n: int = 2) -> list[Completion]:
    done: list[Completion] = []
    try:
        session.run(load(n), done.append, lambda _: None)
    finally:
        session.close()
    return done


class TestSession:
    def test_completions_and_telemetry(self, tmp_path: Path) -> None:
        script = (
            "opened(); asked = json.loads(line.readline())['run']\n"
            "say(usage={'time': 0.1, 'running': 2, 'waiting': 1, 'kv_usage': 0.5})\n"
            "for r in asked['requests']: finish(r['id'])\n"
            "say(ended={'num_steps': 3.0}); time.sleep(60)"
        )
        session = play(tmp_path, script)
        samples: list[Usage] = []
        done: list[Completion] = []
        counters = session.run(load(2), done.append, samples.append)
        session.close()
        assert counters == {"num_steps": 3.0}
        assert [(d.request_id, d.output_tokens, d.finish_reason) for d in done] == [
            ("0", 2, "stop"),
            ("1", 2, "stop"),
        ]
        assert (samples[0].kv_tokens, samples[0].kv_bytes, samples[0].kv_allocated_bytes) == (
            160,
            3200,
            6400,
        )

    def test_it_never_comes_up(self, tmp_path: Path) -> None:
        with pytest.raises(TrialError, match=r"not up after 0\.5 s") as caught:
            play(tmp_path, "time.sleep(60)", startup_timeout=0.5)
        assert caught.value.kind == "timeout"

    def test_it_dies_while_starting_and_the_log_says_why(self, tmp_path: Path) -> None:
        script = "print('ValueError: no such architecture', flush=True); sys.exit(3)"
        with pytest.raises(TrialError, match="exit code 3") as caught:
            play(tmp_path, script)
        assert "no such architecture" in str(caught.value)
        assert caught.value.kind == "crash"

    def test_it_dies_while_answering_and_what_was_answered_is_kept(self, tmp_path: Path) -> None:
        script = "opened(); line.readline(); finish('0'); os.kill(os.getpid(), 9)"
        session = play(tmp_path, script)
        done: list[Completion] = []
        with pytest.raises(TrialError, match="signal 9") as caught:
            session.run(load(2), done.append, lambda _: None)
        session.close()
        assert caught.value.kind == "out_of_memory"
        assert [d.request_id for d in done] == ["0"]

    def test_it_says_what_failed(self, tmp_path: Path) -> None:
        script = (
            "opened(); line.readline()\n"
            "print('torch.OutOfMemoryError: CUDA out of memory', flush=True)\n"
            "say(failed={'message': 'EngineDeadError: it died', 'timeout': False}); time.sleep(60)"
        )
        with pytest.raises(TrialError, match="EngineDeadError: it died") as caught:
            ran(play(tmp_path, script))
        assert caught.value.kind == "out_of_memory"

    def test_a_request_that_was_aborted_is_no_answer(self, tmp_path: Path) -> None:
        script = "opened(); line.readline(); finish('0', reason='abort'); time.sleep(60)"
        with pytest.raises(TrialError, match="ended request '0' with 'abort'"):
            ran(play(tmp_path, script))

    def test_prompts_that_cannot_fit(self, tmp_path: Path) -> None:
        session = play(tmp_path, "opened(); time.sleep(60)")
        long = Problem("long", "sums", "1 + " * 400 + "1", "401")
        with pytest.raises(TrialError, match="max_model_len 512"):
            session.run(Load((Request("long", long, 0, 0),), 1), lambda _: None, lambda _: None)
        session.close()


def test_the_first_error_of_vllms_processes_is_the_cause(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_text(
        "(Worker pid=7) ERROR 11-25 15:44:39 [multiproc_executor.py:953]     raise ValueError\n"
        "(Worker pid=7) ERROR 11-25 15:44:39 [multiproc_executor.py:953] ValueError: 8 bits\n"
        "RuntimeError: Engine core initialization failed. See root cause above.\n"
    )
    assert root_cause(log) == "ValueError: 8 bits"
    log.write_text("all is well\n")
    assert root_cause(log) is None


def served(session: Any, asked: Load) -> dict[str, Completion]:
    done: list[Completion] = []
    session.run(asked, done.append, lambda _: None)
    return {d.request_id: d for d in done}


@pytest.fixture(scope="module")
def session(tmp_path_factory: pytest.TempPathFactory) -> Iterator[VllmSession]:
    directory = tmp_path_factory.mktemp("vllm")
    session = VllmSession(VllmEngine(python=PYTHON), context({}, directory))
    yield session
    session.close()


@pytest.mark.extra
@pytest.mark.slow
@pytest.mark.skipif(not PYTHON, reason="ABLATE_TEST_VLLM names no interpreter with vLLM")
class TestVllm:
    def test_greedy_in_fp32_equals_the_in_process_engine(self, session: VllmSession) -> None:
        mine = LocalEngine(threads=1).open(context({}))
        expected, found = served(mine, load(8)), served(session, load(8))
        assert {k: d.text for k, d in found.items()} == {k: d.text for k, d in expected.items()}
        for key, done in found.items():
            assert done.output_tokens == expected[key].output_tokens
            assert done.finish_reason == expected[key].finish_reason
            assert list(done.token_times) == sorted(done.token_times)

    @pytest.mark.parametrize("arm", [{}, {"ngram": Ngram()}], ids=["plain", "drafts"])
    def test_stop_texts_end_an_output_where_the_in_process_engine_ends_it(
        self, tmp_path: Path, arm: Mapping[str, Plugin]
    ) -> None:
        asked = with_form(load(8), chat=False, stop=("</think>", " = 3"), max_tokens=40)
        expected = served(LocalEngine(threads=1).open(context({})), asked)
        drafting = VllmSession(VllmEngine(python=PYTHON), context(arm, tmp_path))
        try:
            found = served(drafting, asked)
        finally:
            drafting.close()
        assert {k: d.text for k, d in found.items()} == {k: d.text for k, d in expected.items()}
        assert "stop" in {d.finish_reason for d in expected.values()}
        for key, done in found.items():
            assert done.finish_reason == expected[key].finish_reason
            extra = done.output_tokens - expected[key].output_tokens
            assert 0 <= extra <= (4 if arm else 0)  # a step's other drafts come with the stop

    def test_what_it_says_of_itself(self, session: VllmSession) -> None:
        found = session.facts
        assert found.quantized == 0
        assert sum((found.linears or {}).values()) == 16
        assert found.settings["enable_prefix_caching"] is False
        stored = sum(f.stat().st_size for f in Path(MODEL.path).glob("*.safetensors"))
        assert stored * 2 * 0.95 < session.weight_bytes < stored * 2 * 1.3  # bf16 in the file
        assert session.cpu_seconds > 0
        assert session.info["dtype"] == "float32"

    def test_an_open_loop_keeps_its_schedule(self, session: VllmSession) -> None:
        done = served(session, load(8, concurrency=None, gap=0.05))
        for i in range(8):
            assert done[str(i)].arrival == pytest.approx(i * 0.05)
            assert done[str(i)].dispatched >= done[str(i)].arrival

    def test_telemetry(self, session: VllmSession) -> None:
        samples: list[Usage] = []
        counters = session.run(load(4), lambda _: None, samples.append)
        assert max(s.running for s in samples) > 0
        assert max(s.kv_tokens or 0 for s in samples) > 0
        assert counters["num_steps"] > 0

    def test_drafting_is_counted(self, tmp_path: Path) -> None:
        arm = {"ngram": Ngram()}
        session = VllmSession(VllmEngine(python=PYTHON), context(arm, tmp_path))
        try:
            counters = session.run(load(8), lambda _: None, lambda _: None)
            state = session.evidence_state("measured")
            assert counters["spec_num_drafts"] > 0
            assert ArmPlugins(arm).evidence(state)[0].applied
        finally:
            session.close()

    @pytest.mark.parametrize("kind", ["eagle3", "mtp"])
    def test_a_head_that_drafts_changes_no_answer(self, tmp_path: Path, kind: str) -> None:
        if kind == "eagle3":
            arm: Mapping[str, Plugin] = {kind: Eagle3(str(eagle_head(MODEL, tmp_path / "head")))}
            model = MODEL
        else:
            arm, model = {kind: Mtp()}, with_mtp(MODEL, tmp_path / "model")
        opened = replace(context(arm, tmp_path), model=replace(model, dtype="float32"))
        session = VllmSession(VllmEngine(python=PYTHON), opened)
        try:
            found = served(session, load(8))
            evidence = ArmPlugins(arm).evidence(session.evidence_state("measured"))[0]
        finally:
            session.close()
        expected = served(LocalEngine(threads=1).open(context({})), load(8))
        assert {k: d.text for k, d in found.items()} == {k: d.text for k, d in expected.items()}
        assert evidence.applied
        assert not VllmEngine(python=PYTHON).problems(
            ArmPlugins(arm).engine_args("vllm", model)[kind] or {}
        )

    def test_an_engine_that_dies_or_hangs(self, tmp_path: Path) -> None:
        options = VllmEngine(python=PYTHON, stall_timeout=3.0)
        for number, kind in ((signal.SIGSTOP, "timeout"), (signal.SIGKILL, "error")):
            session = VllmSession(options, context({}, tmp_path))
            threading.Timer(0.2, hit, (session, number)).start()
            with pytest.raises(TrialError) as caught:
                keep_serving(session)
            assert caught.value.kind in (kind, "out_of_memory")
            tree = session._service.tree
            session.close()
            assert not [p for p in tree if p.is_running() and p.status() != psutil.STATUS_ZOMBIE]


def keep_serving(session: VllmSession) -> None:
    for _ in range(100):
        session.run(load(32, concurrency=32), lambda _: None, lambda _: None)


def hit(session: VllmSession, number: signal.Signals) -> None:
    """Send a signal to vLLM's engine process."""
    for _ in range(100):
        for process in session._service.tree:
            if "EngineCore" in "".join(process.cmdline()) or "EngineCore" in process.name():
                process.send_signal(number)
                return
        time.sleep(0.05)
