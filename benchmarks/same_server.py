"""One vLLM server as ``engine: server``, ``vllm bench serve`` and lm-eval measure it.

The same prompts, greedy in fp32, at the same concurrency, the clients taking turns. Prints the
ratios of throughput and latencies with their 95 % intervals, each domain's accuracy as ablate and
as lm-eval give it, and on how many problems they agree. On two cores nothing else may run.

``python -m benchmarks.same_server --python PYTHON_WITH_VLLM --lm-eval /path/to/lm-eval``
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import tempfile
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from contextlib import closing
from pathlib import Path

from ablate.domains.algebra import Algebra
from ablate.domains.arithmetic import Arithmetic
from ablate.domains.base import Domain
from ablate.domains.code import Code
from ablate.domains.sorting import Sorting
from ablate.engines.base import EngineContext, Session
from ablate.engines.server import ServerEngine
from ablate.engines.server.process import free_port
from ablate.engines.text import Codebook
from ablate.models import ModelConfig, resolve_model
from ablate.plugins import ArmPlugins
from ablate.types import Completion, Load, Problem, Request, Sampling
from ablate_vllm.baseline import PYTHONPATH
from benchmarks.polling import give_way
from benchmarks.ratios import print_ratios

MAX_TOKENS = 512
KINDS: Mapping[str, type[Domain]] = {
    "arithmetic": Arithmetic,
    "algebra": Algebra,
    "code": Code,
    "sorting": Sorting,
}
# the text after the reasoning; products are worked out to a fixed width, so zeros may lead
VISIBLE = r"(?s)</think>\s*0*(\S.*?)\s*$"
TASK = """\
task: ablate_{name}
dataset_path: json
dataset_kwargs: {{data_files: {{test: {file}}}}}
test_split: test
output_type: generate_until
doc_to_text: "{{{{prompt}}}}"
doc_to_target: "{{{{reference}}}}"
generation_kwargs: {{until: ["<|never|>"], max_gen_toks: {tokens}, do_sample: false}}
filter_list:
  - name: visible
    filter: [{{function: regex, regex_pattern: {pattern}}}, {{function: take_first}}]
metric_list: [{{metric: exact_match, aggregation: mean, higher_is_better: true}}]
"""
Speeds = dict[str, float]


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--python", required=True, help="an interpreter that has vLLM")
    parser.add_argument("--lm-eval", help="the command lm-eval")
    parser.add_argument("--problems", type=int, default=50, help="of each domain")
    parser.add_argument("--concurrency", type=int, default=8)
    parser.add_argument("--pairs", type=int, default=5)
    parser.add_argument("--give-way", action="store_true", help="vLLM's polling processes do")
    options = parser.parse_args()
    spec = resolve_model(ModelConfig("tiny-reasoner", dtype="float32"))
    domains = {name: kind(limit=options.problems) for name, kind in KINDS.items()}
    problems = [p for domain in domains.values() for p in domain.problems()]
    load = Load(
        tuple(Request(f"{p.domain}/{p.id}", p, 0, 0) for p in problems), options.concurrency
    )
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        port = free_port()
        engine = ServerEngine(
            launch="vllm", python=options.python, port=port, args={"max_model_len": 1024}
        )
        sampling = Sampling(max_tokens=MAX_TOKENS)
        context = EngineContext(spec, ArmPlugins({}), sampling, options.concurrency, folder)
        with closing(engine.open(context)) as session:
            url, codebook = f"http://127.0.0.1:{port}", Codebook(spec)
            bench = Bench(options.python, url, spec.path, folder, options.concurrency)
            bench.prompts([codebook.rendered(p) for p in problems])
            serve(session, load)  # a warm-up, as vllm bench has one
            if options.give_way and not give_way():
                raise RuntimeError("no process of vLLM's was found that polls")
            done = compare(session, load, bench, options.pairs)
            if options.lm_eval:
                judged = lm_eval(options.lm_eval, bench, domains, codebook)
                print_accuracy(domains, done, judged)


def compare(session: Session, load: Load, bench: Bench, pairs: int) -> Sequence[Completion]:
    found: dict[str, list[tuple[float, float]]] = defaultdict(list)
    done: Sequence[Completion] = ()
    for turn in range(pairs):
        if turn % 2:
            theirs = bench.run()
            done = serve(session, load)
        else:
            done = serve(session, load)
            theirs = bench.run()
        mine = speeds(done)
        for name, value in mine.items():
            found[name].append((value, theirs[name]))
        print(f"pair {turn}: ablate {mine['output_throughput']:,.0f} tok/s, "
              f"vllm bench serve {theirs['output_throughput']:,.0f} tok/s")  # fmt: skip
    for name, values in found.items():
        print_ratios(f"{name}, ablate / vllm bench serve", values)
    return done


def serve(session: Session, load: Load) -> list[Completion]:
    done: list[Completion] = []
    session.run(load, done.append, lambda _: None)
    return done


def speeds(done: Sequence[Completion]) -> Speeds:
    """By vLLM's names and definitions."""
    seconds = max(c.finished for c in done)
    several = [c for c in done if c.output_tokens > 1]
    first = [c.token_times[0] - c.arrival for c in done]
    tpot = [(c.token_times[-1] - c.token_times[0]) / (c.output_tokens - 1) for c in several]
    return {
        "total_output_tokens": sum(c.output_tokens for c in done),
        "output_throughput": sum(c.output_tokens for c in done) / seconds,
        "mean_ttft_ms": 1e3 * sum(first) / len(first),
        "mean_tpot_ms": 1e3 * sum(tpot) / len(tpot),
    }


