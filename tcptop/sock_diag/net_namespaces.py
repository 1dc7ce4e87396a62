"""The network namespaces of this machine, and calls that run in one of them.

A namespace is found by the processes in it, and by the mounts that hold it (ip netns, container runtimes).
"""

from __future__ import annotations

import os
import re
import threading
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import Literal, NamedTuple, TypeVar

Answer = TypeVar("Answer")

CLONE_NEWNET = 0x40000000
LOWEST_PRIORITY = 19
MAX_PROCESSES = 200_000
FIRST_PID_NAMESPACE = f"pid:[{0xEFFFFFFC}]"
"""PROC_PID_INIT_INO (include/linux/proc_ns.h)."""


class NetNamespace(NamedTuple):
    """A network namespace, with a file that leads to it."""

    inode: int | None
    """Number of the namespace, as in `net:[4026531840]`; None if only root may see it."""
    is_here: bool
    found_by: Literal["process", "mount"]
    path: str
    """File for setns(2)."""
    name: str
    """Name of the mount; empty for a namespace that was found by a process."""
    counters: str | None
    """Folder with the namespace's sockstat; None if the namespace has to be entered to see it."""


class Process(NamedTuple):
    """A process, with the namespace that it is in; the inode is None if only root may see it."""

    pid: int
    namespace: int | None


def sees_all_processes() -> bool:
    """Whether this process is in the first pid namespace of the machine, whose procfs shows every process."""
    with suppress(OSError):
        return os.readlink("/proc/self/ns/pid") == FIRST_PID_NAMESPACE
    return False


def list_pids() -> list[int]:
    """The processes that procfs shows, in ascending order."""
    return sorted(int(name) for name in os.listdir("/proc") if name.isascii() and name.isdigit())[:MAX_PROCESSES]


def find_namespaces(pids: Iterable[int]) -> tuple[list[NetNamespace], list[Process]]:
    """All network namespaces that processes or mounts lead to, this process's first; and the processes."""
    here = os.stat("/proc/self/ns/net").st_ino
    own = NetNamespace(here, True, "process", "/proc/self/ns/net", "", "/proc/self/net")
    found: dict[int, NetNamespace] = {here: own}
    hidden: dict[int, NetNamespace] = {}
    processes: list[Process] = []
    counters_here = os.stat("/proc/self/net/sockstat").st_ino
    for pid in pids:
        folder = f"/proc/{pid}"
        try:
            inode = os.stat(f"{folder}/ns/net").st_ino
        except PermissionError:
            # The counters of the namespace are readable by all. Their inodes differ by namespace.
            with suppress(OSError):
                number = os.stat(f"{folder}/net/sockstat").st_ino
                if number == counters_here:
                    processes.append(Process(pid, here))
                    continue
                hidden.setdefault(number, NetNamespace(None, False, "process", "", "", f"{folder}/net"))
                processes.append(Process(pid, None))
            continue
        except OSError:
            continue  # the process has ended
        processes.append(Process(pid, inode))
        if inode not in found:
            found[inode] = NetNamespace(inode, False, "process", f"{folder}/ns/net", "", f"{folder}/net")
    for inode, path in _mounted_namespaces():
        name = os.path.basename(path)
        known = found.get(inode)
        if known is None:
            found[inode] = NetNamespace(inode, False, "mount", path, name, None)
        elif not known.name:
            found[inode] = known._replace(name=name)
    return [*found.values(), *hidden.values()], processes


def _mounted_namespaces() -> list[tuple[int, str]]:
    """Number and path of each network namespace that is held by a mount of this mount namespace."""
    found: list[tuple[int, str]] = []
    with suppress(OSError), open("/proc/self/mountinfo", "rb") as mounts:
        for line in mounts:
            fields = line.split()
            number = re.fullmatch(rb"net:\[(\d{1,18})\]", fields[3]) if len(fields) > 4 else None
            if number is not None and b"nsfs" in fields[5:]:
                found.append((int(number[1]), os.fsdecode(_unescape(fields[4]))))
    return found


def _unescape(field: bytes) -> bytes:
    r"""Replaces the octal escapes of mountinfo, such as `\040` (fs/seq_file.c, mangle_path)."""
    return re.sub(rb"\\([0-3][0-7][0-7])", lambda match: bytes([int(match[1], 8)]), field)


def call_in_thread(call: Callable[[], Answer], namespace_path: str | None = None) -> tuple[Answer, int]:
    """Runs a call in a thread of its own at the lowest priority; returns the result and the CPU time in microseconds.

    With `namespace_path`, the thread enters that network namespace first. The other threads stay where they are.

    Raises OSError if the namespace may not be entered, and what the call raises.
    """
    results: list[tuple[Answer, int]] = []
    errors: list[BaseException] = []

    def run() -> None:
        try:
            with suppress(OSError):
                os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), LOWEST_PRIORITY)
            if namespace_path is not None:
                _enter(namespace_path)
            results.append((call(), time.thread_time_ns() // 1000))
        except BaseException as error:
            errors.append(error)

    thread = threading.Thread(target=run, name="tcptop sockets", daemon=True)
    thread.start()
    thread.join()
    if errors:
        raise errors[0]
    return results[0]


def _enter(path: str) -> None:
    import ctypes

    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        libc = ctypes.CDLL(None, use_errno=True)
        if libc.setns(descriptor, CLONE_NEWNET) != 0:
            number = ctypes.get_errno()
            raise OSError(number, os.strerror(number), path)
    finally:
        os.close(descriptor)
