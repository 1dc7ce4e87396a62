"""/sys/fs/cgroup/PATH: memory.max, memory.current and memory.stat of a memory cgroup that the user names (cgroup2).

Functions in mm/memcontrol.c print these files: memory_max_show, memory_current_read and memory_stat_format.
"""

from __future__ import annotations

from tcptop.hosts.host import CutFileError, FileRead, Host
from tcptop.snapshot import CGROUP_SOURCE, CgroupMemory, Reading
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
FILES = ("memory.max", "memory.current", "memory.stat")
UNLIMITED = "max"
CACHE_FIELDS = ("active_file", "inactive_file")
STAT_FIELDS = (*CACHE_FIELDS, "sock", "kernel")
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


def cgroup_paths(path: str) -> tuple[str, ...]:
    """The paths of a cgroup's files, relative to the host's root.

    Raises ValueError for the same paths as `cgroup_path`.
    """
    return tuple("/".join(filter(None, (CGROUP2, cgroup_path(path), name))) for name in FILES)


class CgroupMemorySource(Source[CgroupMemory]):
    """A source that is read at every interval, because the read is cheap.

    For memory.stat the kernel sums only a few counters.
    """

    name = CGROUP_SOURCE

    def __init__(self, path: str) -> None:
        """Takes the path of a cgroup. Raises ValueError for the same paths as `cgroup_path`."""
        self._path = cgroup_path(path)
        self.paths = cgroup_paths(path)

    async def read(self, host: Host) -> Reading[CgroupMemory]:
        """Reads the three files. `CgroupMemory.unknown_because` says why the limit or the used memory is unknown."""
        files = await read_small_files(host, self.paths)
        return make_reading(parse(self._path, *files), None, CGROUP2, sum(file.took_us for file in files))


def parse(path: str, maximum: FileRead, current: FileRead, stat: FileRead) -> CgroupMemory:
    """The memory of a cgroup. If a file cannot be read, the figures from this file are None.

    If memory.max or memory.current cannot be read, `unknown_because` says why. The kernel prints each field of
    memory.stat only once. If a field is repeated or a file is cut, the used memory is unknown.
    """
    text = (small_text(maximum) or "").strip()
    fields, repeated = _parse_stat(small_text(stat) or "")
    cache = [fields.get(name) for name in CACHE_FIELDS]
    max_bytes, current_bytes = _parse_bytes(text), _parse_bytes((small_text(current) or "").strip())
    reason: str | None = None
    if max_bytes is None and text != UNLIMITED:
        reason = _why(maximum)
    elif current_bytes is None:
        reason = _why(current)
    elif repeated:
        reason = f"{printable_path(stat.path)}: {printable(repeated[0])} is there more than once"
    elif isinstance(stat.error, CutFileError):
        reason = _why(stat)
    if repeated or isinstance(stat.error, CutFileError):
        current_bytes, fields, cache = None, {}, [None]
    return CgroupMemory(
        path=printable(path),
        current_bytes=current_bytes,
        max_bytes=max_bytes,
        is_unlimited=text == UNLIMITED,
        cache_bytes=None if None in cache else sum(filter(None, cache)),
        sock_bytes=fields.get("sock"),
        kernel_bytes=fields.get("kernel"),
        unknown_because=reason,
    )


def _why(file: FileRead) -> str:
    if file.error is not None:
        return explain_error(file.path, file.error)[1]
    return f"{printable_path(file.path)} has an unknown format"


def _parse_bytes(text: str) -> int | None:
    try:
        return parse_count(text)
    except ValueError:
        return None


def _parse_stat(text: str) -> tuple[dict[str, int], list[str]]:
    """The wanted fields of memory.stat by name, and the names of the repeated fields.

    Each line is a name and a number of bytes; any other line is left out.
    """
    fields: dict[str, int] = {}
    repeated: list[str] = []
    for line in text.splitlines():
        name, _, amount = line.partition(" ")
        value = _parse_bytes(amount)
        if value is None or name not in STAT_FIELDS:
            continue
        if name in fields:
            repeated.append(name)
        fields[name] = value
    return fields, repeated
