"""/proc/buddyinfo (mm/vmstat.c, frag_show_print): free blocks of each zone by order."""

from __future__ import annotations

from tcptop.snapshot import Buddyinfo, FreeArea
from tcptop.sources.source import (
    Damage,
    FileSource,
    parse_count,
    parse_counts,
    skipped_lines,
    whole_lines,
    worse_damage,
)
from tcptop.text.printable import printable_name


class BuddyinfoSource(FileSource[Buddyinfo]):
    """A source read at every interval, because the kernel holds zone->lock for only a few microseconds per zone."""

    name = "buddyinfo"
    path = "proc/buddyinfo"

    def parse(self, text: str) -> tuple[Buddyinfo | None, Damage | None]:
        """Calls the function `parse` of this module."""
        return parse(text)


def parse(text: str) -> tuple[Buddyinfo | None, Damage | None]:
    """Parses lines such as `Node 0, zone   Normal   1137    789 …`, with a count for each order."""
    lines, cut = whole_lines(text)
    areas: list[FreeArea] = []
    bad: list[str] = []
    for line in lines:
        fields = line.split()
        if not fields:
            continue
        try:
            if fields[0] != "Node" or fields[2] != "zone" or len(fields) < 5:
                raise ValueError("not a zone's line")
            areas.append(
                FreeArea(parse_count(fields[1].rstrip(",")), printable_name(fields[3]), parse_counts(fields[4:]))
            )
        except (ValueError, IndexError):
            bad.append(line)
    orders = max((len(area.blocks) for area in areas), default=0)
    damage = worse_damage(cut, skipped_lines(bad))
    if any(len(area.blocks) != orders for area in areas):
        # A kernel prints the same number of orders for every zone, so a shorter line has lost its end, and the
        # last number left in the line may be incomplete.
        areas = [area for area in areas if len(area.blocks) == orders]
        damage = worse_damage(Damage("cut", "some lines end early; they are left out"), damage)
    if not areas:
        return None, worse_damage(damage, Damage("strange", "no line names a zone"))
    return Buddyinfo(tuple(areas)), damage
