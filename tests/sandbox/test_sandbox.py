"""Programs that mean well, what is said of those that fail, and where code is not run at all."""

from __future__ import annotations

import os
import shutil
import struct
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from ablate.sandbox import (
    Limits,
    SandboxError,
    run_calls,
    run_inputs,
    run_tests,
    seccomp,
    starting,
    unavailable,
)

ROOT = Path(__file__).parents[2]
LIMITS = Limits(cpu=2, wall=30)
needs_sandbox = pytest.mark.skipif(unavailable() is not None, reason=str(unavailable()))

GOOD = {
    "plain": ("def f(x): return x + 1", "assert f(1) == 2"),
    "a check function": ("def f(x): return x", "def check(c):\n    assert c(1) == 1\ncheck(f)"),
    "printing": ("print('x' * 10**6)", "print('y')"),
    "dataclasses": (
        "from __future__ import annotations\nfrom dataclasses import dataclass\n"
        "@dataclass\nclass P:\n    x: int = 0",
        "assert P(1) == P(1)",
    ),
    "asyncio": (
        "import asyncio\nasync def f(): return 1",
        "assert asyncio.run(f()) == 1",
    ),
    "threads": (
        "from concurrent.futures import ThreadPoolExecutor as Pool\n"
        "def f(): return list(Pool(8).map(str, range(9)))",
        "assert f()[8] == '8'",
    ),
    "decimal's context": (
        "import decimal\ndecimal.getcontext().prec = 3",
        "assert decimal.Decimal(1) / 3 == decimal.Decimal('0.333')",
    ),
    "deep recursion": (
        "import sys\nsys.setrecursionlimit(30000)\ndef f(n): return n and 1 + f(n - 1)",
        "assert f(20000) == 20000",
    ),
    "temporary files": (
        "import tempfile\nfile = tempfile.TemporaryFile()",
        "assert file.write(b'x') == 1",
    ),
    "the standard library": (
        "import hashlib, zlib, re, heapq, statistics, typing, collections, fractions, random",
        "assert hashlib.md5(b'').hexdigest()[:2] == 'd4'",
    ),
    "a trial run of its own": ("if __name__ == '__main__': raise SystemExit(1)", "pass"),
    "no terminal": ("try: input()\nexcept EOFError: x = 1", "assert x"),
    "set order": ("x = ''.join({'a', 'b', 'c', 'd', 'e'})", "assert sorted(x) == [*'abcde']"),
}


@needs_sandbox
@pytest.mark.parametrize("name", GOOD)
def test_a_good_program_passes(name: str) -> None:
    assert run_tests(*GOOD[name], LIMITS).detail == ""
    assert run_tests(GOOD[name][0], f"{GOOD[name][1]}\nassert False", LIMITS).status == "failed"


@needs_sandbox
@pytest.mark.parametrize(
    ("program", "tests", "detail"),
    [
        ("x = 1", "assert x\nassert x == 2, 'two'", "AssertionError: two (line 2 of the tests)"),
        ("\ndef f(): return 1 / 0", "f()", "ZeroDivisionError: division by zero (line 1 of the"),
        ("x = (", "", "SyntaxError: '(' was never closed (<program>, line 1)"),
        ("x = '\0'", "", "source code string cannot contain null bytes"),
        ("import nothing", "", "No module named 'nothing' (line 1 of the program)"),
        ("raise ValueError('\\n' + 'x' * 10**7)", "", "ValueError"),
        ("raise KeyError", "", "KeyError (line 1 of the program)"),
        ("import os\nos.kill(os.getpid(), 11)", "", "(killed by SIGSEGV)"),
        ("import os\nos._exit(3)", "", "ended before the tests did (exit code 3)"),
    ],
)
def test_why_a_program_failed_is_told_briefly(program: str, tests: str, detail: str) -> None:
    ran = run_tests(program, tests, LIMITS)
    assert ran.status == "failed"
    assert detail in ran.detail
    assert len(ran.detail) < 400


@needs_sandbox
def test_a_program_that_sleeps_is_told_from_one_that_computes() -> None:
    asleep = run_tests("import time\ntime.sleep(9)", "", Limits(wall=0.8))
    assert (asleep.status, asleep.detail) == ("out_of_wall_time", "out of wall time")


