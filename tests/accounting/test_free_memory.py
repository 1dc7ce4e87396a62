"""Free memory: free lists, fragmentation indices by another formula, and the numbers of TCP slabs and sockets that
fit.
"""

from __future__ import annotations

import json
import re
from pathlib import Path

import forked_program
import pytest
from hypothesis import given
from hypothesis import strategies as st
from recorded import copy_recording, each_recording, ledger, text

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


# Free lists equal those in the kernel's files.


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


# Numbers of slabs and sockets that fit, computed by hand.

TREE = {
    "proc/slabinfo": "slabinfo - version: 2.1\n# name\n"
    "TCP 13 13 2368 13 8 : tunables 0 0 0 : slabdata 1 1 0\n"
    "sock_inode_cache 19 19 832 19 4 : tunables 0 0 0 : slabdata 1 1 0\n"
    "dentry 21 21 192 21 1 : tunables 0 0 0 : slabdata 1 1 0\n"
    "kmem_cache 21 21 192 21 1 : tunables 0 0 0 : slabdata 1 1 0\n",
    "proc/sys/kernel/osrelease": "6.18.44\n",
    "sys/kernel/security/lsm": "capability",
}


def test_cma_is_left_out_without_pagetypeinfo(tmp_path: Path) -> None:
    """Without root, only zoneinfo shows the free pages of CMA: 3 904 pages on node 1."""
    root = copy_recording("6.12-arm64-16k-4n", "established", tmp_path)
    reports = []
    for _ in range(2):
        done = forked_program.run("--json", "--root", root)
        assert done.returncode == 0, done.stderr
        nodes = json.loads(done.stdout)["nodes"]
        names = ("tcp_slabs_free", "mini_socket_slabs_free")
        reports.append([[zone[name] for name in names] for node in nodes for zone in node["zones"]])
        (root / "proc/pagetypeinfo").unlink(missing_ok=True)
    assert reports[0] == reports[1]
    [with_cma] = re.findall(r"nr_free_cma +([1-9]\d*)", (root / "proc/zoneinfo").read_text())
    assert int(with_cma) > 0
