"""The network namespaces of this machine, and calls that run in one of them.

A namespace is found through the processes and threads in it, through mounts (ip netns, container runtimes), and through
sampled descriptors (descriptors.py). A namespace that only sockets hold is not found.
"""

from __future__ import annotations

import errno
import os
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from typing import Literal, NamedTuple, TypeVar

from tcptop.sock_diag.mounts import OWN_MOUNTS, read_mounts

Answer = TypeVar("Answer")

CLONE_NEWNET = 0x40000000
LOWEST_PRIORITY = 19
MAX_PROCESSES = 200_000
MAX_THREADS = 10_000
"""Maximum number of threads whose namespace is read, besides the first thread of each process. The read takes about 8
µs for each thread."""
LONE_THREAD_LINKS = 3
"""Number of links to the folder /proc/PID/task if the process has one thread; each further thread adds 1
(fs/proc/base.c, proc_task_getattr)."""


class NetNamespace(NamedTuple):
    """A network namespace, with a file that leads to it."""

    inode: int | None
    """Number of the namespace, as in `net:[4026531840]`; None if only root may see the number."""
    is_here: bool
    found_by: Literal["process", "thread", "mount", "descriptor"]
    path: str
    """File for setns(2)."""
    name: str
    """Name of the mount that holds the namespace; empty if no such mount was found. If the number is hidden, a process
    that is in the namespace: `of pid 4711`."""
    counters: str | None
    """Folder with the namespace's sockstat; None if the file can be read only inside the namespace."""


class Process(NamedTuple):
    """A process and the number of its network namespace; None if only root may see the number."""

    pid: int
    namespace: int | None


def list_pids() -> list[int]:
    """The processes that procfs shows, in ascending order."""
    return sorted(int(name) for name in os.listdir("/proc") if name.isascii() and name.isdigit())[:MAX_PROCESSES]


class Found(NamedTuple):
    """The network namespaces that were found, beginning with this process's own, and the processes."""

    namespaces: list[NetNamespace]
    processes: list[Process]
    unread_threads: int
    """Number of threads whose namespace was not read, since there are more than MAX_THREADS."""


def find_namespaces(pids: Iterable[int]) -> Found:
    """The network namespaces that processes, their threads and mounts lead to."""
    own = os.stat("/proc/self/ns/net")
    here = own.st_ino
    found = {here: NetNamespace(here, True, "process", "/proc/self/ns/net", "", "/proc/self/net")}
    hidden: dict[int, NetNamespace] = {}
    counters_of: dict[int, int] = {}
    by_thread: dict[int, NetNamespace] = {}
    processes: list[Process] = []
    counters_here = os.stat("/proc/self/net/sockstat").st_ino
    threads = unread_threads = 0
    for pid in pids:
        folder = f"/proc/{pid}"
        inode: int | None = None
        try:
            inode = os.stat(f"{folder}/ns/net").st_ino
        except PermissionError:
            # The number of the namespace is hidden, but any user may read the inode of the namespace's sockstat. Each
            # namespace's sockstat has an inode of its own, so the inode tells the namespaces apart.
            try:
                counters = os.stat(f"{folder}/net/sockstat").st_ino
            except PermissionError:  # procfs has the option hidepid=noaccess
                processes.append(Process(pid, None))
                continue
            except OSError:
                continue
            if counters == counters_here:
                processes.append(Process(pid, here))
                continue
            hidden.setdefault(counters, NetNamespace(None, False, "process", "", f"of pid {pid}", f"{folder}/net"))
            counters_of[pid] = counters
            processes.append(Process(pid, None))
            continue
        except OSError:
            pass  # the process has ended, or only its first thread has ended
        if inode is not None and inode not in found:
            found[inode] = NetNamespace(inode, False, "process", f"{folder}/ns/net", "", f"{folder}/net")
        others = other_threads(pid)
        for thread in others[: MAX_THREADS - threads]:
            number = _inode_of(f"{thread}/ns/net")
            if number is not None and number not in found and number not in by_thread:
                by_thread[number] = NetNamespace(number, False, "thread", f"{thread}/ns/net", "", f"{thread}/net")
            inode = number if inode is None else inode
        unread_threads += max(0, len(others) - (MAX_THREADS - threads))
        threads = min(MAX_THREADS, threads + len(others))
        if inode is not None:
            processes.append(Process(pid, inode))
    found |= {number: each for number, each in by_thread.items() if number not in found}
    # Another process may show the number that one process of the namespace hides.
    for number, each in found.items() if hidden else ():
        counters = _inode_of(f"{each.counters}/sockstat") or 0
        if hidden.pop(counters, None) is not None:
            processes = [
                process._replace(namespace=number) if counters_of.get(process.pid) == counters else process
                for process in processes
            ]
    for inode, path in _mounted_namespaces():
        known = found.get(inode)
        if known is None:
            found[inode] = NetNamespace(inode, False, "mount", path, os.path.basename(path), None)
        elif not known.name:
            found[inode] = known._replace(name=os.path.basename(path))
    return Found([*found.values(), *hidden.values()], processes, unread_threads)


