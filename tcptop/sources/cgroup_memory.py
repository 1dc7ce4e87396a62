"""/sys/fs/cgroup/PATH: the memory and the limit of a memory cgroup that the user names, and of the cgroups above it.

Memory that is charged to a cgroup counts in each cgroup above it, too (mm/page_counter.c, page_counter_try_charge).
Functions in mm/memcontrol.c print the files of cgroup2: memory_max_show, memory_current_read and memory_stat_format.
Functions in mm/memcontrol-v1.c print the files of cgroup v1: mem_cgroup_read_u64 and memcg1_stat_format.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from tcptop.hosts.host import CutFileError, FileRead, Host
from tcptop.snapshot import CGROUP_SOURCE, CgroupMemory, Reading
from tcptop.sources.command_line import PATH as COMMAND_LINE
from tcptop.sources.command_line import has_word
from tcptop.sources.source import (
    Source,
    explain_error,
    make_reading,
    parse_count,
    printable_path,
    read_small_files,
    small_text,
)
from tcptop.text.printable import printable

CGROUP2 = "sys/fs/cgroup"
V1_FOLDER = "memory"
"""Folder below /sys/fs/cgroup where cgroup v1 mounts its memory controller."""
FILES = ("memory.max", "memory.current", "memory.stat")
V1_FILES = ("memory.limit_in_bytes", "memory.usage_in_bytes", "memory.stat")
V1_USE_HIERARCHY = "memory.use_hierarchy"
"""File of cgroup v1. If its value is 0, the cgroups below are not charged to this cgroup; since 5.11 it is always 1."""
V1_MORE_FILES = (
    "memory.kmem.tcp.limit_in_bytes",
    "memory.kmem.tcp.usage_in_bytes",
    "memory.kmem.limit_in_bytes",
    "memory.kmem.usage_in_bytes",
    V1_USE_HIERARCHY,
)
NO_SOCKETS = ("cgroup.memory", "nosocket")
"""A kernel parameter, and the word in its comma-separated list with which cgroup2 charges neither buffers nor accepted
socks."""
UNLIMITED = "max"
CACHE_FIELDS = ("active_file", "inactive_file")
RECLAIMABLE_SLAB = "slab_reclaimable"
STAT_FIELDS = (*CACHE_FIELDS, "sock", "kernel", RECLAIMABLE_SLAB)
V1_CACHE_FIELDS = tuple(f"total_{name}" for name in CACHE_FIELDS)
"""The fields of cgroup v1 that count the cgroups below, too."""
V1_LEAST_LIMIT = "hierarchical_memory_limit"
"""Field of memory.stat of cgroup v1: the least limit of the cgroup and of all cgroups above it, visible or not."""
V1_UNLIMITED_BYTES = 1 << 62
"""A limit of cgroup v1 from this value on is none. The largest value is that of a long, rounded down to pages
(include/linux/page_counter.h, PAGE_COUNTER_MAX); before 3.19 that of a long long, or of an unsigned one."""
V1_UNLIMITED_BYTES_32BIT = ((1 << 31) - 1) * 4096
"""The largest limit of cgroup v1 on machines whose long has 32 bits, where pages have 4096 bytes."""
MAX_PATH_CHARACTERS = 4096


def cgroup_path(path: str) -> str:
    """Makes the path of a cgroup, as given by the user, relative to /sys/fs/cgroup.

    The user may write an absolute path or a path relative to /sys/fs/cgroup.

    Raises:
        ValueError: if the path leads out of /sys/fs/cgroup, or if no folder can have such a path.

    """
    below = path.removeprefix(f"/{CGROUP2}") if f"{path}/".startswith(f"/{CGROUP2}/") else path
    names = [name for name in below.split("/") if name not in ("", ".")]
    if not path or ".." in names or "\0" in path or len(path) > MAX_PATH_CHARACTERS:
        raise ValueError(f"a cgroup below /{CGROUP2}, not {path[:80]!r}")
    return "/".join(names)


class CgroupMemorySource(Source[CgroupMemory]):
    """A source that is read at every interval, because the read is cheap.

    For memory.stat the kernel sums only a few counters. The files of cgroup v1 are read only if cgroup2 does not have
    the cgroup.
    """

    name = CGROUP_SOURCE

    def __init__(self, path: str) -> None:
        """Takes the path of a cgroup. Raises ValueError for the same paths as `cgroup_path`."""
        below = cgroup_path(path)
        self._folders = list(_with_folders_above(below))
        is_of_v1 = f"{below}/".startswith(f"{V1_FOLDER}/")
        v1_path = below if is_of_v1 else "/".join(filter(None, (V1_FOLDER, below)))
        self._v1_folders = [folder for folder in _with_folders_above(v1_path) if folder]
        self.paths = (
            *_paths(self._folders, FILES),
            *_paths(self._v1_folders, (*V1_FILES, *V1_MORE_FILES)),
            COMMAND_LINE,
        )

    async def read(self, host: Host) -> Reading[CgroupMemory]:
        """Reads the files. `CgroupMemory.unknown_because` says why the limit or the used memory is unknown."""
        command_line, *files = await read_small_files(host, (COMMAND_LINE, *_paths(self._folders, FILES)))
        took_us = command_line.took_us + sum(file.took_us for file in files)
        named, *above = _in_folders(self._folders, files)
        if isinstance(named[1][0].error, FileNotFoundError):
            v1_files = await read_small_files(host, _paths(self._v1_folders, (*V1_FILES, *V1_MORE_FILES)))
            took_us += sum(file.took_us for file in v1_files)
            levels = _in_folders(self._v1_folders, v1_files)
            if not isinstance(levels[0][1][0].error, FileNotFoundError):
                return make_reading(parse_v1(levels), None, CGROUP2, took_us)
        # The root of cgroup2 has no memory.max; the root of a container's mount is no root of cgroup2, and has one.
        counted = [
            parse(folder, *level)
            for folder, level in above
            if folder or not isinstance(level[0].error, FileNotFoundError)
        ]
        folder, level = named
        enabled = _sockets_enabled(command_line)
        found = parse(folder, *level)._replace(
            sockets_enabled=enabled,
            may_hide_limits=not (counted[-1].path if counted else folder),
            above=tuple(each._replace(sockets_enabled=enabled) for each in counted),
        )
        return make_reading(found, None, CGROUP2, took_us)


def _sockets_enabled(command_line: FileRead) -> bool | None:
    """False if a kernel parameter turns off the charges of cgroup2 for sockets; None if the parameters are unknown.

    A saved tree without the file counts as one without the parameter.
    """
    if has_word(small_text(command_line) or "", *NO_SOCKETS):
        return False
    return True if command_line.error is None or isinstance(command_line.error, FileNotFoundError) else None


def _with_folders_above(path: str) -> Iterator[str]:
    """Yields the path of a folder below /sys/fs/cgroup and of each folder above it, up to /sys/fs/cgroup itself."""
    while path:
        yield path
        path = path.rpartition("/")[0]
    yield ""


def _paths(folders: Sequence[str], names: Sequence[str]) -> tuple[str, ...]:
    """The paths of the files of cgroups, relative to the host's root."""
    return tuple("/".join(filter(None, (CGROUP2, folder, name))) for folder in folders for name in names)