@needs_sandbox
def test_a_program_reads_and_prints() -> None:
    program = "import sys\nn = int(input())\nprint(n * 2, *sys.stdin)\nexit()"
    ran = run_inputs(program, ["1\na\nb", "2", "x", "4"], LIMITS)
    assert [one.output for one in ran[:2]] == ["2 a\n b\n", "4\n"]
    assert [one.status for one in ran] == ["passed", "passed", "failed"]
    assert "invalid literal for int()" in ran[2].detail


@needs_sandbox
def test_inputs_do_not_see_each_other() -> None:
    program = "import os\nprint(os.path.exists('/tmp/x'))\nopen('/tmp/x', 'w')\nx = x0 = 1"
    (first, _) = run_inputs(program, ["", ""], LIMITS, "x0 = 0")
    assert first.output == "False\n"
    ran = run_inputs("x0 += 1\nprint(x0)", ["", ""], LIMITS, "x0 = 0")
    assert [one.output for one in ran] == ["1\n", "1\n"]


@needs_sandbox
@pytest.mark.parametrize("printed", ["'x' * 2000", "'x' * 2000, flush=True"])
def test_output_has_an_end(printed: str) -> None:
    (ran,) = run_inputs(f"print({printed})", [""], Limits(output=1000))
    assert ran.status == "failed"
    assert "File too large" in ran.detail
    assert len(ran.output) <= 1000
    assert run_inputs("print('x' * 999)", [""], Limits(output=1000))[0].passed


@needs_sandbox
@pytest.mark.parametrize(
    ("body", "output"),
    [
        ("return a + b", "3"),
        ("return (a, [b])", "[1, [2]]"),
        ("return [(a, b)]", '[{"not JSON": "tuple"}]'),
        ("return {a}", '{"not JSON": "set"}'),
        ("return {a: b}", '{"not JSON": "dict"}'),
        ("return {'a': None, 'b': [True, 1.5]}", '{"a": null, "b": [true, 1.5]}'),
        ("print('x'); return 'y'", '"y"'),
    ],
)
def test_a_function_is_called(body: str, output: str) -> None:
    for program in (
        f"def f(a, b):\n    {body}",
        f"class Solution:\n  def f(self, a, b):\n    {body}",
    ):
        assert run_calls(program, "f", ["1\n2"], LIMITS)[0].output == output


@needs_sandbox
def test_calls_stop_where_one_fails() -> None:
    program = "class Solution:\n  def f(self, a):\n    if a == 3: raise KeyError\n    return a"
    ran = run_calls(program, "f", ["1", "2", "3", "4"], LIMITS)
    assert [one.status for one in ran] == ["passed", "passed", "failed"]
    assert "KeyError" in ran[2].detail
    (lost,) = run_calls("def g(): pass", "f", ["1"], LIMITS)
    assert lost.detail == "KeyError: 'f'"
    slow = run_calls("def f(a):\n while a == 2: pass", "f", ["1", "2"], Limits(cpu=0))  # up to 1 s
    assert [one.status for one in slow] == ["passed", "out_of_cpu_time"]


@needs_sandbox
def test_the_report_is_out_of_a_programs_reach() -> None:
    forged = "import os\nfor fd in range(2, 200):\n try: os.write(fd, b'x')\n except OSError: pass"
    (ran,) = run_inputs(f"{forged}\nos._exit(1)", [""], LIMITS)
    assert (ran.status, ran.detail) == ("failed", "xx"[:1])


def test_the_filter_of_system_calls_is_well_formed() -> None:
    for machine in ("x86_64", "aarch64"):
        rules = seccomp.program(machine) or b""
        steps = [struct.unpack_from("=HBBI", rules, at) for at in range(0, len(rules), 8)]
        for place, (code, yes, no, _) in enumerate(steps):
            if code in (seccomp.EQUAL, seccomp.AT_LEAST):
                assert place + 1 + max(yes, no) < len(steps)
        assert [step[3] for step in steps[-2:]] == [seccomp.ALLOW, seccomp.REFUSE]
        targets = {
            place + 1 + step[1] for place, step in enumerate(steps) if step[0] == seccomp.EQUAL
        }
        assert targets == {3, len(steps) - 1}
    assert seccomp.program("riscv64") is None


