"""/proc/slabinfo (mm/slab_common.c, slabinfo_show): the size and the counts of every slab cache."""

from __future__ import annotations

from functools import lru_cache

from tcptop.snapshot import Slabinfo, SlabRow
from tcptop.sources.source import Damage, FileSource, parse_count, skipped_lines, whole_lines, worse_damage
from tcptop.text.printable import printable_name

VERSIONS = ("2.0", "2.1")
HEADER = "slabinfo - version:"
LAST_ROW = "kmem_cache"
"""Name in the last row: rows go from the newest cache to the oldest, and the kernel creates this cache first."""


class SlabinfoSource(FileSource[Slabinfo]):
    """A source read at every interval if cheap: the kernel takes slab_mutex, and the list_lock of each node in turn."""

    name = "slabinfo"
    path = "proc/slabinfo"
    makes_rates = True
    pairs_with_sockstat = True

    def parse(self, text: str) -> tuple[Slabinfo | None, Damage | None]:
        """Calls the function `parse` of this module."""
        return parse(text)


def parse(text: str) -> tuple[Slabinfo | None, Damage | None]:
    """Parses versions 2.0 and 2.1, with and without the `(statistics)` tails of CONFIG_DEBUG_SLAB."""
    lines, cut = whole_lines(text)
    header = lines[0] if lines else text
    if not header.startswith(HEADER):
        return None, worse_damage(cut, Damage("strange", "the first line is not a slabinfo header"))
    version = header.removeprefix(HEADER).strip().partition(" ")[0]
    if version not in VERSIONS:
        known = " and ".join(VERSIONS)
        return None, worse_damage(
            cut, Damage("strange", f"version {printable_name(version)} is not known ({known} are)")
        )
    rows: list[SlabRow] = []
    bad: list[str] = []
    for line in lines[1:]:
        if not line or line[0] == "#":
            continue
        try:
            rows.append(_parse_row(line))
        except ValueError:
            bad.append(line)
    if cut is None and not any(row.name == LAST_ROW for row in rows):
        cut = Damage("cut", f"the file ends before the row of {LAST_ROW}, which is the last")
    damage = worse_damage(cut, skipped_lines(bad))
    return Slabinfo(tuple(rows)), damage


# Most rows have not changed since the previous read.
@lru_cache(512)
def _parse_row(line: str) -> SlabRow:
    """Parses `name 5 counts : tunables 3 counts : slabdata 3 counts [: tails]`; the name may contain spaces and colons.

    Raises:
        ValueError: if the line has another format.

    """
    fields = line.split()
    at = 6 if len(fields) > 7 and fields[7] == "tunables" else fields.index("tunables") - 1
    if at < 6 or fields[at] != ":" or len(fields) < at + 10 or fields[at + 5 : at + 7] != [":", "slabdata"]:
        raise ValueError("not a slabinfo row")
    active, objects, size, per_slab, pages = map(parse_count, fields[at - 5 : at])
    _, slabs, _ = map(parse_count, fields[at + 7 : at + 10])
    return SlabRow(
        name=printable_name(" ".join(fields[: at - 5])),
        # The kernel does not lock all lists at once to count, so active objects can exceed the total for a moment.
        active_objects=min(active, objects),
        objects=objects,
        object_bytes=size,
        objects_per_slab=per_slab,
        pages_per_slab=pages,
        slabs=slabs,
        tunables_limit=parse_count(fields[at + 2]),
    )
