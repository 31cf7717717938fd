"""Engines: what is served, timed and counted, and that nothing is left behind."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import psutil

from ablate.engines.base import CAPABILITIES, Engine, EngineContext, Session
from ablate.hookspecs import HOOKS
from ablate.testing import options
from ablate.testing.engine import counting, hooks, timing
from ablate.testing.findings import Finding, bad, guarded, judged, said
from ablate.testing.serving import context_of, workplace

PATIENCE = 5.0  # s in which a process that was told to end is gone
TEMPLATE = "<<{{ messages[0].content }}>>"


def examine(engine: Engine, model: Path | None) -> list[Finding]:
    """What ``check_engine`` looks at."""
    found = [
        *guarded("options", options.examine, engine),
        *guarded("declared", _declared, engine),
    ]
    with workplace(model) as (folder, logs):
        if model is None:  # so that a chat can be told from bare text
            (folder / "chat_template.jinja").write_text(TEMPLATE, encoding="utf-8")
        found += _served(engine, context_of(folder, logs))
        found += guarded("hooks", hooks.examine, engine, folder, logs)
    return found


def _declared(engine: Engine) -> Iterator[Finding]:
    strange = sorted(engine.calls - set(HOOKS))
    problems = [f"calls should name hooks, and {strange} are none"] if strange else []
    unknown = sorted(engine.capabilities - CAPABILITIES)
    if unknown:
        problems.append(f"capabilities should be of {sorted(CAPABILITIES)}, and {unknown} are not")
    if "ablate_engine_args" in engine.calls and not engine.backends:
        problems.append("an engine that asks for ablate_engine_args should name its backends")
    yield from judged("declared", problems, f"calls {', '.join(sorted(engine.calls))}")


def _served(engine: Engine, context: EngineContext) -> list[Finding]:
    before = _children()
    try:
        session = engine.open(context)
    except Exception as error:  # an engine can fail in any way
        return [bad("open", f"should open on {context.model.path}, and raised {said(error)}")]
    found: list[Finding] = []
    try:
        for name, look in {
            "says": _says,
            "closed loop": timing.closed_loop,
            "open loop": timing.open_loop,
        }.items():
            found += guarded(name, look, session)
        found += guarded("evidence state", _state, engine, session)
        for name, count in {"tokens": counting.tokens, "ends": counting.ends}.items():
            found += guarded(name, count, session, context)
    finally:
        found += guarded("close", _closed, session, before)
    return found


def _says(session: Session) -> Iterator[Finding]:
    problems = []
    if session.weight_bytes is not None and session.weight_bytes <= 0:
        problems.append(
            f"weight_bytes should be more than 0 or None, and is {session.weight_bytes}"
        )
    if not all(isinstance(text, str) for pair in session.info.items() for text in pair):
        problems.append(f"info should have texts alone, and is {session.info}")
    for name in ("cpu_seconds", "peak_rss_bytes"):
        value = getattr(session, name)
        if value is not None and value < 0:
            problems.append(f"{name} should not be less than 0, and is {value}")
    yield from judged("says", problems, ", ".join(f"{k} {v}" for k, v in session.info.items()))


def _state(engine: Engine, session: Session) -> Iterator[Finding]:
    problems = []
    for stage in ("warmup", "measured"):
        state = session.evidence_state(stage)
        if state.stage != stage:
            problems.append(f"stage should be {stage!r}, and is {state.stage!r}")
        if "ablate_setup_cache" in engine.calls and state.engine != "local":
            problems.append(f"engine should be 'local', and is {state.engine!r}")
        wanted = _components(engine)
        lacking = sorted(wanted - set(state.components))
        if lacking:
            problems.append(f"components should have {sorted(wanted)}, and lack {lacking}")
        if not all(isinstance(v, (int, float)) for v in state.counters.values()):
            problems.append(f"counters should be numbers, and are {state.counters}")
    yield from judged("evidence state", dict.fromkeys(problems), "has both stages")


def _components(engine: Engine) -> set[str]:
    if "ablate_engine_args" in engine.calls:
        return {"facts"}
    names = {
        "ablate_load_model": "model",
        "ablate_setup_cache": "cache",
        "ablate_decode_step": "step",
        "ablate_schedule": "scheduler",
    }
    return {names[hook] for hook in engine.calls if hook in names}


def _closed(session: Session, before: set[int]) -> Iterator[Finding]:
    session.close()
    deadline = time.monotonic() + PATIENCE
    while (left := _children() - before) and time.monotonic() < deadline:
        time.sleep(0.05)
    names = [f"{_name(pid)} ({pid})" for pid in sorted(left)]
    problems = [f"should leave no process, and left {', '.join(names)}"] if left else []
    yield from judged("close", problems, "no process is left")


def _children() -> set[int]:
    """Processes below this one, but for what Python keeps to clean up after others."""
    return {p.pid for p in psutil.Process().children(recursive=True) if _counts(p)}


def _counts(process: psutil.Process) -> bool:
    try:
        ended = process.status() == psutil.STATUS_ZOMBIE
        return not ended and "resource_tracker" not in " ".join(process.cmdline())
    except psutil.Error:  # it ended meanwhile
        return False


def _name(pid: int) -> str:
    try:
        words: Sequence[str] = psutil.Process(pid).cmdline()
    except psutil.Error:
        return "ended meanwhile"
    return " ".join(words)[:80]
