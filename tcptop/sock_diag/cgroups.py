"""Folders of cgroup2 by number, and the memory of sockets and of the kernel that is charged to a cgroup."""

from __future__ import annotations

import os
import re
from collections.abc import Collection
from contextlib import suppress
from typing import NamedTuple

from tcptop.sock_diag.mounts import read_mounts

MAX_FOLDERS = 20_000
ABOVE = re.compile(r"(/\.\.)*/?")
"""Matches the root of a mount that contains all cgroups of this process's cgroup namespace: `/` for the namespace's own
root, `/..` for the cgroup above that root (kernel/cgroup/cgroup.c, cgroup_show_path)."""


class CgroupMemory(NamedTuple):
    """A cgroup's folder below the mount, and two figures of its memory.stat.

    A figure is None if its line in memory.stat is missing or repeated.
    """

    path: str
    sock_bytes: int | None = None
    kernel_bytes: int | None = None


class FoundCgroups(NamedTuple):
    """The cgroups that were found, by number."""

    cgroups: dict[int, CgroupMemory]
    all_visible: bool
    """True if every cgroup of the machine is visible here; a cgroup that was not found then no longer exists."""


def find_cgroups(ids: Collection[int], with_memory: Collection[int] = ()) -> FoundCgroups:
    """The cgroups with the given numbers.

    `sock_bytes` and `kernel_bytes` are read only for the cgroups in `with_memory`.

    The number of a cgroup is the inode number of its folder (kernel/cgroup/cgroup.c, cgroup_id).
    """
    mount = _cgroup2_mount()
    if mount is None:
        return FoundCgroups({}, False)
    found: dict[int, CgroupMemory] = {}
    waiting = [mount]
    left = set(ids)
    with suppress(OSError):
        _keep(found, left, os.stat(mount).st_ino, "/")
    # The root of the whole hierarchy lacks this file (kernel/cgroup/cgroup.c, CFTYPE_NOT_ON_ROOT).
    all_visible = not os.path.exists(f"{mount}/cgroup.events")
    for _ in range(MAX_FOLDERS):
        if not waiting or not left:
            break
        folder = waiting.pop()
        try:
            with os.scandir(folder) as entries:
                for entry in entries:
                    if entry.is_dir(follow_symlinks=False):
                        waiting.append(entry.path)
                        _keep(found, left, entry.inode(), entry.path.removeprefix(mount))
        except PermissionError:
            all_visible = False
        except OSError:
            continue  # the cgroup was removed
    if left and waiting:
        all_visible = False
    for number in with_memory:
        if number in found:
            found[number] = _with_memory(mount, found[number])
    return FoundCgroups(found, all_visible)


def _keep(found: dict[int, CgroupMemory], left: set[int], number: int, path: str) -> None:
    if number in left:
        left.discard(number)
        found[number] = CgroupMemory(path)


def _cgroup2_mount() -> str | None:
    """The first mount point with all of the cgroup2 hierarchy, or with as much of it as any mount point has."""
    mounts = [mount for mount in read_mounts() if mount.kind == "cgroup2" and ABOVE.fullmatch(mount.root)]
    return max(mounts, key=lambda mount: mount.root.count("..")).path if mounts else None


def _with_memory(mount: str, cgroup: CgroupMemory) -> CgroupMemory:
    values: dict[bytes, int | None] = {}
    with suppress(OSError, ValueError), open(f"{mount}{cgroup.path}/memory.stat", "rb") as file:
        for line in file:
            name, _, value = line.partition(b" ")
            if name in (b"sock", b"kernel"):
                values[name] = None if name in values else int(value)
    return cgroup._replace(sock_bytes=values.get(b"sock"), kernel_bytes=values.get(b"kernel"))
