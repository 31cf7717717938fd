"""Where it begins: the request comes on standard input, the report goes to standard output.

Both are out of a program's reach before it starts.
"""

from __future__ import annotations

import marshal
import os
import signal
import sys

from ablate.sandbox.inside.common import limit_all, limit_cpu


def main() -> None:
    request = marshal.loads(sys.stdin.buffer.read())  # noqa: S302 - from who started this
    report = os.dup(1)
    null = os.open(os.devnull, os.O_RDWR)
    for standard in range(3):
        os.dup2(null, standard)
    # SIGINT would raise in the main thread; the alarm is for what no sandbox ends.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    signal.alarm(request["alarm"])
    os.write(report, b"+")
    limit_all(request)
    if request["mode"] == "tests":
        from ablate.sandbox.inside.proof import prove

        limit_cpu(request["cpu"])
        prove(request.pop("key"), request, report)
    from ablate.sandbox.inside.several import several

    several(request, report)


if __name__ == "__main__":
    main()
