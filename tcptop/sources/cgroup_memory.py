"""/sys/fs/cgroup/PATH: memory.max, memory.current and memory.stat of a memory cgroup that the user names (cgroup2).

The kernel prints them in mm/memcontrol.c: memory_max_show, memory_current_read, memory_stat_format.
"""

from __future__ import annotations

from tcptop.hosts.host import FileRead, Host
from tcptop.snapshot import CGROUP_SOURCE, CgroupMemory, Reading
from tcptop.sources.source import Source, explain_error, make_reading, parse_count, printable_path, small_text
from tcptop.text.printable import printable

CGROUP2 = "sys/fs/cgroup"
FILES = ("memory.max", "memory.current", "memory.stat")
UNLIMITED = "max"
CACHE_FIELDS = ("active_file", "inactive_file")
MAX_PATH_CHARACTERS = 4096


def cgroup_path(path: str) -> str:
    """The path of a cgroup below /sys/fs/cgroup, from a path as the user writes it: absolute, or relative to that.

    Raises:
        ValueError: if it leads out of /sys/fs/cgroup, or no folder can have this path.

    """
    below = path.removeprefix(f"/{CGROUP2}") if f"{path}/".startswith(f"/{CGROUP2}/") else path
    names = [name for name in below.split("/") if name not in ("", ".")]
    if not path or ".." in names or "\0" in path or len(path) > MAX_PATH_CHARACTERS:
        raise ValueError(f"a cgroup below /{CGROUP2}, not {path[:80]!r}")
    return "/".join(names)


def cgroup_paths(path: str) -> tuple[str, ...]:
    """The files of a cgroup, relative to a host's root; raises ValueError as `cgroup_path` does."""
    return tuple("/".join(filter(None, (CGROUP2, cgroup_path(path), name))) for name in FILES)


class CgroupMemorySource(Source[CgroupMemory]):
    """A source read at every interval; memory.stat is a sum over few counters."""

    name = CGROUP_SOURCE

    def __init__(self, path: str) -> None:
        """Takes the path of a cgroup; raises ValueError as `cgroup_path` does."""
        self._path = cgroup_path(path)
        self.paths = cgroup_paths(path)

    async def read(self, host: Host) -> Reading[CgroupMemory]:
        """Reads the three files; the value has the reason if the limit or the use is unknown."""
        files = await host.read(self.paths)
        return make_reading(parse(self._path, *files), None, CGROUP2, sum(file.took_us for file in files))


def parse(path: str, maximum: FileRead, current: FileRead, stat: FileRead) -> CgroupMemory:
    """The memory of a cgroup; a file that cannot be read gives None, and a reason."""
    text = (small_text(maximum) or "").strip()
    fields = _parse_stat(small_text(stat) or "")
    cache = [fields.get(name) for name in CACHE_FIELDS]
    max_bytes, current_bytes = _parse_bytes(text), _parse_bytes((small_text(current) or "").strip())
    reason: str | None = None
    if max_bytes is None and text != UNLIMITED:
        reason = _why(maximum)
    elif current_bytes is None:
        reason = _why(current)
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


def _parse_stat(text: str) -> dict[str, int]:
    """The fields of memory.stat, `name bytes` a line; lines of another form are left out."""
    fields: dict[str, int] = {}
    for line in text.splitlines():
        name, _, amount = line.partition(" ")
        value = _parse_bytes(amount)
        if value is not None:
            fields.setdefault(name, value)
    return fields