def _in_folders(folders: Sequence[str], files: Sequence[FileRead]) -> list[tuple[str, Sequence[FileRead]]]:
    """The files of each folder; every folder has the same number of files."""
    number = len(files) // len(folders)
    return [(folder, files[index * number : (index + 1) * number]) for index, folder in enumerate(folders)]


def parse(path: str, maximum: FileRead, current: FileRead, stat: FileRead) -> CgroupMemory:
    """The memory of a cgroup. If a file cannot be read, the figures from this file are None.

    If memory.max or memory.current cannot be read, `unknown_because` says why. The kernel prints each field of
    memory.stat only once. If a field is repeated or a file is cut, the used memory is unknown.
    """
    text = (small_text(maximum) or "").strip()
    is_unlimited = text == UNLIMITED
    limit = _parse_bytes(text)
    found, fields = _parse_level(path, maximum, current, stat, limit, is_unlimited, STAT_FIELDS)
    return found._replace(
        cache_bytes=_sum_of(fields, CACHE_FIELDS),
        sock_bytes=fields.get("sock"),
        kernel_bytes=fields.get("kernel"),
        reclaimable_slab_bytes=fields.get(RECLAIMABLE_SLAB),
    )


def parse_v1(levels: Sequence[tuple[str, Sequence[FileRead]]]) -> CgroupMemory:
    """The memory of a cgroup of cgroup v1, with the cgroups above it to which its memory is charged.

    A level is the path of a cgroup and its files, in the order of V1_FILES and V1_MORE_FILES. The first level is the
    named cgroup, and the next levels are the cgroups above it, the nearest first.
    """
    named, *above = [(_parse_v1_level(path, *files[:7]), small_text(files[7])) for path, files in levels]
    fields, repeated = _parse_stat(small_text(levels[0][1][V1_FILES.index("memory.stat")]) or "", (V1_LEAST_LIMIT,))
    least = None if repeated else fields.get(V1_LEAST_LIMIT)
    counted = []
    for level, use_hierarchy in above:
        if (use_hierarchy or "").strip() == "0":
            break
        counted.append(level)
    # Only a cgroup whose memory.kmem.tcp.limit_in_bytes was written counts buffers, but any other cgroup may be one.
    has_limit = any(level.sock_max_bytes is not None or level.sock_bytes for level in (named[0], *counted))
    enabled = True if has_limit else None
    visible = [level.max_bytes for level in (named[0], *counted) if level.max_bytes is not None]
    is_hidden = least is not None and not _is_v1_unlimited(least) and least < min(visible, default=V1_UNLIMITED_BYTES)
    return named[0]._replace(
        sockets_enabled=enabled,
        hidden_max_bytes=least if is_hidden else None,
        may_hide_limits=least is None,
        above=tuple(level._replace(sockets_enabled=enabled) for level in counted),
    )


