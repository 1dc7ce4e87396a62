"""Free memory: lists as in the kernel's files, indices by another formula, and the TCP slabs and sockets that fit."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from recorded import copy_recording, each_recording, ledger, ledger_of, slab_rows, text, write_tree

from tcptop.accounting.free_memory import blocks_of_order, unusable_index
from tcptop.ledger import ZoneMemory

BLOCKS = st.lists(st.integers(0, 10**6), min_size=1, max_size=14)


def zone_of(kernel: str, phase: str, node: int, zone: str) -> ZoneMemory:
    [found] = [each for each in ledger(kernel, phase).nodes[node].zones if each.zone == zone]
    return found


# The unusable index.


def test_the_index_is_that_of_debugfs() -> None:
    index = unusable_index((1137, 789, 1850, 763, 240, 501, 1252, 1481, 952, 100, 178))
    assert index[0] == 0
    assert index[3] == 0.012
    assert index[9] == 0.701


@given(BLOCKS)
def test_the_index_is_the_free_pages_in_smaller_blocks_in_thousandths(blocks: list[int]) -> None:
    pages = [count * 2**order for order, count in enumerate(blocks)]
    for order, index in enumerate(unusable_index(tuple(blocks))):
        if sum(pages) == 0:
            assert index == 1
        else:
            assert index == (sum(pages[:order]) * 1000 // sum(pages)) / 1000


@given(BLOCKS)
def test_the_index_grows_with_the_order_and_stays_between_0_and_1(blocks: list[int]) -> None:
    index = unusable_index(tuple(blocks))
    assert list(index) == sorted(index)
    assert 0 <= index[0] <= index[-1] <= 1


@given(BLOCKS, st.integers(0, 13))
def test_larger_blocks_are_split_and_smaller_ones_are_not_joined(blocks: list[int], order: int) -> None:
    expected = 0
    for at, count in enumerate(blocks):
        for _ in range(at - order):
            count *= 2
        expected += count if at >= order else 0
    assert blocks_of_order(tuple(blocks), order) == expected


# Lists as in the kernel's files.


@each_recording
def test_the_free_blocks_of_each_zone_are_those_of_buddyinfo(kernel: str, phase: str) -> None:
    expected = {
        (int(node), zone): tuple(map(int, counts.split()))
        for node, zone, counts in re.findall(
            r"^Node (\d+), zone +(\w+) ([\d ]+)$", text(kernel, phase, "proc/buddyinfo"), re.MULTILINE
        )
    }
    found = {(node.node, zone.zone): zone.free_area for node in ledger(kernel, phase).nodes for zone in node.zones}
    assert found == expected
    for node in ledger(kernel, phase).nodes:
        for zone in node.zones:
            assert zone.free_area is not None
            assert zone.free_pages == sum(count << order for order, count in enumerate(zone.free_area))
            assert zone.unusable_index is not None
            assert len(zone.unusable_index) == len(zone.free_area)


@each_recording
def test_the_migrate_types_and_pageblocks_of_each_zone_are_those_of_pagetypeinfo(kernel: str, phase: str) -> None:
    file = text(kernel, phase, "proc/pagetypeinfo")
    typed: dict[tuple[int, str], dict[str, tuple[int, ...]]] = {}
    for node, zone, name, counts in re.findall(r"^Node +(\d+), zone +(\w+), type +(\w+) ([\d ]+)$", file, re.MULTILINE):
        typed.setdefault((int(node), zone), {})[name] = tuple(map(int, counts.split()))
    titles = re.search(r"^Number of blocks type (.*)$", file, re.MULTILINE)
    assert titles
    blocks = {
        (int(node), zone): dict(zip(titles[1].split(), map(int, counts.split()), strict=True))
        for node, zone, counts in re.findall(r"^Node (\d+), zone +(\w+) ([\d ]+)$", file, re.MULTILINE)
    }
    zones = {(node.node, zone.zone): zone for node in ledger(kernel, phase).nodes for zone in node.zones}
    assert {at: zone.migrate_types for at, zone in zones.items()} == typed
    assert {at: zone.pageblocks for at, zone in zones.items()} == blocks
    assert all(zone.capped == {} for zone in zones.values())


@each_recording
def test_the_watermarks_of_each_zone_are_those_of_zoneinfo(kernel: str, phase: str) -> None:
    blocks = re.split(r"^(?=Node)", text(kernel, phase, "proc/zoneinfo"), flags=re.MULTILINE)[1:]
    expected = {}
    for block in blocks:
        head = re.match(r"Node (\d+), zone +(\w+)\n", block)
        assert head
        keys = [re.search(rf"^ +{key} +(\d+)$", block, re.MULTILINE) for key in ("managed", "min", "low", "high")]
        expected[int(head[1]), head[2]] = tuple(int(match[1]) for match in keys if match)
    found = {
        (node.node, zone.zone): (zone.managed_pages, zone.min_pages, zone.low_pages, zone.high_pages)
        for node in ledger(kernel, phase).nodes
        for zone in node.zones
    }
    assert found == {at: marks for at, marks in expected.items() if marks[0]}


@pytest.mark.parametrize(("kernel", "nodes"), [("6.1-1n", 1), ("6.1-4n", 4), ("6.1-8n", 8), ("6.18-1n", 1)])
def test_every_node_of_the_machine_is_listed(kernel: str, nodes: int) -> None:
    assert [node.node for node in ledger(kernel, "base").nodes] == list(range(nodes))
    assert sum(node.cpus or 0 for node in ledger(kernel, "base").nodes) == ledger(kernel, "base").host.cpus


def test_a_node_without_memory_is_listed_with_its_cpus_and_no_zone() -> None:
    node = ledger("6.1-4n-memoryless", "established").nodes[3]
    assert (node.node, node.cpus, node.cpu_list, node.memory_bytes, node.zones) == (3, 2, "6-7", 0, ())
    for other in ledger("6.1-4n-memoryless", "established").nodes[:3]:
        assert other.zones
        assert other.memory_bytes


# Slabs and sockets that fit, by hand.

TREE = {
    "proc/slabinfo": "slabinfo - version: 2.1\n# name\n"
    "TCP 13 13 2368 13 8 : tunables 0 0 0 : slabdata 1 1 0\n"
    "sock_inode_cache 19 19 832 19 4 : tunables 0 0 0 : slabdata 1 1 0\n"
    "dentry 21 21 192 21 1 : tunables 0 0 0 : slabdata 1 1 0\n"
    "kmem_cache 21 21 192 21 1 : tunables 0 0 0 : slabdata 1 1 0\n",
    "proc/sys/kernel/osrelease": "6.18.44\n",
    "sys/kernel/security/lsm": "capability",
}
SOCKET = 8 * 4096 / 13 + 4 * 4096 / 19 + 4096 / 21
"""The parts that this tree shows: about 3 578 B."""


def zone_tree(
    root: Path, blocks: str, types: str = "", low: int = 0, name: str = "Normal", protection: str = "0"
) -> Path:
    free = sum(int(count) << order for order, count in enumerate(blocks.split()))
    return write_tree(
        root,
        {
            **TREE,
            "proc/buddyinfo": f"Node 0, zone {name:>8} {blocks} \n",
            "proc/zoneinfo": f"Node 0, zone {name:>8}\n  pages free     {free}\n        min      {low // 2}\n"
            f"        low      {low}\n        high     {2 * low}\n        present  1000000\n"
            f"        managed  1000000\n        protection: ({protection})\n",
            "proc/pagetypeinfo": "Free pages count per migrate type at order 0 1 2 3 4\n" + types if types else "\n",
        },
    )


def only_zone(root: Path) -> ZoneMemory:
    [node] = ledger_of(root).nodes
    [zone] = node.zones
    return zone


def test_tcp_slabs_are_the_blocks_of_their_order_and_larger_ones_split(tmp_path: Path) -> None:
    zone = only_zone(zone_tree(tmp_path, "100 50 20 7 3"))
    assert zone.tcp_slabs_free == 7 + 2 * 3
    assert zone.free_pages == 100 + 100 + 80 + 56 + 48


def test_slabs_without_stealing_are_those_of_unmovable_blocks(tmp_path: Path) -> None:
    types = (
        "Node    0, zone   Normal, type    Unmovable 10 5 2 1 1\n"
        "Node    0, zone   Normal, type      Movable 80 40 16 4 1\n"
        "Node    0, zone   Normal, type  Reclaimable 10 5 2 2 1\n"
    )
    zone = only_zone(zone_tree(tmp_path, "100 50 20 7 3", types))
    assert zone.tcp_slabs_free == 13
    assert zone.tcp_slabs_free_without_stealing == 1 + 2


def test_reserved_blocks_hold_no_tcp_slab(tmp_path: Path) -> None:
    types = (
        "Node    0, zone   Normal, type    Unmovable 0 0 0 1 1\n"
        "Node    0, zone   Normal, type      Movable 0 0 0 2 0\n"
        "Node    0, zone   Normal, type   HighAtomic 0 0 0 1 0\n"
        "Node    0, zone   Normal, type          CMA 0 0 0 2 1\n"
        "Node    0, zone   Normal, type      Isolate 0 0 0 1 1\n"
    )
    zone = only_zone(zone_tree(tmp_path, "0 0 0 7 3", types))
    assert zone.tcp_slabs_free == 3 + 2


def test_headroom_is_bounded_by_the_objects_of_the_free_tcp_slabs(tmp_path: Path) -> None:
    zone = only_zone(zone_tree(tmp_path, "90000 0 0 7 3"))
    assert zone.headroom_sockets == 13 * 13


def test_headroom_is_bounded_by_the_pages_above_the_low_watermark(tmp_path: Path) -> None:
    """1 000 blocks of 16 pages, 15 000 of them below the watermark: 1 000 pages for sockets of 3 578 B."""
    zone = only_zone(zone_tree(tmp_path, "0 0 0 0 1000", low=15_000))
    assert zone.headroom_sockets == int(1000 * 4096 / SOCKET) == 1144


def test_pages_protected_from_normal_allocations_give_no_headroom(tmp_path: Path) -> None:
    root = zone_tree(tmp_path, "0 0 0 0 1000", low=100, name="DMA32", protection="0, 0, 14900, 14900, 14900")
    with (root / "proc/zoneinfo").open("a") as zones:
        for name in ("DMA", "Normal", "Movable", "Device"):
            zones.write(f"Node 0, zone {name:>8}\n  pages free     0\n        present  0\n        managed  0\n")
    assert only_zone(root).headroom_sockets == 1144


def test_below_the_low_watermark_there_is_no_headroom(tmp_path: Path) -> None:
    zone = only_zone(zone_tree(tmp_path, "0 0 0 0 1000", low=16_001))
    assert (zone.tcp_slabs_free, zone.headroom_sockets) == (2000, 0)


def test_reserved_pages_give_no_headroom(tmp_path: Path) -> None:
    """As in __zone_watermark_ok, which first subtracts HighAtomic and CMA pages from the free ones."""
    types = (
        "Node    0, zone   Normal, type    Unmovable 0 0 0 0 500\n"
        "Node    0, zone   Normal, type   HighAtomic 0 0 0 0 100\n"
        "Node    0, zone   Normal, type          CMA 0 0 0 0 400\n"
    )
    zone = only_zone(zone_tree(tmp_path, "0 0 0 0 1000", types, low=7_000))
    assert zone.tcp_slabs_free == 1000
    assert zone.headroom_sockets == int(1000 * 4096 / SOCKET)


@pytest.mark.parametrize("name", ["Movable", "HighMem", "Device"])
def test_zones_without_slab_pages_give_no_headroom(tmp_path: Path, name: str) -> None:
    zone = only_zone(zone_tree(tmp_path, "0 0 0 7 3", name=name))
    assert (zone.tcp_slabs_free, zone.headroom_sockets) == (0, 0)


def test_headroom_without_stealing_is_at_most_headroom() -> None:
    for kernel in ("6.1-4n", "7.3-4n", "6.12-arm64-16k-4n"):
        for node in ledger(kernel, "established").nodes:
            for zone in node.zones:
                assert zone.tcp_slabs_free is not None
                assert zone.tcp_slabs_free_without_stealing is not None
                assert zone.headroom_sockets is not None
                assert zone.headroom_sockets_without_stealing is not None
                assert zone.tcp_slabs_free_without_stealing <= zone.tcp_slabs_free
                assert zone.headroom_sockets_without_stealing <= zone.headroom_sockets
            assert node.headroom_sockets == sum(zone.headroom_sockets or 0 for zone in node.zones)


def test_a_recorded_zone_by_hand() -> None:
    """Node 3 of 6.1: `23 1 3 2 0 1 2 1 2 0 346`, low 10 397, no protection; 14 sockets to a slab of order 3."""
    zone = zone_of("6.1-4n", "established", 3, "Normal")
    slabs = 2 + 1 * 4 + 2 * 8 + 1 * 16 + 2 * 32 + 346 * 128
    free = 23 + 2 + 12 + 16 + 32 + 2 * 64 + 128 + 2 * 256 + 346 * 1024
    socket = ledger("6.1-4n", "established").costs["full"].by_family["mix"].accepted.slab_bytes
    assert socket is not None
    assert socket == pytest.approx(3704, abs=1)
    assert zone.tcp_slabs_free == slabs
    assert zone.headroom_sockets == int((free - 10397) * 4096 / socket)
    own = 1
    assert zone.tcp_slabs_free_without_stealing == own
    assert zone.headroom_sockets_without_stealing == own * 14


def test_tcp_slab_order_is_that_of_the_family_of_most_sockets() -> None:
    for kernel, name in (("6.1-4n", "TCP"), ("6.1-4n-ipv6", "TCPv6"), ("6.12-arm64-16k-4n", "TCP")):
        order = ledger(kernel, "established").tcp_slab_order
        assert order is not None
        assert 1 << order == slab_rows(text(kernel, "established", "proc/slabinfo"))[name].pages


# Unknown figures.


@pytest.mark.parametrize(
    ("gone", "unknown"),
    [
        ("proc/zoneinfo", ("managed_pages", "min_pages", "low_pages", "high_pages", "headroom_sockets")),
        ("proc/buddyinfo", ("free_area", "unusable_index", "tcp_slabs_free", "headroom_sockets")),
        (
            "proc/pagetypeinfo",
            ("migrate_types", "pageblocks", "tcp_slabs_free_without_stealing", "headroom_sockets_without_stealing"),
        ),
    ],
)
def test_figures_of_a_missing_file_are_unknown_and_not_zero(
    tmp_path: Path, gone: str, unknown: tuple[str, ...]
) -> None:
    root = copy_recording("6.1-4n", "established", tmp_path)
    (root / gone).unlink()
    nodes, whole = ledger_of(root).nodes, ledger("6.1-4n", "established").nodes
    assert [[zone.zone for zone in node.zones] for node in nodes] == [
        [zone.zone for zone in node.zones] for node in whole
    ]
    for node, same_node in zip(nodes, whole, strict=True):
        for zone, same in zip(node.zones, same_node.zones, strict=True):
            for name in unknown:
                assert getattr(zone, name) is None, name
                assert getattr(same, name) is not None, name


def test_a_capped_count_is_marked_in_its_zone(tmp_path: Path) -> None:
    types = "Node    0, zone   Normal, type    Unmovable >100000 5 2 1 1\n"
    zone = only_zone(zone_tree(tmp_path, "250000 5 2 1 1", types))
    assert zone.capped == {"Unmovable": (0,)}
    assert zone.migrate_types == {"Unmovable": (100000, 5, 2, 1, 1)}
    assert zone.free_area == (250000, 5, 2, 1, 1)
