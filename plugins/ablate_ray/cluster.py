"""The part that talks to Ray. Between its processes Ray sends pickles; ours hold texts alone."""

from __future__ import annotations

import json
import logging
import os
import socket
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import Any

import ray
from ray import exceptions
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from ablate.errors import AblateError
from ablate_ray.placing import Demand, Node

Task = Any
"""A started task: a generator of references to the messages that it sends. Ray has no types."""

REACHABLE = 10.0  # s
ACCELERATOR = "accelerator_type:"


class TaskLostError(Exception):
    """A task did not come to its end. ``kind`` is the failure as results name it."""

    def __init__(self, kind: str, message: str) -> None:
        super().__init__(message)
        self.kind = kind


class Cluster:
    """A connection to a running cluster."""

    def nodes(self) -> list[Node]:
        """The nodes that are alive."""
        return [_node(n) for n in ray.nodes() if n["Alive"]]

    def probe(self, job: Mapping[str, Any], node: Node) -> Task:
        """Start a job on a node, whatever else runs there."""
        strategy = NodeAffinitySchedulingStrategy(node.id, soft=False)
        return _start(job, num_cpus=0, scheduling_strategy=strategy)

    def start(self, job: Mapping[str, Any], demand: Demand) -> Task:
        """Start a job on whichever node has room for it, as soon as one has."""
        gpus = {"num_gpus": demand.gpus} if demand.gpus else {}
        return _start(job, num_cpus=demand.cpus, scheduling_strategy="SPREAD", **gpus)

    def ready(self, tasks: Iterable[Task], seconds: float) -> Sequence[Task]:
        """Tasks that have sent something or ended, waiting for one at most so long."""
        waiting = list(tasks)
        done, _ = ray.wait(waiting, num_returns=1, timeout=seconds, fetch_local=False)
        return list(done)

    def receive(self, task: Task) -> dict[str, Any] | None:
        """A ready task's next message, None at its end. Raises TaskLostError."""
        try:
            message: dict[str, Any] = json.loads(ray.get(next(task)))
        except StopIteration:
            return None
        except exceptions.RayError as error:
            raise TaskLostError(_kind(error), _first_line(error)) from None
        return message

    def cancel(self, tasks: Iterable[Task]) -> None:
        """End tasks with all that they have started, or take them off the queue."""
        for task in tasks:
            with suppress(exceptions.RayError):
                ray.cancel(task, force=True)


@contextmanager
def connected(address: str) -> Iterator[Cluster]:
    """A connection while the context is open. Raises AblateError if there is no cluster."""
    try:
        _knock(os.environ.get("RAY_ADDRESS", address) if address == "auto" else address)
        ray.init(address=address, log_to_driver=False, logging_level=logging.CRITICAL)
    except (OSError, RuntimeError, ValueError, AssertionError) as error:
        raise AblateError(
            f"executor: there is no Ray cluster at address {address!r} that this machine is a "
            "node of. Start one with `ray start --head`, join it from other machines with "
            "`ray start --address=HEAD:6379`, and run ablate on one of its nodes "
            f"({_first_line(error)})"
        ) from None
    try:
        yield Cluster()
    finally:
        ray.shutdown()


def _knock(address: str) -> None:
    """Raise OSError if nobody answers at an address; Ray itself would try for minutes."""
    host, colon, port = address.rpartition(":")
    if colon and port.isdecimal():
        socket.create_connection((host.strip("[]"), int(port)), timeout=REACHABLE).close()


def _start(job: Mapping[str, Any], **options: Any) -> Task:
    # Ray would run a lost task again beside the others, and nobody would know
    remote = ray.remote(_on_node()).options(num_returns="streaming", max_retries=0, **options)
    return remote.remote(json.dumps(job))


def _on_node() -> Callable[[str], Iterator[str]]:
    """What Ray runs on a node: a process of its own for ``ablate_ray.node``, so that a trial finds
    there what it finds without Ray.

    A function within a function is sent whole: it says in words if ablate is not installed.
    """

    def run(job: str) -> Iterator[str]:
        import json
        import subprocess
        import sys
        import tempfile

        import ray

        yield json.dumps({"node": ray.get_runtime_context().get_node_id()})
        with tempfile.NamedTemporaryFile() as order, tempfile.TemporaryFile() as errors:
            order.write(job.encode())
            order.flush()
            process = subprocess.Popen(  # noqa: S603 - our own module
                [sys.executable, "-P", "-m", "ablate_ray.node", order.name],
                stdin=subprocess.PIPE,  # nothing is sent: when it closes, the process ends
                stdout=subprocess.PIPE,
                stderr=errors,
                start_new_session=True,
            )
            with process:
                for line in process.stdout or ():
                    yield line.decode()
                code = process.wait()
            errors.seek(0)
            lines = errors.read().decode(errors="replace").splitlines()
        yield json.dumps({"exit": code, "said": lines[-12:]})

    return run


def _node(found: Mapping[str, Any]) -> Node:
    resources = found["Resources"]
    kinds = [k.removeprefix(ACCELERATOR) for k in resources if k.startswith(ACCELERATOR)]
    return Node(
        id=found["NodeID"],
        host=found["NodeManagerHostname"],
        cpus=resources.get("CPU", 0.0),
        gpus=resources.get("GPU", 0.0),
        accelerator=", ".join(sorted(kinds)),
    )


def _kind(error: Exception) -> str:
    if isinstance(error, exceptions.OutOfMemoryError):
        return "out_of_memory"
    return "error" if isinstance(error, exceptions.RayTaskError) else "killed"


def _first_line(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return lines[0] if lines else type(error).__name__