def _parse_v1_level(
    path: str,
    maximum: FileRead,
    current: FileRead,
    stat: FileRead,
    sock_maximum: FileRead,
    sock: FileRead,
    kernel_maximum: FileRead,
    kernel: FileRead,
) -> CgroupMemory:
    limit = _parse_bytes((small_text(maximum) or "").strip())
    is_unlimited = _is_v1_unlimited(limit)
    found, fields = _parse_level(
        path, maximum, current, stat, None if is_unlimited else limit, is_unlimited, V1_CACHE_FIELDS
    )
    sock_bytes, sock_max_bytes, kernel_bytes, kernel_max_bytes = (
        _parse_bytes((small_text(file) or "").strip()) for file in (sock, sock_maximum, kernel, kernel_maximum)
    )
    return found._replace(
        cache_bytes=_sum_of(fields, V1_CACHE_FIELDS),
        sock_bytes=sock_bytes,
        kernel_bytes=kernel_bytes,
        is_v1=True,
        sock_max_bytes=None if _is_v1_unlimited(sock_max_bytes) else sock_max_bytes,
        kernel_max_bytes=None if _is_v1_unlimited(kernel_max_bytes) else kernel_max_bytes,
    )


def _is_v1_unlimited(limit: int | None) -> bool:
    return limit is not None and (limit >= V1_UNLIMITED_BYTES or limit == V1_UNLIMITED_BYTES_32BIT)


def _parse_level(
    path: str,
    maximum: FileRead,
    current: FileRead,
    stat: FileRead,
    limit: int | None,
    is_unlimited: bool,
    names: Sequence[str],
) -> tuple[CgroupMemory, Mapping[str, int]]:
    """The limit and the charged memory of a cgroup, and the fields of memory.stat with one of the `names`.

    `limit` is the parsed content of the file `maximum`; None if there is no limit, or if the format is unknown.
    """
    fields, repeated = _parse_stat(small_text(stat) or "", names)
    current_bytes = _parse_bytes((small_text(current) or "").strip())
    reason: str | None = None
    if limit is None and not is_unlimited:
        reason = _why(maximum)
    elif current_bytes is None:
        reason = _why(current)
    elif repeated:
        reason = f"{printable_path(stat.path)}: {printable(repeated[0])} is there more than once"
    elif isinstance(stat.error, CutFileError):
        reason = _why(stat)
    if repeated or isinstance(stat.error, CutFileError):
        current_bytes, fields = None, {}
    found = CgroupMemory(printable(path), current_bytes, limit, is_unlimited, None, None, None, None, reason)
    return found, fields


def _sum_of(fields: Mapping[str, int], names: Sequence[str]) -> int | None:
    """The sum of fields; None if a field is missing."""
    return sum(fields[name] for name in names) if all(name in fields for name in names) else None


def _why(file: FileRead) -> str:
    if file.error is not None:
        return explain_error(file.path, file.error)[1]
    return f"{printable_path(file.path)} has an unknown format"


def _parse_bytes(text: str) -> int | None:
    try:
        return parse_count(text)
    except ValueError:
        return None


def _parse_stat(text: str, names: Sequence[str]) -> tuple[dict[str, int], list[str]]:
    """The fields of memory.stat that have one of the `names`, and the names of the repeated fields.

    Each line is a name and a number of bytes; any other line is left out.
    """
    fields: dict[str, int] = {}
    repeated: list[str] = []
    for line in text.splitlines():
        name, _, amount = line.partition(" ")
        value = _parse_bytes(amount)
        if value is None or name not in names:
            continue
        if name in fields:
            repeated.append(name)
        fields[name] = value
    return fields, repeated