class Bench:
    """``vllm bench serve`` and what it needs."""

    def __init__(self, python: str, url: str, model: str, folder: Path, concurrency: int) -> None:
        self.url, self.model, self.folder, self.concurrency = url, model, folder, concurrency
        self._python = python
        self._n = 0

    def prompts(self, texts: Sequence[str]) -> None:
        lines = [json.dumps({"prompt": text}) + "\n" for text in texts]
        (self.folder / "prompts.jsonl").write_text("".join(lines), encoding="utf-8")
        self._n = len(texts)

    def run(self) -> Speeds:
        out = self.folder / "bench.json"
        command = [
            self._python, "-m", "vllm.entrypoints.cli.main", "bench", "serve",
            "--backend", "openai", "--base-url", self.url, "--endpoint", "/v1/completions",
            "--model", self.model, "--tokenizer", self.model,
            "--dataset-name", "custom", "--dataset-path", str(self.folder / "prompts.jsonl"),
            "--skip-chat-template", "--custom-output-len", str(MAX_TOKENS),
            "--num-prompts", str(self._n), "--max-concurrency", str(self.concurrency),
            "--temperature", "0", "--disable-tqdm", "--save-result",
            "--result-dir", str(self.folder), "--result-filename", out.name,
        ]  # fmt: skip
        log = self.folder / "bench.log"
        run(command, log)
        result = json.loads(out.read_text(encoding="utf-8"))
        if result["completed"] != self._n:  # it exits with 0 even if all of them failed
            raise RuntimeError(f"{result['completed']} of {self._n} requests: {log.read_text()}")
        names = ("total_output_tokens", "output_throughput", "mean_ttft_ms", "mean_tpot_ms")
        return {name: float(result[name]) for name in names}


def run(command: Sequence[str], log: Path) -> None:
    path = {"PYTHONPATH": PYTHONPATH} if "vllm.entrypoints.cli.main" in command else {}
    env = {**os.environ, "HF_HUB_OFFLINE": "1", **path}
    with log.open("wb") as output:
        done = subprocess.run(command, env=env, stdout=output, stderr=output, check=False)  # noqa: S603 - the user's
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)}:\n{log.read_text()[-3000:]}")


def lm_eval(
    command: str, bench: Bench, domains: Mapping[str, Domain], codebook: Codebook
) -> dict[str, bool]:
    """Each problem's verdict by lm-eval, on what the server answers it."""
    tasks, out = bench.folder / "tasks", bench.folder / "lm_eval"
    tasks.mkdir()
    for name, domain in domains.items():
        file = bench.folder / f"{name}.jsonl"
        rows = [_row(p, codebook) for p in domain.problems()]
        file.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
        text = TASK.format(name=name, file=file, tokens=MAX_TOKENS, pattern=json.dumps(VISIBLE))
        (tasks / f"{name}.yaml").write_text(text, encoding="utf-8")
    settings = {
        "model": bench.model,
        "base_url": f"{bench.url}/v1/completions",
        "num_concurrent": bench.concurrency,
        "tokenized_requests": False,
        "tokenizer_backend": "None",
        "max_retries": 1,
    }
    asked = [
        command, "run", "--model", "local-completions",
        "--model_args", ",".join(f"{k}={v}" for k, v in settings.items()),
        "--tasks", ",".join(f"ablate_{name}" for name in domains),
        "--include_path", str(tasks), "--output_path", str(out), "--log_samples",
    ]  # fmt: skip
    run(asked, bench.folder / "lm_eval.log")
    verdicts: dict[str, bool] = {}
    for file in out.rglob("samples_*.jsonl"):
        for line in file.read_text(encoding="utf-8").splitlines():
            sample = json.loads(line)
            verdicts[sample["doc"]["id"]] = bool(sample["exact_match"])
    return verdicts


def _row(problem: Problem, codebook: Codebook) -> dict[str, str]:
    prompt = codebook.rendered(problem)
    return {
        "id": f"{problem.domain}/{problem.id}",
        "prompt": prompt,
        "reference": problem.reference,
    }


def print_accuracy(
    domains: Mapping[str, Domain], done: Sequence[Completion], judged: Mapping[str, bool]
) -> None:
    answers = {c.request_id: c for c in done}
    print(f"{'domain':12} {'n':>4} {'ablate':>7} {'lm-eval':>7} {'agree':>6}")
    for name, domain in domains.items():
        counts: Counter[str] = Counter()
        for problem in domain.problems():
            key = f"{name}/{problem.id}"
            answer = answers[key]
            grade = domain.grade(problem, answer.text, answer.finish_reason)
            mine, other = grade.outcome == "correct", judged[key]
            counts.update(n=1, mine=mine, other=other, agree=mine == other)
        n = counts["n"]
        shares = [100 * counts[who] / n for who in ("mine", "other")]
        print(f"{name:12} {n:4} {shares[0]:7.1f} {shares[1]:7.1f} {counts['agree']:3}/{n}")


if __name__ == "__main__":
    main()
