"""Tells why this process cannot see all processes of the machine: a PID namespace, or an option of procfs."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import suppress

from tcptop.snapshot.socket_table import HiddenBy
from tcptop.sock_diag.mounts import read_mounts

FIRST_PID_NAMESPACE = f"pid:[{0xEFFFFFFC}]"
"""PROC_PID_INIT_INO (include/linux/proc_ns.h)."""
FIRST_USER_NAMESPACE = f"user:[{0xEFFFFFFD}]"
"""PROC_USER_INIT_INO."""
CAP_SYS_PTRACE = 1 << 19
MAX_READ = 1_000
"""Maximum number of processes whose PID namespace is read; each read takes about 5 µs."""
SHOWS_ALL = frozenset({"0", "off"})
ONLY_OWN = frozenset({"4", "ptraceable"})
"""Values of hidepid with which the option gid of procfs has no effect (fs/proc/base.c, has_pid_permissions)."""


def hidden_processes(pids: Sequence[int]) -> Iterator[HiddenBy]:
    """The reasons why procfs does not show all processes of the machine; nothing if procfs shows all.

    `pids` are the processes that procfs shows.
    """
    if not _is_machines_procfs(pids):
        yield "pid_namespace"
    if _hidepid_hides():
        yield "hidepid"


def _is_machines_procfs(pids: Sequence[int]) -> bool:
    """True if the mounted procfs is that of the machine's first PID namespace.

    This process may be in another PID namespace than the one of procfs (unshare --pid without --mount-proc). A procfs
    that shows a process of the first PID namespace is that of the first PID namespace.
    """
    return any(_target(f"/proc/{each}/ns/pid") == FIRST_PID_NAMESPACE for each in ("self", *pids[:MAX_READ]))


def _hidepid_hides() -> bool:
    """True if an option of the mounted procfs hides processes from this process."""
    options = next((mount.options for mount in reversed([*read_mounts()]) if mount.path == "/proc"), "")
    given = dict(option.partition("=")[::2] for option in options.split(","))
    hidepid = given.get("hidepid", "off")
    if hidepid in SHOWS_ALL or _may_trace_all():
        return False
    # Without the option gid, procfs has the group 0, and in_group_p() looks at the file system's group and at the
    # supplementary groups. Python tells the effective group, which the first one follows.
    return hidepid in ONLY_OWN or given.get("gid", "0") not in map(str, (os.getegid(), *os.getgroups()))


def _may_trace_all() -> bool:
    if _target("/proc/self/ns/user") not in (FIRST_USER_NAMESPACE, None):
        return False
    with suppress(OSError, ValueError, IndexError), open("/proc/self/status", "rb") as file:
        for line in file:
            if line.startswith(b"CapEff:"):
                return bool(int(line.split()[1], 16) & CAP_SYS_PTRACE)
    return False


def _target(link: str) -> str | None:
    """The target of a link; None if the link cannot be read."""
    with suppress(OSError):
        return os.readlink(link)
    return None
