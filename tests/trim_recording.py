"""Copies the files that tcptop reads from a tree of /proc and /sys: `python tests/trim_recording.py SOURCE_TREE DEST`.

SOURCE_TREE contains `proc` and `sys`. With `/`, this machine, the copy leaves out the host name and the vendor's suffix
of the kernel release. DEST must not exist.
"""

from __future__ import annotations

import re
import shutil
import struct
import sys
from collections.abc import Iterator
from pathlib import Path

from tcptop.kernel.objects import SLAB_CACHES
from tcptop.sources.kernel_notes import parse_build_id
from tcptop.sources.smbios import TABLE, blank_private

FILES = (
    "proc/slabinfo",
    "proc/zoneinfo",
    "proc/buddyinfo",
    "proc/pagetypeinfo",
    "proc/meminfo",
    "proc/version",
    "proc/cgroups",
    "proc/filesystems",
    "proc/net/sockstat",
    "proc/net/sockstat6",
    "proc/net/protocols",
    "proc/net/snmp",
    "proc/net/netstat",
    "proc/net/stat/nf_conntrack",
    "proc/net/tls_stat",
    "proc/sys/fs/file-nr",
    "proc/sys/kernel/osrelease",
    "proc/sys/kernel/hostname",
    "proc/sys/net/ipv4/tcp_mem",
    "proc/sys/net/ipv4/tcp_max_orphans",
    "proc/sys/net/ipv4/tcp_max_tw_buckets",
    "proc/sys/net/ipv4/ip_local_port_range",
    "proc/sys/net/ipv4/ip_local_reserved_ports",
    "proc/sys/net/core/mem_pcpu_rsv",
    "proc/sys/net/netfilter/nf_conntrack_count",
    "proc/sys/net/netfilter/nf_conntrack_max",
    "sys/fs/cgroup/cgroup.controllers",
    "sys/fs/cgroup/cgroup.subtree_control",
    "sys/fs/cgroup/cgroup.type",
    "sys/fs/cgroup/memory.max",
    "sys/firmware/dmi/tables/smbios_entry_point",
    "sys/firmware/dmi/tables/DMI",
    "sys/kernel/notes",
    "sys/kernel/security/lsm",
    "sys/module/apparmor/parameters/enabled",
    "sys/devices/system/cpu/online",
    "sys/devices/system/cpu/possible",
    "sys/devices/system/cpu/present",
)
SLAB = "sys/kernel/slab"
SLAB_FILES = (
    "object_size",
    "slab_size",
    "objs_per_slab",
    "order",
    "cpu_partial",
    "sheaf_capacity",
    "slabs",
    "total_objects",
)
NODES = "sys/devices/system/node"
NODE_FILES = ("cpulist", "meminfo", "distance")

HOST_NAME = b"reference\n"
RELEASE = re.compile(rb"\d+\.\d+(\.\d+)?")


def listed_files(source: Path) -> Iterator[str]:
    """The paths of the files to copy; some may not exist in the tree."""
    yield from FILES
    for node in sorted((source / NODES).glob("node[0-9]*")):
        for name in NODE_FILES:
            yield f"{NODES}/{node.name}/{name}"
    for folder in sorted(slab_folders(source)):
        for name in SLAB_FILES:
            yield f"{SLAB}/{folder}/{name}"


def slab_folders(source: Path) -> set[str]:
    """The folders of the catalogue's caches: the cache's own folder, or the folder of the group into which the cache is
    merged.
    """
    paths = [source / SLAB / cache for cache in SLAB_CACHES]
    return {path.readlink().name if path.is_symlink() else path.name for path in paths if path.exists()}


def slab_links(source: Path) -> Iterator[tuple[str, Path]]:
    """Every symbolic link to one of the folders, as a name and a target."""
    folders = slab_folders(source)
    for path in sorted((source / SLAB).glob("*")):
        if path.is_symlink() and path.readlink().name in folders:
            yield path.name, path.readlink()


def anonymise(path: str, data: bytes) -> bytes:
    """The content of a file of this machine, without its host name and the suffix of its kernel release."""
    if path == "proc/sys/kernel/hostname":
        return HOST_NAME
    if path in ("proc/version", "proc/sys/kernel/osrelease"):
        release = RELEASE.search(data)
        plain = release[0] if release else b"unknown"
        return (b"Linux version " if path == "proc/version" else b"") + plain + b"\n"
    if path == "sys/kernel/notes":
        # Keep only the build ID: other notes contain the builder's kernel name and kernel addresses.
        build = bytes.fromhex(parse_build_id(data) or "")
        return struct.pack("=III", 4, len(build), 3) + b"GNU\0" + build if build else b""
    return data


def trim(source: Path, destination: Path) -> None:
    """Copies the tree, without files that do not exist or cannot be read."""
    live = source.resolve() == Path("/")
    destination.mkdir(parents=True)
    for path in listed_files(source):
        try:
            data = (source / path).read_bytes()
        except OSError as error:
            if path in FILES:
                print(f"{path}: {error.strerror}", file=sys.stderr)
            continue
        target = destination / path
        target.parent.mkdir(parents=True, exist_ok=True)
        if path == TABLE:
            data = blank_private(data)
        target.write_bytes(anonymise(path, data) if live else data)
    for name, link_target in slab_links(source):
        (destination / SLAB / name).symlink_to(link_target)


def main() -> None:
    """Parses the arguments and copies the tree."""
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    source, destination = map(Path, sys.argv[1:])
    try:
        trim(source, destination)
    except FileExistsError:
        sys.exit(f"{destination} already exists: name a new folder")
    except BaseException:
        shutil.rmtree(destination, ignore_errors=True)
        raise


if __name__ == "__main__":
    main()
