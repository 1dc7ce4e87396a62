"""/proc/slabinfo (mm/slab_common.c, slabinfo_show): the size and the counts of every slab cache."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from tcptop.kernel.release import release_numbers
from tcptop.recall import Recall
from tcptop.snapshot import Reading, Slabinfo, SlabRow
from tcptop.sources.source import Damage, FileSource, parse_count, parse_rows, printable_path
from tcptop.text.printable import printable_name

VERSIONS = ("2.0", "2.1")
HEADER = "slabinfo - version:"
LAST_ROW = "kmem_cache"
"""Name of the cache in the last row. The newest cache has the first row, and the oldest cache, kmem_cache, has the last
row.
"""

LAST_ROW_OF_OLD_SLUB = "kmem_cache_node"
OLD_SLUB_UNTIL = (2, 6, 37)
"""First release in which SLUB has a slab cache for struct kmem_cache itself (mm/slub.c, kmem_cache_init)."""


EXCESS = 64
MAX_EXCESS = 1 << 20
"""The number of active objects in the file may be negative, but not less than -MAX_EXCESS. The kernel does not take all
counts of a cache at the same moment, so the counts may contradict each other by a few objects.
"""


class SlabinfoSource(FileSource[Slabinfo]):
    """A source that is read at every interval, as long as the reads are cheap.

    To print the file, the kernel takes slab_mutex, and then the list_lock of each node in turn.
    """

    name = "slabinfo"
    paths = ("proc/slabinfo",)
    max_lines = 30_000
    """The limit is far above the number of lines that any kernel prints. Even for a file with this many lines, every
    command ends within seconds.
    """
    makes_rates = True
    pairs_with_sockstat = True

    def __init__(self) -> None:
        self._parse_row = Recall(_parse_row)

    def parse_lines(self, lines: list[str], damages: list[Damage]) -> Slabinfo:
        """Parses versions 2.0 and 2.1, with and without the `(statistics)` tails of CONFIG_DEBUG_SLAB."""
        if not lines or not lines[0].startswith(HEADER):
            raise ValueError("the first line is not a slabinfo header")
        version = lines[0].removeprefix(HEADER).strip().partition(" ")[0]
        if version not in VERSIONS:
            raise ValueError(f"version {printable_name(version)} is not known ({' and '.join(VERSIONS)} are)")
        self._parse_row.begin_round()
        rows = parse_rows((line for line in lines[1:] if not line.startswith("#")), self._parse_row, damages)
        # If the file ends with the last row of an old SLUB kernel, `check` decides whether the file is cut. If the file
        # has too many lines, the program itself has left out the last rows, so the file does not count as cut.
        is_short = len(lines) < self.max_lines
        if is_short and not any(row.name == LAST_ROW for row in rows) and not _ends_as_old_slub(rows):
            damages.append(Damage("cut", f"the file ends before the row of {LAST_ROW}, which is the last"))
        return Slabinfo(tuple(rows))

    def check(self, reading: Reading[Slabinfo], others: Mapping[str, Reading[Any]]) -> Reading[Slabinfo]:
        """Marks the file as cut if it ends like the file of an old SLUB kernel, unless the kernel is known to be old.

        If a file ends with the last row of an old SLUB kernel, only the kernel release can show that rows are missing.
        If the release is unknown, the file counts as cut.
        """
        value = reading.value
        if value is None or not _ends_as_old_slub(value.rows) or any(row.name == LAST_ROW for row in value.rows):
            return reading
        sysctls = others["sysctls"].value if "sysctls" in others else None
        release = release_numbers(sysctls.kernel_release) if sysctls else None
        if release is not None and release < OLD_SLUB_UNTIL:
            return reading
        what = f"the file ends before the row of {LAST_ROW}, which is the last since 2.6.37"
        if release is None:
            what += "; the kernel release is not known"
        return reading._replace(state="cut", reason=f"{printable_path(self.paths[0])}: {what}")


def _ends_as_old_slub(rows: Sequence[SlabRow]) -> bool:
    return bool(rows) and rows[-1].name == LAST_ROW_OF_OLD_SLUB and not any(row.tunables_limit for row in rows)


def _exceeds_for_a_moment(active: int, objects: int) -> bool:
    """True if the number of active objects exceeds the number of all objects by a small amount.

    A small excess is normal, because the kernel counts without locking all lists. To find the active objects, the
    kernel subtracts the free objects from all objects. The kernel prints a result below 0 as a number just below 2^32
    or 2^64.
    """
    wrapped = any(0 < end - active <= MAX_EXCESS for end in (1 << 32, 1 << 64))
    return objects < active <= objects + objects // 8 + EXCESS or (objects < active and wrapped)


def _parse_row(line: str) -> SlabRow:
    """Parses `name 5 counts : tunables 3 counts : slabdata 3 counts [: tails]`; the name may contain spaces and colons.

    Raises:
        ValueError: if the line does not have this format.

    """
    fields = line.split()
    at = 6 if len(fields) > 7 and fields[7] == "tunables" else fields.index("tunables") - 1
    if at < 6 or fields[at] != ":" or len(fields) < at + 10 or fields[at + 5 : at + 7] != [":", "slabdata"]:
        raise ValueError("not a slabinfo row")
    active, objects, size, per_slab, pages = map(parse_count, fields[at - 5 : at])
    _, slabs, _ = map(parse_count, fields[at + 7 : at + 10])
    return SlabRow(
        name=printable_name(" ".join(fields[: at - 5])),
        active_objects=objects if _exceeds_for_a_moment(active, objects) else active,
        objects=objects,
        object_bytes=size,
        objects_per_slab=per_slab,
        pages_per_slab=pages,
        slabs=slabs,
        tunables_limit=parse_count(fields[at + 2]),
    )
