"""Kernel files of machines that others published in mails, bug reports and repositories.

The corpus is not part of the repository; without it these tests are skipped.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from recorded import ledger_of, snapshot_of

from tcptop.accounting import account
from tcptop.report.as_json import as_json
from tcptop.report.as_text import as_text
from tcptop.snapshot import Buddyinfo, Pagetypeinfo, Reading, Slabinfo, Snapshot

CORPUS = Path(__file__).resolve().parents[2] / "shared/corpus"
TREES = sorted(path.name for path in CORPUS.iterdir()) if CORPUS.is_dir() else []

pytestmark = pytest.mark.skipif(not TREES, reason=f"there is no corpus in {CORPUS}")

each_tree = pytest.mark.parametrize("name", TREES or ["none"])

DAMAGED = {
    "slab-2.2.19-v1.0": {"slabinfo": "strange"},
    "slab-2.4-v1.1-smp": {"slabinfo": "strange"},
    "slab-2.4.19-v1.1-stats": {"slabinfo": "strange"},
    "termtrunc-pagetypeinfo": {"pagetypeinfo": "cut"},
    "beats-pagetypeinfo-2": {"pagetypeinfo": "cut"},  # without its last line break
    "debian-5.10-empty-files": {
        "slabinfo": "empty",
        "pagetypeinfo": "empty",
        "sockstat": "empty",
        "sockstat6": "empty",
        "protocols": "empty",
    },
}
FILES = {
    "slabinfo": "proc/slabinfo",
    "zoneinfo": "proc/zoneinfo",
    "buddyinfo": "proc/buddyinfo",
    "pagetypeinfo": "proc/pagetypeinfo",
    "sockstat": "proc/net/sockstat",
    "sockstat6": "proc/net/sockstat6",
    "protocols": "proc/net/protocols",
    "meminfo": "proc/meminfo",
}


def snapshot(name: str) -> Snapshot:
    return snapshot_of(CORPUS / name)


def buddyinfo(name: str) -> Buddyinfo:
    value = snapshot(name).buddyinfo.value
    assert value is not None
    return value


def pagetypeinfo(name: str) -> Pagetypeinfo:
    value = snapshot(name).pagetypeinfo.value
    assert value is not None
    return value


def slabinfo(name: str) -> Slabinfo:
    value = snapshot(name).slabinfo.value
    assert value is not None
    return value


@each_tree
def test_every_tree_has_a_ledger_and_both_reports(name: str) -> None:
    ledger = account(snapshot(name))
    assert as_json(ledger).startswith("{")
    report = as_text(ledger)
    assert report.isascii()
    assert report.endswith("\n")


@each_tree
def test_each_file_is_read_completely_or_has_the_known_damage(name: str) -> None:
    seen = snapshot(name)
    for source, path in FILES.items():
        reading: Reading[object] = getattr(seen, source)
        there = (CORPUS / name / path).exists()
        assert reading.state == (DAMAGED.get(name, {}).get(source, "ok") if there else "missing"), source
        assert (reading.reason is None) == (reading.state == "ok"), source


@each_tree
def test_no_line_of_an_undamaged_file_is_lost(name: str) -> None:
    seen, damaged = snapshot(name), DAMAGED.get(name, {})
    for source in ("buddyinfo", "pagetypeinfo", "zoneinfo", "slabinfo"):
        path = CORPUS / name / FILES[source]
        value = getattr(seen, source).value
        if not path.exists() or source in damaged:
            continue
        lines = path.read_text().splitlines()
        if source == "slabinfo":
            assert len(value.rows) == sum(1 for line in lines[1:] if line and not line.startswith("#"))
        elif source == "buddyinfo":
            assert len(value.areas) == sum(line.startswith("Node") for line in lines)
        elif source == "zoneinfo":
            assert len(value.zones) == sum(line.startswith("Node") for line in lines)
        else:
            typed = sum(line.startswith("Node") and ", type " in line for line in lines)
            assert len(value.areas) == typed
            assert len(value.pageblocks) == sum(line.startswith("Node") for line in lines) - typed


@pytest.mark.parametrize(
    ("name", "version"),
    [("slab-2.2.19-v1.0", "1.0"), ("slab-2.4-v1.1-smp", "1.1"), ("slab-2.4.19-v1.1-stats", "1.1")],
)
def test_slabinfo_of_the_2_2_and_2_4_kernels_is_rejected_by_its_version(name: str, version: str) -> None:
    reading = snapshot(name).slabinfo
    assert (reading.state, reading.value) == ("strange", None)
    assert reading.reason is not None
    assert version in reading.reason


def test_slabinfo_2_0_with_statistics() -> None:
    value = slabinfo("slab-2.6.5-v2.0-stats")
    assert len(value.rows) == 37
    [row] = [row for row in value.rows if row.name == "nfs_inode_cache"]
    assert (row.active_objects, row.objects, row.object_bytes, row.objects_per_slab, row.slabs) == (10, 12, 1216, 3, 4)


def test_slabinfo_of_the_slab_allocator_gives_the_page_size_by_objects_that_fill_their_slab() -> None:
    value = slabinfo("molgen-5.4.54-slab")
    assert any(row.tunables_limit for row in value.rows)
    ledger = ledger_of(CORPUS / "molgen-5.4.54-slab")
    assert ledger.host.page_size_bytes == 4096
    assert {cache.name: cache.bytes for cache in ledger.caches}["sock_inode_cache"] == 92 * 4096


@pytest.mark.parametrize(
    ("name", "size"),
    [
        ("ppc32-g4-bad-boot", 4096),
        ("armv7-zynq-4.4-slab", 4096),
        ("ppc64le-4.11-hotplug-zoneinfo", None),
        ("debian-5.10-empty-files", 4096),
    ],
)
def test_the_page_size_follows_from_any_file_that_implies_it(name: str, size: int | None) -> None:
    assert ledger_of(CORPUS / name).host.page_size_bytes == size


def test_figures_of_empty_files_are_unknown() -> None:
    ledger = ledger_of(CORPUS / "debian-5.10-empty-files")
    assert ledger.sources["slabinfo"].state == "empty"
    assert ledger.caches == ()
    assert ledger.sockets.allocated is None
    assert ledger.tcp_memory.bytes is None
    assert [zone.zone for zone in ledger.nodes[0].zones] == ["DMA", "DMA32"]
    assert ledger.nodes[0].zones[0].free_area is not None
    assert ledger.nodes[0].zones[0].migrate_types is None


def test_a_table_cut_by_a_terminal_keeps_orders_0_to_9_and_says_so() -> None:
    reading = snapshot("termtrunc-pagetypeinfo").pagetypeinfo
    assert reading.state == "cut"
    assert reading.reason is not None
    assert "after order 9" in reading.reason
    value = pagetypeinfo("termtrunc-pagetypeinfo")
    assert {len(area.blocks) for area in value.areas} == {10}
    [movable] = [area for area in value.areas if (area.zone, area.migrate_type) == ("Normal", "Movable")]
    assert movable.blocks == (2029, 4852, 3866, 5212, 5979, 3642, 1616, 508, 173, 41)
    assert value.pageblocks[2].count_by_type == {
        "Unmovable": 127,
        "Movable": 2088,
        "Reclaimable": 89,
        "HighAtomic": 0,
        "CMA": 0,
        "Isolate": 0,
    }


def test_capped_counts_are_marked_by_node_zone_type_and_order() -> None:
    value = pagetypeinfo("hygon-8node-capped")
    capped = [
        (area.node, area.zone, area.migrate_type, area.capped_orders) for area in value.areas if area.capped_orders
    ]
    assert sum(len(orders) for *_, orders in capped) == 23
    assert sum((CORPUS / "hygon-8node-capped" / FILES["pagetypeinfo"]).read_text().count(mark) for mark in [">"]) == 23
    for area in value.areas:
        assert all(area.blocks[order] == 100_000 for order in area.capped_orders)
    assert {area.node for area in value.areas} == set(range(8))
    ledger = ledger_of(CORPUS / "hygon-8node-capped")
    shown = {
        (node.node, zone.zone, name, orders)
        for node in ledger.nodes
        for zone in node.zones
        for name, orders in (zone.capped or {}).items()
    }
    assert shown == set(capped)


def test_nodes_with_gaps_in_their_numbers_and_only_movable_memory() -> None:
    ledger = ledger_of(CORPUS / "arm-sparse-movable-nodes-buddy")
    assert [node.node for node in ledger.nodes] == [0, *range(31, 41)]
    assert [zone.zone for zone in ledger.nodes[1].zones] == ["Movable"]
    assert ledger.nodes[-1].zones[0].free_area == (0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 35)
    assert [node.node for node in ledger_of(CORPUS / "talos2-ppc64-4.20").nodes] == [0, 8]


@pytest.mark.parametrize(
    ("name", "orders", "nodes"),
    [
        ("arm64-12orders-cma", 12, 1),
        ("arm64-64k-4node-buddy", 14, 4),
        ("arm64-d03-64k-buddy", 14, 1),
        ("arm64-d05-64k-4node-buddy", 14, 4),
        ("x86-8node-4.10-buddy", 11, 8),
        ("x86-openeuler-buddy", 11, 1),
        ("centos7.6-2node-buddy", 11, 2),
    ],
)
def test_all_orders_and_nodes_of_the_machine_are_read(name: str, orders: int, nodes: int) -> None:
    value = buddyinfo(name)
    assert {len(area.blocks) for area in value.areas} == {orders}
    assert len({area.node for area in value.areas}) == nodes


def test_migrate_types_of_vendors_keep_their_names() -> None:
    value = pagetypeinfo("huawei-mirror-2node-pagetypeinfo")
    types = list(dict.fromkeys(area.migrate_type for area in value.areas))
    assert types.index("Reclaimable") < types.index("Movable")
    assert {"Mirror", "Reserve"} <= set(types)


def test_a_node_without_cpulist_and_with_more_free_memory_than_memory() -> None:
    ledger = ledger_of(CORPUS / "ppc64-2.6.16-memoryless-sysfs")
    assert [(node.node, node.cpus) for node in ledger.nodes] == [(0, None), (1, None)]
    assert [(node.memory_bytes, node.free_bytes) for node in ledger.nodes] == [(229376 << 10, 0), (None, None)]
    sentence = "node 1 has 446 160 896 B of free memory in 335 544 320 B"
    assert sentence in (ledger.sources["topology"].reason or "")


def test_high_memory_and_movable_zones_hold_no_slabs() -> None:
    for name in ("armv7-4.14-cma-highmem-zoneinfo", "x86-4.17-movablecore-zoneinfo"):
        for node in ledger_of(CORPUS / name).nodes:
            for zone in node.zones:
                if zone.zone in ("HighMem", "Movable"):
                    assert zone.tcp_slabs_free in (0, None)
