"""/proc/pagetypeinfo (mm/vmstat.c, pagetypeinfo_show): free blocks by order and migrate type, pageblocks by type."""

from __future__ import annotations

import re
from collections.abc import Sequence

from tcptop.kernel.release import release_numbers
from tcptop.snapshot import Pageblocks, Pagetypeinfo, TypedFreeArea
from tcptop.sources.source import (
    MAX_NODES,
    MAX_ORDERS,
    REST_FACTOR,
    Damage,
    FileSource,
    Pace,
    first_of_each,
    parse_count,
    parse_node,
    parse_rows,
)
from tcptop.text.printable import printable_name

PATH = "proc/pagetypeinfo"
FREE_HEADER = "Free pages count per migrate type at order"
BLOCKS_HEADER = "Number of blocks type"
TYPE_COLUMNS_AT = 23
NUMBER_COLUMNS_AT = 44
MAX_TYPES = 32
"""Maximum number of migrate types: MIGRATE_TYPES is at most 7 (include/linux/mmzone.h)."""


class PagetypeinfoSource(FileSource[Pagetypeinfo]):
    """A source that is read every five seconds, and only while figures from the file are shown.

    Reading is expensive, and stops allocations from the zone: the kernel walks free lists and pageblocks under
    zone->lock, without interrupts. The reads thus take at most 0.125 % of one CPU.
    """

    name = "pagetypeinfo"
    paths = (PATH,)
    max_lines = 32 * MAX_NODES
    pace = Pace(min_period_s=5.0, rest_factor=4 * REST_FACTOR)
    needs_release = True

    def off_reason(self, kernel_release: str | None) -> str | None:
        """The reason why the file is not read: the kernel is older than 5.4 or of unknown release. None since 5.4.

        Before 5.4 the kernel walks each free list to its end (commit 93b3a674485f added a cap to the walk).
        """
        numbers = release_numbers(kernel_release)
        if numbers is not None and numbers >= (5, 4):
            return None
        kernel = f"Linux {kernel_release}" if kernel_release else "a kernel of unknown release"
        return f"/{PATH} is not read: {kernel} walks its free lists without a cap"

    def parse_lines(self, lines: list[str], damages: list[Damage]) -> Pagetypeinfo:
        """Parses both tables, which the kernel repeats for each node.

        The headers name the migrate types and the orders. Since 5.4 (commit 93b3a674485f) the kernel stops counting at
        100000 and prints `>100000`, a lower bound. `capped_orders` has the orders for which the kernel printed a lower
        bound. Further tables of the file, such as `Number of mixed blocks`, are ignored.
        """
        tables = _Tables()
        parse_rows(lines, tables.add_line, damages)
        if tables.cut_lines:
            damages.insert(0, Damage("cut", f"lines are cut off on the right, after order {tables.orders - 1}"))
        if tables.cut_types:
            damages.insert(0, Damage("cut", "the table of pageblocks is cut off on the right"))
        if not tables.areas and not tables.pageblocks:
            raise ValueError("no line names a zone")
        areas = first_of_each(tables.areas, lambda area: (area.node, area.zone, area.migrate_type), damages)
        pageblocks = first_of_each(tables.pageblocks, lambda row: (row.node, row.zone), damages)
        return Pagetypeinfo(tables.pageblock_order, tuple(areas), tuple(pageblocks))


