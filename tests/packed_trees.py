"""Packs saved trees for tests: tar archives, and sosreports in the layout of sos(1)."""

from __future__ import annotations

import io
import shutil
import subprocess
import tarfile
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from recorded import CPUS, take_snapshot, tree, write_tree

from tcptop.hosts.host import Host
from tcptop.hosts.opening import open_host
from tcptop.hosts.zstd import zstd
from tcptop.sampling.source_list import wanted_paths
from tcptop.snapshot import Snapshot

SOSREPORT = "sosreport-web17-0042-2026-11-22-abcdefg"
DATE = "Sun Nov 22 12:04:31 UTC 2026"
DATE_UNIX_S = 1795349071.0

PID = "17215"
"""The process that wrote the sosreport."""

SYSCTLS = (
    "fs/file-nr",
    "kernel/osrelease",
    "net/core/mem_pcpu_rsv",
    "net/ipv4/tcp_mem",
    "net/ipv4/tcp_max_orphans",
    "net/ipv4/tcp_max_tw_buckets",
    "net/ipv4/ip_local_port_range",
    "net/ipv4/ip_local_reserved_ports",
)


def open_packed(path: Path) -> Host:
    """The host in an archive or a sosreport, with all paths that the kernel sources ask for."""
    return open_host(str(path), wanted_paths())


def packed_snapshot(path: Path) -> Snapshot:
    """The Snapshot of an archive or a sosreport."""
    with closing(open_packed(path)) as host:
        return take_snapshot(host)


def archive_of(folder: Path, path: Path, mode: str = "w:gz", top: str = ".") -> Path:
    """Packs a tree into a tar archive, every file below the folder `top`."""
    with open_tar(path, mode) as archive:
        archive.add(folder, arcname=top)
    return path


@contextmanager
def open_tar(path: Path, mode: str) -> Iterator[tarfile.TarFile]:
    """A tar archive to write, in a mode of tarfile; the mode `w:zst` compresses with a checksum, as zstd(1) does."""
    if mode != "w:zst":
        with tarfile.open(path, mode) as archive:  # type: ignore[call-overload]
            yield archive
        return
    options: dict[int, int] = {zstd.CompressionParameter.checksum_flag: 1}
    with zstd.open(path, "wb", options=options) as file, tarfile.open(fileobj=file, mode="w") as archive:
        yield archive


def archive_with(path: Path, members: Iterable[tuple[str, bytes | dict[str, object]]], mode: str = "w") -> Path:
    """Writes a tar archive with the given members; a member has a name, and either the file's bytes or fields of the
    header.
    """
    with tarfile.open(path, mode) as archive:  # type: ignore[call-overload]
        for name, content in members:
            header = tarfile.TarInfo(name)
            if isinstance(content, bytes):
                header.size = len(content)
                archive.addfile(header, io.BytesIO(content))
            else:
                for field, value in content.items():
                    setattr(header, field, value)
                archive.addfile(header)
    return path


def listing(folder: Path, *options: str) -> str:
    """The output of ls for a folder."""
    return subprocess.run(
        ["ls", *options, str(folder)], capture_output=True, text=True, check=True, env={"LC_ALL": "C"}
    ).stdout


def sosreport_of(kernel: str, phase: str, destination: Path, *, sysctl_files: bool = False) -> Path:
    """Writes a sosreport of a recorded machine: the files that sos copies, and the output of the commands it runs.

    sos lists /sys/kernel/slab but does not copy it. Without `sysctl_files` there is no /proc/sys, as if its plugin
    `system` had not run: sysctls are only in the output of `sysctl -a`.
    """
    source = tree(kernel, phase)
    report = destination / SOSREPORT
    shutil.copytree(source / "proc", report / "proc", ignore=None if sysctl_files else shutil.ignore_patterns("sys"))
    # sos copies the target of /proc/net, a link to self/net, and keeps the links.
    (report / "proc" / PID).mkdir()
    (report / "proc/net").rename(report / "proc" / PID / "net")
    (report / "proc/net").symlink_to("self/net")
    (report / "proc/self").symlink_to(PID)
    nodes = sorted((source / "sys/devices/system/node").glob("node*"))
    shutil.copytree(source / "sys/devices/system/node", report / "sys/devices/system/node")
    release = (source / "proc/sys/kernel/osrelease").read_text().strip()
    values = [(name, source / "proc/sys" / name) for name in SYSCTLS if (source / "proc/sys" / name).exists()]
    lscpu = ["Architecture:            x86_64", f"CPU(s):                  {CPUS[kernel]}"]
    lscpu += [f"  On-line CPU(s) list:   0-{CPUS[kernel] - 1}"]
    lscpu += [f"NUMA node{node.name[4:]} CPU(s):       {(node / 'cpulist').read_text().strip()}" for node in nodes]
    write_tree(
        report,
        {
            "sos_commands/kernel/uname_-a": f"Linux web17 {release} #1 SMP Debian x86_64 GNU/Linux\n",
            "sos_commands/kernel/sysctl_-a": "".join(
                f"{name.replace('/', '.')} = {path.read_text().strip()}\n" for name, path in values
            ),
            "sos_commands/kernel/ls_-lt_.sys.kernel.slab": listing(source / "sys/kernel/slab", "-lt"),
            "sos_commands/host/hostname": "web17\n",
            "sos_commands/date/date": f"{DATE}\n",
            "sos_commands/processor/lscpu": "\n".join(lscpu) + "\n",
            "sos_commands/memory/free": "Mem: 1 2 3\n",
            "proc/kallsyms": "ffffffff81000000 T startup_64\n",
            "proc/1/status": "Name:\tsystemd\n",
            "var/log/messages": "proc/slabinfo\n" * 50,
            "version.txt": "sosreport: 4.8.0\n",
        },
    )
    return report
