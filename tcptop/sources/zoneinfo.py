"""/proc/zoneinfo (mm/vmstat.c, zoneinfo_show_print): size, watermarks and protection of every zone."""

from __future__ import annotations

from tcptop.snapshot import Zone, Zoneinfo
from tcptop.sources.source import (
    EVERY_FIVE_SECONDS,
    Damage,
    FileSource,
    parse_count,
    parse_counts,
    skipped_lines,
    whole_lines,
    worse_damage,
)
from tcptop.text.printable import printable_name

PAGE_COUNTS = ("min", "low", "high", "present", "managed", "nr_free_cma")
"""Keys of a zone's own page counts. Keys of per-CPU page sets end in a colon (`high:`), so they do not match."""


class ZoneinfoSource(FileSource[Zoneinfo]):
    """A source read every five seconds, because the kernel prints each zone, with all its CPUs, under zone->lock."""

    name = "zoneinfo"
    path = "proc/zoneinfo"
    pace = EVERY_FIVE_SECONDS

    def parse(self, text: str) -> tuple[Zoneinfo | None, Damage | None]:
        """Calls the function `parse` of this module."""
        return parse(text)


def parse(text: str) -> tuple[Zoneinfo | None, Damage | None]:
    """Parses by key, never by line number, because keys and their order differ among kernels 3.10 to 7.x."""
    lines, cut = whole_lines(text)
    zones: list[Zone] = []
    bad: list[str] = []
    name: tuple[int, str] | None = None
    pages: dict[str, int] = {}
    protection: tuple[int, ...] = ()
    for line in lines:
        fields = line.split()
        if not fields:
            continue
        try:
            if fields[0] == "Node" and line.startswith("Node"):
                if name is not None:
                    zones.append(_make_zone(name, pages, protection))
                name, pages, protection = None, {}, ()
                name = (parse_count(fields[1].rstrip(",")), printable_name(fields[3]))
            elif fields[0] == "pages" and len(fields) == 3:
                pages[fields[1]] = parse_count(fields[2])
            elif fields[0] in PAGE_COUNTS and len(fields) == 2:
                pages[fields[0]] = parse_count(fields[1])
            elif fields[0] == "cpu:":
                pages["cpus"] = pages.get("cpus", 0) + 1
            elif fields[0] == "protection:":
                protection = parse_counts(line.partition("(")[2].rstrip().rstrip(")").replace(",", " ").split())
        except (ValueError, IndexError):
            bad.append(line)
    if name is not None:
        zones.append(_make_zone(name, pages, protection))
    damage = worse_damage(cut, skipped_lines(bad))
    if not zones:
        return None, worse_damage(damage, Damage("strange", "no line names a zone"))
    return Zoneinfo(tuple(zones)), damage


def _make_zone(name: tuple[int, str], pages: dict[str, int], protection: tuple[int, ...]) -> Zone:
    return Zone(
        node=name[0],
        name=name[1],
        free_pages=pages.get("free"),
        min_pages=pages.get("min"),
        low_pages=pages.get("low"),
        high_pages=pages.get("high"),
        present_pages=pages.get("present"),
        managed_pages=pages.get("managed"),
        protection_pages=protection,
        free_cma_pages=pages.get("nr_free_cma"),
        cpus=pages.get("cpus"),
    )
