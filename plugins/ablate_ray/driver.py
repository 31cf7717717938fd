"""Where ``ablate run`` was called: checks nodes, hands out trials, and writes what they send."""

from __future__ import annotations

import platform
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from ablate.errors import RecipeError
from ablate.planning import Plan, TrialPlan
from ablate.recipe import resolved_yaml
from ablate.running.executor import begin
from ablate.running.progress import Display
from ablate.store import (
    COMPLETIONS,
    RECORDS,
    RunDir,
    TrialDir,
    from_json,
    to_json,
    write_atomically,
)
from ablate.types import TrialResult
from ablate_ray.checks import Probe, complaints, doubts
from ablate_ray.cluster import Cluster, Task, TaskLostError
from ablate_ray.node import distributions
from ablate_ray.placing import Demand, Node, demand
from ablate_ray.sizes import gpus_wanted

ANSWER = 120.0  # s that nodes have to say what they are
PATIENCE = 10.0  # s of silence after which we look whether there are still nodes for all trials


class Driver:
    """Runs trials on a cluster."""

    def __init__(self, cluster: Cluster, plan: Plan, todo: Sequence[TrialPlan]) -> None:
        self._cluster = cluster
        self._recipe = resolved_yaml(plan.recipe)
        self._todo = todo
        self._demands: dict[str, Demand] = {}
        self._nodes: dict[str, Node] = {}

    def prepare(self, cpus: int | None, gpus: int | None, warn: Callable[[str], None]) -> None:
        """Find room for every trial, and nodes that are fit for them.

        Raises AblateError if there is none.
        """
        nodes = self._cluster.nodes()
        for arm in {t.arm.info.id: t.arm for t in self._todo}.values():
            wanted = gpus_wanted(arm) if gpus is None else gpus
            self._demands[arm.info.id] = demand(nodes, cpus, wanted)
        demands = list(dict.fromkeys(self._demands.values()))
        used = [n for n in nodes if any(d.fits(n) for d in demands)]
        probes = self._probe(used)
        if not set(used) <= set(self._cluster.nodes()):
            self.prepare(cpus, gpus, warn)  # some had just gone, and their answers say nothing
            return
        problems = complaints(probes, distributions(), platform.python_version())
        if problems:
            raise RecipeError(problems)
        for doubt in doubts(nodes, probes, demands):
            warn(doubt)
        self._nodes = {n.id: n for n in nodes}

    def run(self, directory: RunDir, shown: Display) -> None:
        """Run every trial to its end; an interrupt ends those that run."""
        running: dict[Task, _Running] = {}
        try:
            for trial in self._todo:
                one = _Running(trial, directory, shown)
                running[self._cluster.start(one.job(self._recipe), self._demands[one.arm])] = one
            while running:
                ready = self._cluster.ready(running, PATIENCE)
                for task in ready:
                    if self._go_on(task, running[task]):
                        del running[task]
                if not ready:
                    self._give_up_stranded(running)
        finally:
            self._cluster.cancel(running)

    def _go_on(self, task: Task, one: _Running) -> bool:
        """Take a task's next message; whether it was the last one."""
        try:
            message = self._cluster.receive(task)
        except TaskLostError as error:
            one.failed(error.kind, f"lost with its node or its worker: {error}")
            return True
        if message is None:
            return True
        if "node" in message:
            one.starts_on(self._node(message["node"]))
        if "gained" in message:
            one.gained(message["gained"])
        if "result" in message:
            one.ended(from_json(TrialResult, message["result"]))
        if "exit" in message and not one.over:
            said = "\n".join(message["said"])
            kind = "killed" if message["exit"] < 0 else "error"
            one.failed(kind, f"ablate_ray.node ended with exit code {message['exit']}\n{said}")
        return False

    def _give_up_stranded(self, running: dict[Task, _Running]) -> None:
        """Fail trials that wait for a node of a size that is no longer there."""
        nodes = self._cluster.nodes()
        for task, one in list(running.items()):
            wanted = self._demands[one.arm]
            if one.node is None and not any(wanted.fits(n) for n in nodes):
                self._cluster.cancel([task])
                one.failed("killed", f"no node is left that could hold it: it takes {wanted}")
                del running[task]

    def _node(self, identity: str) -> Node:
        if identity not in self._nodes:  # it has joined since
            self._nodes.update({n.id: n for n in self._cluster.nodes()})
        return self._nodes.get(identity) or Node(identity, "a node that has gone", 0)

    def _probe(self, nodes: Sequence[Node]) -> dict[Node, Probe]:
        job = {"what": "probe", "recipe": self._recipe}
        waiting = {self._cluster.probe(job, node): node for node in nodes}
        probes = {node: Probe(error=f"did not answer within {ANSWER:g} s") for node in nodes}
        deadline = time.monotonic() + ANSWER
        while waiting and (seconds := deadline - time.monotonic()) > 0:
            for task in self._cluster.ready(waiting, seconds):
                probe, over = self._answer(task)
                probes[waiting[task]] = probe or probes[waiting[task]]
                if over:
                    del waiting[task]
        self._cluster.cancel(waiting)
        return probes

    def _answer(self, task: Task) -> tuple[Probe | None, bool]:
        """A node's answer if it is there, and whether its task is over."""
        try:
            message = self._cluster.receive(task)
        except TaskLostError as error:
            return Probe(error=str(error)), True
        if message is None:
            return None, True
        if message.get("exit"):
            last = message["said"][-1] if message["said"] else f"exit code {message['exit']}"
            return Probe(error=f"cannot run ablate with the plugin ray: {last}"), False
        return Probe(**message["probe"]) if "probe" in message else None, False


class _Running:
    """A trial that waits or runs, and its files."""

    def __init__(self, trial: TrialPlan, directory: RunDir, shown: Display) -> None:
        self.arm, self.block = trial.arm.info.id, trial.block
        self.node: Node | None = None
        self.over = False
        self._files, self._requests = begin(directory, trial)
        self._shown = shown

    def job(self, recipe: str) -> Mapping[str, Any]:
        """What the node is told; it goes on where an earlier try ended."""
        kept = {
            RECORDS: "".join(f"{to_json(record)}\n" for record in self._files.records()),
            COMPLETIONS: "".join(f"{to_json(one)}\n" for one in self._files.ungraded()),
        }
        _prepare(self._files, kept)
        return {
            "what": "trial",
            "recipe": recipe,
            "arm": self.arm,
            "block": self.block,
            "kept": kept,
        }

    def starts_on(self, node: Node) -> None:
        self.node = node
        self._shown.started(self.arm, self.block, self._requests)

    def gained(self, texts: Mapping[str, str]) -> None:
        for name, text in texts.items():
            with (self._files.path / name).open("a", encoding="utf-8") as stream:
                stream.write(text)

    def failed(self, kind: str, message: str) -> None:
        if not self.over:
            self.ended(TrialResult(self.arm, self.block, "failed", kind=kind, message=message))

    def ended(self, result: TrialResult) -> None:
        self.over = True
        where = {"node": self.node.host, "node_id": self.node.id} if self.node else {}
        if self.node and self.node.accelerator:
            where["node_accelerator"] = self.node.accelerator
        result = replace(result, info={**result.info, **where})
        self._files.write_result(result)
        self._shown.ended(result)


def _prepare(files: TrialDir, kept: Mapping[str, str]) -> None:
    files.path.mkdir(parents=True, exist_ok=True)
    for name, text in kept.items():
        write_atomically(files.path / name, text)
    files.log.unlink(missing_ok=True)
