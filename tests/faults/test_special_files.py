"""Named pipes, sockets, devices and folders in a saved tree in place of a file: unknown with a reason, no hang."""

from __future__ import annotations

import os
import socket
import stat
from collections.abc import Callable
from pathlib import Path

import pytest
from program import report
from recorded import copy_recording

SOURCE_OF: dict[str, str] = {
    "proc/slabinfo": "slabinfo",
    "proc/meminfo": "meminfo",
    "proc/zoneinfo": "zoneinfo",
    "proc/net/sockstat": "sockstat",
    "proc/cgroups": "memory_cgroups",
    "proc/sys/fs/file-nr": "socket_limits",
    "proc/sys/net/ipv4/tcp_max_orphans": "socket_limits",
    "proc/sys/net/ipv4/ip_local_port_range": "socket_limits",
    "proc/sys/net/netfilter/nf_conntrack_count": "socket_limits",
    "proc/sys/net/ipv4/tcp_mem": "sysctls",
    "proc/sys/vm/zone_reclaim_mode": "sysctls",
    "proc/cmdline": "sysctls",
    "sys/kernel/notes": "sysctls",
    "sys/fs/cgroup/memory.max": "memory_cgroups",
    "sys/fs/cgroup/cgroup.subtree_control": "memory_cgroups",
    "sys/devices/system/cpu/online": "topology",
    "sys/devices/system/cpu/present": "topology",
    "sys/devices/system/node/node1/cpulist": "topology",
    "sys/devices/system/node/node1/distance": "topology",
    "sys/kernel/slab/TCP/slabs": "slab_counts",
    "sys/kernel/slab/TCP/order": "slab_sizes",
    "sys/kernel/security/lsm": "security_modules",
}


def make_socket(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as made:
        folder = os.open(path.parent, os.O_PATH)
        made.bind(f"/proc/self/fd/{folder}/{path.name}")  # the whole path is longer than an address may be
        os.close(folder)


def make_device(path: Path) -> None:
    if os.geteuid():
        pytest.skip("only root can make a device")
    os.mknod(path, stat.S_IFCHR | 0o666, os.makedev(1, 5))  # /dev/zero


KINDS: dict[str, Callable[[Path], None]] = {
    "pipe": os.mkfifo,
    "folder": Path.mkdir,
    "socket": make_socket,
    "device": make_device,
}


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_a_file_of_another_kind_is_named_by_its_source(tmp_path: Path, kind: str) -> None:
    root = copy_recording("6.1-4n", "established", tmp_path / "tree")
    names = SOURCE_OF if kind == "pipe" else [*SOURCE_OF][::3]
    for name in names:
        path = root / name
        data = path.read_bytes() if path.exists() else None
        path.unlink(missing_ok=True)
        path.parent.mkdir(parents=True, exist_ok=True)
        KINDS[kind](path)
        source = report(root)["sources"][SOURCE_OF[name]]
        expected = "Is a directory" if kind == "folder" else "not a regular file"
        assert source["state"] in ("failed", "strange"), (name, source)
        assert source["reason"].endswith(f"{name}: {expected}") or f"{path.name}: {expected}" in source["reason"], (
            name,
            source,
        )
        path.rmdir() if path.is_dir() else path.unlink()
        if data is not None:
            path.write_bytes(data)


def test_limits_of_a_pipe_are_unknown_and_not_zero(tmp_path: Path) -> None:
    root = copy_recording("6.1-4n", "established", tmp_path / "tree")
    for name in ("proc/sys/fs/file-nr", "proc/sys/net/ipv4/tcp_max_orphans", "proc/sys/net/ipv4/tcp_mem"):
        (root / name).unlink()
        os.mkfifo(root / name)
    limits = {each["name"]: each for each in report(root)["limits"]}
    assert [limits[name]["limit"] for name in ("file_max", "tcp_max_orphans", "tcp_mem")] == [None, None, None]
    assert limits["file_max"]["used"] is None


def test_a_root_of_cgroup2_whose_limit_is_a_pipe_does_not_say_that_memory_is_not_charged(tmp_path: Path) -> None:
    root = copy_recording("6.1-4n", "established", tmp_path / "tree")
    cgroup = root / "sys/fs/cgroup"
    cgroup.mkdir(parents=True, exist_ok=True)
    (root / "proc/cgroups").unlink(missing_ok=True)
    for name, text in (("cgroup.controllers", "cpu memory\n"), ("cgroup.subtree_control", "cpu\n")):
        (cgroup / name).write_text(text)
    os.mkfifo(cgroup / "memory.max")
    assert report(root)["sources"]["memory_cgroups"]["state"] != "ok"