class _Tables:
    """The rows parsed so far, and the latest headers, which name the columns of the next rows."""

    def __init__(self) -> None:
        self.orders = 0
        self.types: list[str] = []
        self.in_free_table = True
        self.pageblock_order: int | None = None
        self.areas: list[TypedFreeArea] = []
        self.pageblocks: list[Pageblocks] = []
        self.cut_lines = 0
        self.cut_types = False

    def add_line(self, line: str) -> None:
        """Parses one line: a row or a header. Raises ValueError or IndexError if the line is damaged."""
        if line.startswith("Node"):
            if self.in_free_table:
                self.areas.append(_parse_free_area(line, self.orders))
            elif self.types:
                self.pageblocks.append(_parse_pageblocks(line, self.types, self.cut_types))
        elif line.startswith(FREE_HEADER):
            self.in_free_table = True
            numbers = line.removeprefix(FREE_HEADER).split()
            if len(numbers) > MAX_ORDERS:
                raise ValueError("more orders than any kernel has")
            self.orders = next((k for k, number in enumerate(numbers) if number != str(k)), len(numbers))
            self.cut_lines += self.orders < len(numbers)
        elif line.startswith(BLOCKS_HEADER):
            self.in_free_table = False
            self.types = []
            names = [printable_name(name) for name in line.removeprefix(BLOCKS_HEADER).split()]
            if len(names) > MAX_TYPES:
                raise ValueError("more migrate types than any kernel has")
            if len(set(names)) < len(names):
                raise ValueError("a migrate type is there twice")
            self.cut_types = _is_last_type_cut(line, names, {area.migrate_type for area in self.areas})
            self.types = names[:-1] if self.cut_types else names
        elif line.startswith("Number of"):
            self.in_free_table, self.types = False, []
        elif line.startswith("Page block order:"):
            self.pageblock_order = parse_count(line.partition(":")[2].strip())


def _is_last_type_cut(line: str, names: list[str], known: set[str]) -> bool:
    """True if the last name in the header is cut off.

    If the first table also has the name, the name is complete. If the first table lacks the name, the name is cut off
    in two cases: a longer name in the first table begins with this name, or this name ends before the end of its
    column (`%12s `).
    """
    if names[-1] in known:
        return False
    ends = [match.end() for match in re.finditer(r"\S+", line)][-len(names) :]
    columns = [TYPE_COLUMNS_AT + 13 * number + 12 for number in range(len(names))]
    in_columns = len(names) > 1 and ends[:-1] == columns[:-1]
    return any(name.startswith(names[-1]) for name in known) or (in_columns and ends[-1] != columns[-1])


def _parse_free_area(line: str, orders: int) -> TypedFreeArea:
    """Parses `Node    0, zone   Normal, type      Movable    129 >100000 …`."""
    place, _, rest = line.partition(", type")
    fields = rest.split()
    if not orders or len(fields) <= orders:
        raise ValueError("fewer numbers than orders")
    node, zone = _parse_zone(place)
    texts = fields[1 : orders + 1]
    if len(fields) == orders + 1 and not line.endswith(" ") and _is_last_count_cut(line, texts):
        raise ValueError("the last number is cut off")
    return TypedFreeArea(
        node,
        zone,
        printable_name(fields[0]),
        tuple(parse_count(text.removeprefix(">")) for text in texts),
        tuple(order for order, text in enumerate(texts) if text.startswith(">")),
    )


def _is_last_count_cut(line: str, texts: Sequence[str]) -> bool:
    """True if the last number is cut off. A number that is cut off ends before the end of its column (`%6lu `).

    The `>` of a capped count moves the end of the count's column, and of all later columns, by one character.
    """
    caps = [text.startswith(">") for text in texts]
    ends = [match.end() for match in re.finditer(r"\S+", line)][-len(texts) :]
    columns = [NUMBER_COLUMNS_AT + 7 * order + 6 + sum(caps[: order + 1]) for order in range(len(texts))]
    return any(caps) and ends[:-1] == columns[:-1] and ends[-1] < columns[-1]


def _parse_pageblocks(line: str, types: list[str], cut: bool) -> Pageblocks:
    """Parses `Node 0, zone   Normal          198         4149          517`.

    `cut` is True if the last name in the header was cut off. If the last name was cut off, the numbers after the last
    whole name are ignored.
    """
    fields = line.split()
    numbers = [parse_count(text) for text in fields[4 : 4 + len(types) if cut else None]]
    if len(numbers) != len(types):
        raise ValueError("not a number for each type")
    node, zone = _parse_zone(" ".join(fields[:4]))
    return Pageblocks(node, zone, dict(zip(types, numbers, strict=True)))


def _parse_zone(text: str) -> tuple[int, str]:
    node, _, zone = text.removeprefix("Node").partition(", zone")
    return parse_node(node.strip()), printable_name(zone.strip())
