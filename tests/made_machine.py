"""Synthetic machines as trees in the kernel's formats: a recording with other nodes, zones and orders.

Slab caches, sockets and limits are those of the recording; the objects of each cache are spread over the nodes with
memory, with their total unchanged.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from recorded import tree

PAGE_BYTES = 4096
TYPES = ("Unmovable", "Movable", "Reclaimable", "HighAtomic", "Isolate")
MAX_COUNTED = 100_000
"""Since 5.4, the kernel stops counting at this number (mm/vmstat.c)."""


@dataclass(frozen=True, slots=True)
class MadeZone:
    """A zone by its free blocks of each order; a tenth of it and 1 000 more pages are used."""

    name: str
    blocks: tuple[int, ...]
    low_pages: int = 10_660

    @property
    def free_pages(self) -> int:
        return sum(count << order for order, count in enumerate(self.blocks))

    @property
    def managed_pages(self) -> int:
        return 1_000 + self.free_pages * 10 // 9


@dataclass(frozen=True, slots=True)
class MadeNode:
    """A node. A node without CPUs has an empty list of CPUs; a node without memory has no zones."""

    number: int
    cpu_list: str
    zones: tuple[MadeZone, ...]


def used_free_blocks(orders: int, largest: int) -> tuple[int, ...]:
    """Free blocks of a machine in use: few blocks of each order, and `largest` blocks of the highest order."""
    return (*(3 * (orders - order) % 7 for order in range(orders - 1)), largest)


def normal_node(number: int, cpu_list: str, largest: int, orders: int = 11) -> MadeNode:
    """A node with only zone Normal, as most nodes have."""
    return MadeNode(number, cpu_list, (MadeZone("Normal", used_free_blocks(orders, largest)),))


MACHINES: Mapping[str, tuple[MadeNode, ...]] = {
    "64 nodes": tuple(
        normal_node(number, f"{2 * number}-{2 * number + 1}", 900 + 37 * (number % 11)) for number in range(64)
    ),
    "sparse numbers": (
        normal_node(0, "0-79", 4_000),
        normal_node(8, "80-159", 3_100),
        # Node numbers of GPU memory on POWER9.
        MadeNode(252, "", (MadeZone("Movable", used_free_blocks(11, 2_000)),)),
        MadeNode(255, "", (MadeZone("Movable", used_free_blocks(11, 2_048)),)),
    ),
    "without memory or CPUs": (
        normal_node(0, "0-7", 3_000),
        MadeNode(1, "8-15", ()),
        normal_node(2, "", 3_000),
        MadeNode(3, "", ()),
    ),
    "movable only": (
        normal_node(0, "0-7", 500),
        MadeNode(1, "8-15", (MadeZone("Movable", used_free_blocks(11, 8_000)),)),
    ),
    "below its watermark": (
        MadeNode(0, "0-7", (MadeZone("Normal", (4_000, 900, 200, 30, 0, 0, 0, 0, 0, 0, 0)),)),
        normal_node(1, "8-15", 3_000),
    ),
    "counts that are capped": (
        MadeNode(0, "0-7", (MadeZone("Normal", (1_234_567, 400_000, 100_001, 7, 0, 0, 0, 0, 0, 0, 12_345)),)),
        normal_node(1, "8-15", 3_000),
    ),
    "9 orders": (normal_node(0, "0-3", 900, orders=9), normal_node(1, "4-7", 700, orders=9)),
    "14 orders": (normal_node(0, "0-3", 90, orders=14), normal_node(1, "4-7", 70, orders=14)),
}


def make_machine(machine: str, into: Path, kernel: str = "6.1-4n", phase: str = "established") -> Path:
    """Write the tree of a machine and return its folder."""
    nodes = MACHINES[machine]
    folder = Path(shutil.copytree(tree(kernel, phase), into, symlinks=True))
    (folder / "proc/buddyinfo").write_text(buddyinfo(nodes))
    (folder / "proc/pagetypeinfo").write_text(pagetypeinfo(nodes))
    (folder / "proc/zoneinfo").write_text(zoneinfo(nodes))
    memory_kib = [PAGE_BYTES // 1024 * sum(zone.managed_pages for zone in node.zones) for node in nodes]
    write_meminfo(folder / "proc/meminfo", sum(memory_kib))
    system = folder / "sys/devices/system"
    shutil.rmtree(system / "node")
    for node, kib in zip(nodes, memory_kib, strict=True):
        place = system / f"node/node{node.number}"
        place.mkdir(parents=True)
        (place / "cpulist").write_text(f"{node.cpu_list}\n")
        (place / "meminfo").write_text(f"Node {node.number} MemTotal: {kib:14} kB\n")
    (system / "cpu/online").write_text(f"{','.join(node.cpu_list for node in nodes if node.cpu_list)}\n")
    for attribute in ("slabs", "total_objects"):
        for file in (folder / "sys/kernel/slab").glob(f"*/{attribute}"):
            file.write_text(spread(int(file.read_text().split()[0]), nodes))
    return folder


def buddyinfo(nodes: Sequence[MadeNode]) -> str:
    """/proc/buddyinfo as frag_show_print() in mm/vmstat.c prints it."""
    return "".join(
        f"Node {node.number}, zone {zone.name:>8} {''.join(f'{count:6} ' for count in zone.blocks)}\n"
        for node in nodes
        for zone in node.zones
    )


def pagetypeinfo(nodes: Sequence[MadeNode]) -> str:
    """/proc/pagetypeinfo as pagetypeinfo_show() in mm/vmstat.c prints it: both tables for each node with memory."""
    orders = max(len(zone.blocks) for node in nodes for zone in node.zones)
    block_order = min(9, orders - 1)
    texts: list[str] = []
    for node in nodes:
        if not node.zones:
            continue
        texts.append(f"Page block order: {block_order}\nPages per block:  {1 << block_order}\n\n")
        texts.append(f"{'Free pages count per migrate type at order':<43} ")
        texts.append("".join(f"{order:6} " for order in range(orders)) + "\n")
        texts += [
            f"Node {node.number:4}, zone {zone.name:>8}, type {each:>12} {''.join(map(capped_count, blocks))}\n"
            for zone in node.zones
            for each, blocks in by_type(zone).items()
        ]
        texts.append(f"\n{'Number of blocks type':<23}{''.join(f'{each:>12} ' for each in TYPES)}\n")
        for zone in node.zones:
            total = zone.managed_pages >> block_order
            unmovable = 0 if zone.name == "Movable" else total // 10
            numbers = (unmovable, total - unmovable, 0, 0, 0)
            texts.append(f"Node {node.number}, zone {zone.name:>8} {''.join(f'{number:12} ' for number in numbers)}\n")
        texts.append("\n")
    return "".join(texts)


def capped_count(blocks: int) -> str:
    """A count as the kernel prints it, with `>` at the cap."""
    return f"{'>' if blocks > MAX_COUNTED else ''}{min(blocks, MAX_COUNTED):6} "


def by_type(zone: MadeZone) -> dict[str, tuple[int, ...]]:
    """A zone's blocks by migrate type: a third of the small blocks is Unmovable, except in zone Movable."""
    movable_zone = zone.name == "Movable"
    unmovable = tuple(0 if movable_zone or order > 3 else count // 3 for order, count in enumerate(zone.blocks))
    none = (0,) * len(zone.blocks)
    movable = tuple(count - other for count, other in zip(zone.blocks, unmovable, strict=True))
    return dict(zip(TYPES, (unmovable, movable, none, none, none), strict=True))


def zoneinfo(nodes: Sequence[MadeNode]) -> str:
    """/proc/zoneinfo as zoneinfo_show_print() in mm/vmstat.c prints it, without the statistics."""
    texts = []
    for node in nodes:
        for zone in node.zones:
            pages = {
                "boost": 0,
                "min": zone.low_pages * 4 // 5,
                "low": zone.low_pages,
                "high": zone.low_pages * 6 // 5,
                "spanned": zone.managed_pages,
                "present": zone.managed_pages,
                "managed": zone.managed_pages,
                "cma": 0,
            }
            texts.append(
                f"Node {node.number}, zone {zone.name:>8}\n  pages free     {zone.free_pages}\n"
                + "".join(f"        {name:<8} {count}\n" for name, count in pages.items())
                + f"        protection: (0, 0, 0, 0, 0)\n      nr_free_pages {zone.free_pages}\n"
            )
    return "".join(texts)


def write_meminfo(file: Path, total_kib: int) -> None:
    """Write the machine's memory into a meminfo, nine tenths of it free, 128 MiB of that in the zones' reserves."""
    free_kib = total_kib * 9 // 10
    amounts = {"MemTotal": total_kib, "MemFree": free_kib, "MemAvailable": max(0, free_kib - (128 << 10))}
    lines = [
        f"{name}:{amounts.get(name, 0):>15} kB\n" if name in amounts else f"{name}:{rest}"
        for name, _, rest in (line.partition(":") for line in file.read_text().splitlines(keepends=True))
    ]
    file.write_text("".join(lines))


def spread(total: int, nodes: Sequence[MadeNode]) -> str:
    """A count per node, as show_slab_objects() in mm/slub.c prints it: nodes with 0 are left out."""
    holding = [node.number for node in nodes if any(zone.name != "Movable" for zone in node.zones)]
    shares = [total * (at + 1) // len(holding) - total * at // len(holding) for at in range(len(holding))]
    texts = [f" N{number}={share}" for number, share in zip(holding, shares, strict=True) if share]
    return f"{total}{''.join(texts)}\n"