@pytest.fixture
def no_bubblewrap(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv(starting.ALLOW, raising=False)
    starting.no_sandbox.cache_clear()
    yield
    starting.no_sandbox.cache_clear()


def test_without_bubblewrap_code_is_refused(no_bubblewrap: None) -> None:
    why = unavailable()
    assert why is not None
    if sys.platform == "linux":
        assert "apt-get install bubblewrap" in why
    assert "--allow-unsandboxed-code" in why
    with pytest.raises(SandboxError, match="--allow-unsandboxed-code"):
        run_tests("", "", LIMITS)


@pytest.mark.skipif(sys.platform != "linux", reason="bubblewrap is for Linux")
def test_bubblewrap_that_fails_is_quoted(
    no_bubblewrap: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o755)  # noqa: S103 - as root it is started by nobody
        bwrap = Path(folder, "bwrap")
        bwrap.write_text("#!/bin/sh\necho no namespaces today >&2\nexit 1\n")
        bwrap.chmod(0o755)
        monkeypatch.setenv("PATH", folder)
        assert "no namespaces today" in str(unavailable())


def test_what_is_allowed_unprotected_has_limits_too(
    no_bubblewrap: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(starting.ALLOW, "1")
    monkeypatch.setenv("ABLATE_TEST_SECRET", "x")
    assert unavailable() is None
    assert run_tests(*GOOD["plain"], LIMITS).passed
    hidden = "import os\nassert 'ABLATE_TEST_SECRET' not in os.environ\nos._exit(0)"
    assert run_tests(hidden, "", LIMITS).detail == "ended before the tests did (exit code 0)"
    assert run_tests("while True: pass", "", Limits(cpu=1)).status == "out_of_cpu_time"
    assert run_tests("x = 'x' * 10**10", "", LIMITS).detail.startswith("MemoryError")
    assert (
        run_tests("import time\ntime.sleep(9)", "", Limits(wall=0.5)).status == "out_of_wall_time"
    )
    assert run_inputs("print(input())", ["1"], LIMITS)[0].output == "1\n"


@needs_sandbox
def test_the_sandbox_ends_with_who_started_it() -> None:
    code = (
        "from ablate.sandbox import Limits, run_tests\n"
        "run_tests('import time\\ntime.sleep(99)', '', Limits())"
    )
    with subprocess.Popen([sys.executable, "-c", code], cwd=ROOT) as starter:
        process = psutil.Process(starter.pid)
        deadline = time.monotonic() + 20
        inside: list[psutil.Process] = []
        while len(inside) < 3 and time.monotonic() < deadline:
            found = process.children(recursive=True)
            time.sleep(0.4)
            inside = [p for p in found if p.is_running()]  # not of the first try-out
        assert len(inside) >= 3
        starter.kill()
    _, alive = psutil.wait_procs(inside, timeout=5)
    assert not alive


SYSTEM = Path("/usr/bin/python3")


@needs_sandbox
@pytest.mark.skipif(os.geteuid() != 0 or not SYSTEM.exists(), reason="needs root and /usr's Python")
@pytest.mark.skipif(shutil.which("setpriv") is None, reason="needs setpriv")
def test_an_ordinary_user_has_the_same_sandbox() -> None:
    code = """
import sys
if sys.version_info < (3, 11): sys.exit("too old")
from ablate.sandbox import Limits, run_tests
print(run_tests("x = 1", "assert x", Limits()).status)
print(run_tests("import os; os.fork()\\nos.listdir('/home')", "", Limits()).detail)
"""
    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o755)  # noqa: S103 - for another user to read
        shutil.copytree(ROOT / "ablate/sandbox", f"{folder}/ablate/sandbox")
        for name in ("__init__.py", "errors.py"):
            shutil.copy(ROOT / "ablate" / name, f"{folder}/ablate")
        command = ["setpriv", "--reuid", "1234", "--regid", "1234", "--clear-groups"]
        done = subprocess.run(
            [*command, str(SYSTEM), "-c", code],
            cwd=folder,
            env={"PATH": os.environ["PATH"]},
            capture_output=True,
            text=True,
            check=False,
        )
    if "too old" in done.stderr:
        pytest.skip("needs Python 3.11 in /usr")
    assert done.stdout.splitlines()[0] == "passed", done.stderr
    assert "No such file or directory: '/home'" in done.stdout
