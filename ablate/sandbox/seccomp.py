"""System calls that no program needs to solve a problem, refused with EPERM by the kernel.

Most of all those that read another process's memory: a program's children must not be able to look
into the interpreter that judges it. The rest are the usual ways into the kernel.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping

LOAD, EQUAL, AT_LEAST, RETURN = 0x20, 0x15, 0x35, 0x06
ALLOW, REFUSE, KILL = 0x7FFF0000, 0x00050001, 0x80000000
NUMBER, ARCHITECTURE = 0, 4  # offsets in what the kernel shows to a filter
FOREIGN = 0x40000000  # from here on another table of numbers (x32)

AUDIT_ARCH: Mapping[str, int] = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}

EVERYWHERE = (424, 425, 426, 427, 428, 429, 430, 431, 432, 433, 438, 440, 442, 448)
"""pidfd_send_signal, io_uring_setup, _enter, _register, open_tree, move_mount, fsopen, fsconfig,
fsmount, fspick, pidfd_getfd, process_madvise, mount_setattr, process_mrelease."""

BY_MACHINE: Mapping[str, Mapping[str, int]] = {
    "x86_64": {
        "ptrace": 101, "process_vm_readv": 310, "process_vm_writev": 311, "kcmp": 312,
        "perf_event_open": 298, "bpf": 321, "userfaultfd": 323, "add_key": 248,
        "request_key": 249, "keyctl": 250, "mount": 165, "umount2": 166, "pivot_root": 155,
        "unshare": 272, "setns": 308, "kexec_load": 246, "init_module": 175,
        "finit_module": 313, "delete_module": 176, "reboot": 169, "swapon": 167, "acct": 163,
        "open_by_handle_at": 304, "chroot": 161,
    },
    "aarch64": {
        "ptrace": 117, "process_vm_readv": 270, "process_vm_writev": 271, "kcmp": 272,
        "perf_event_open": 241, "bpf": 280, "userfaultfd": 282, "add_key": 217,
        "request_key": 218, "keyctl": 219, "mount": 40, "umount2": 39, "pivot_root": 41,
        "unshare": 97, "setns": 268, "kexec_load": 104, "init_module": 105,
        "finit_module": 273, "delete_module": 106, "reboot": 142, "swapon": 224, "acct": 89,
        "open_by_handle_at": 265, "chroot": 51,
    },
}  # fmt: skip


def program(machine: str) -> bytes | None:
    """The filter as the kernel takes it; None for a machine whose numbers are not known here."""
    if machine not in AUDIT_ARCH:
        return None
    refused = sorted({*BY_MACHINE[machine].values(), *EVERYWHERE})
    steps = [
        (LOAD, 0, 0, ARCHITECTURE),
        (EQUAL, 1, 0, AUDIT_ARCH[machine]),
        (RETURN, 0, 0, KILL),
        (LOAD, 0, 0, NUMBER),
        (AT_LEAST, len(refused) + 1, 0, FOREIGN),
        *((EQUAL, len(refused) - place, 0, number) for place, number in enumerate(refused)),
        (RETURN, 0, 0, ALLOW),
        (RETURN, 0, 0, REFUSE),
    ]
    return b"".join(struct.pack("=HBBI", *step) for step in steps)
