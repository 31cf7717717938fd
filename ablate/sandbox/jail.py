"""The command that starts an interpreter in a bubblewrap sandbox.

It sees ``/usr`` and the interpreter's own files, read-only, a small ``/tmp``, ``/dev/null``,
``/dev/zero`` and ``/dev/urandom``: no network, no ``/proc``, no home, no working directory, no
environment, no other process, no capability, no further user namespace.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

NOBODY = "65534"
BORROWED = Path("/run/ablate")  # where root lays what nobody else may reach

INTERPRETER_FLAGS = ("-s", "-S", "-P", "-B")
ENVIRONMENT = {
    "HOME": "/tmp",  # noqa: S108 - the sandbox's own
    "TMPDIR": "/tmp",  # noqa: S108
    "LANG": "C.UTF-8",
    "PATH": "/usr/bin",
    "PYTHONHASHSEED": "0",  # a program that prints a set gets the same grade every time
    "MALLOC_ARENA_MAX": "1",  # or each thread takes 128 MiB of the address space
}


def interpreter() -> Path:
    """The real interpreter: what a virtual environment or a version manager points to."""
    base = getattr(sys, "_base_executable", None) or sys.executable
    return Path(base).resolve()


def command(bwrap: str, disk: int, seccomp: int | None) -> list[str]:
    """Up to and with the interpreter's flags; ``-c`` and the code come after it.

    ``seccomp``: the descriptor that a filter is read from. As root everything runs as nobody, for
    whom the kernel's limit on processes holds.
    """
    root = os.geteuid() == 0
    prefix = interpreter().parent.parent
    borrow = root and not _for_everyone(prefix)
    outside = prefix if not borrow else BORROWED
    return [
        *(_borrowing(prefix) if borrow else ()),
        *(_as_nobody() if root else ()),
        *_inner(bwrap, disk, seccomp, list(_own_files(prefix, outside))),
        str(interpreter()),
        *INTERPRETER_FLAGS,
    ]


# A mount namespace in which nobody can reach an interpreter of root's own. It is all one process,
# a child of its starter's: with a process in between that has no rights over nobody, bubblewrap
# would not end when its starter does.
LEND = """\
set -e
mount -t tmpfs -o mode=755 none /run
for folder in $1; do
    mkdir -p "/run/ablate/$folder"
    mount --bind "$0/$folder" "/run/ablate/$folder"
done
shift
exec "$@"
"""


def _borrowing(prefix: Path) -> list[str]:
    lend = ["sh", "-c", LEND, str(prefix), " ".join(_folders(prefix))]
    return ["unshare", "--mount", "--propagation", "private", "--", *lend]


def _as_nobody() -> list[str]:
    return ["setpriv", "--reuid", NOBODY, "--regid", NOBODY, "--clear-groups", "--"]


def _inner(bwrap: str, disk: int, seccomp: int | None, files: Sequence[str]) -> list[str]:
    command = [bwrap, "--unshare-all", "--unshare-user", "--disable-userns", "--die-with-parent"]
    command += ["--new-session", "--clearenv", "--cap-drop", "ALL"]
    command += ["--uid", NOBODY, "--gid", NOBODY, "--hostname", "sandbox"]
    command += ["--ro-bind", "/usr", "/usr", *_top_level(), *files]
    command += ["--ro-bind-try", "/etc/ld.so.cache", "/etc/ld.so.cache"]
    for device in ("/dev/null", "/dev/zero", "/dev/urandom"):
        command += ["--dev-bind", device, device]
    command += ["--size", str(disk), "--tmpfs", "/tmp", "--remount-ro", "/", "--chdir", "/tmp"]  # noqa: S108
    for name, value in ENVIRONMENT.items():
        command += ["--setenv", name, value]
    return [*command, *(() if seccomp is None else ("--seccomp", str(seccomp))), "--"]


def _top_level() -> Iterator[str]:
    """Where the dynamic loader and its libraries are looked for."""
    for path in map(Path, ("/lib", "/lib64", "/lib32", "/bin", "/sbin")):
        if path.is_symlink():
            yield from ("--symlink", os.readlink(path), str(path))
        elif path.is_dir():
            yield from ("--ro-bind", str(path), str(path))


def _own_files(prefix: Path, outside: Path) -> Iterator[str]:
    """The interpreter's program and libraries, unless they are part of ``/usr``."""
    if not prefix.is_relative_to("/usr"):
        for name in _folders(prefix):
            yield from ("--ro-bind", str(outside / name), str(prefix / name))


def _folders(prefix: Path) -> list[str]:
    return [name for name in ("bin", "lib", "lib64") if (prefix / name).is_dir()]


def _for_everyone(path: Path) -> bool:
    """Whether any user may go into a folder."""
    return all(folder.stat().st_mode & 0o001 for folder in (path, *path.parents))