def add_held(namespaces: Iterable[NetNamespace], held: Mapping[int, str]) -> list[NetNamespace]:
    """Adds the namespaces that only a descriptor leads to; `held` maps their numbers to paths of descriptors."""
    known = list(namespaces)
    numbers = {each.inode for each in known}
    return known + [
        NetNamespace(inode, False, "descriptor", path, "", None) for inode, path in held.items() if inode not in numbers
    ]


def other_threads(pid: int) -> list[str]:
    """The folders of all threads of a process, except the first thread."""
    folder = f"/proc/{pid}/task"
    with suppress(OSError):
        if os.stat(folder).st_nlink > LONE_THREAD_LINKS:
            return [f"{folder}/{name}" for name in os.listdir(folder) if name != str(pid)]
    return []


def _inode_of(path: str) -> int | None:
    with suppress(OSError):
        return os.stat(path).st_ino
    return None


def namespace_number(target: str) -> int | None:
    """The number of a network namespace, from the target of a link or the root of a mount: `net:[4026532300]`."""
    digits = target[5:-1]
    is_one = target.startswith("net:[") and target.endswith("]") and digits.isascii() and digits.isdigit()
    return int(digits) if is_one and len(digits) < 19 else None


def _mounted_namespaces() -> Iterator[tuple[int, str]]:
    """Number and path of each network namespace that a mount holds.

    Reads the mounts of this mount namespace. In a container that sees the machine's PIDs, also reads the machine's
    mounts.
    """
    tables = [(OWN_MOUNTS, "")]
    if _inode_of("/proc/1/ns/mnt") not in (None, _inode_of("/proc/self/ns/mnt")):
        tables.append(("/proc/1/mountinfo", "/proc/1/root"))
    for table, root in tables:
        for mount in read_mounts(table):
            number = namespace_number(mount.root) if mount.kind == "nsfs" else None
            if number is not None:
                yield number, root + mount.path


def call_in_thread(call: Callable[[], Answer], namespace: NetNamespace | None = None) -> tuple[Answer, int]:
    """Runs a call in a thread of its own at the lowest priority; returns the result and the CPU time in microseconds.

    If `namespace` is given and is not this process's own, the new thread first enters `namespace`. No other thread
    changes its namespace.

    Raises OSError if the namespace cannot be entered, and any exception that the call raises.
    """
    results: list[tuple[Answer, int]] = []
    errors: list[BaseException] = []

    def run() -> None:
        try:
            with suppress(OSError):
                os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), LOWEST_PRIORITY)
            if namespace is not None and not namespace.is_here:
                _enter(namespace)
            results.append((call(), time.thread_time_ns() // 1000))
        except BaseException as error:
            errors.append(error)

    thread = threading.Thread(target=run, name="tcptop sockets", daemon=True)
    thread.start()
    thread.join()
    if errors:
        raise errors[0]
    return results[0]


def _enter(namespace: NetNamespace) -> None:
    """Moves the calling thread to a network namespace.

    The process or descriptor in `namespace.path` may be gone, and another file may have the same path. The file is
    therefore opened for reading only after a check of the file's inode.
    """
    import ctypes

    found = os.open(namespace.path, os.O_PATH | os.O_CLOEXEC)
    try:
        status = os.fstat(found)
        if (status.st_dev, status.st_ino) != (os.stat("/proc/self/ns/net").st_dev, namespace.inode):
            raise FileNotFoundError(errno.ENOENT, "the network namespace is gone", namespace.path)
        descriptor = os.open(f"/proc/self/fd/{found}", os.O_RDONLY | os.O_CLOEXEC)
    finally:
        os.close(found)
    try:
        libc = ctypes.CDLL(None, use_errno=True)
        if libc.setns(descriptor, CLONE_NEWNET) != 0:
            number = ctypes.get_errno()
            raise OSError(number, os.strerror(number), namespace.path)
    finally:
        os.close(descriptor)
