"""Headroom from damaged, impossible or incomplete files: unknown with a reason, never too large, and never 0."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from program import output, report, run
from recorded import copy_recording, write_buffers
from slow_case import slow

KERNEL = "6.1-4n"
SOCKETS = 1_546_530
"""Headroom of the unchanged recording."""
FREE_SOCKETS = 1_544_449
"""The part of it in free memory."""

CACHE = "active_file 0\ninactive_file 0"

MEMINFO = (
    (r"Active\(file\): +\d+", "Active(file): 9999999999999"),
    slow(r"Inactive\(file\): +\d+", "Inactive(file): 9999999999999"),
    slow(r"KReclaimable: +\d+", "KReclaimable: 9999999999999"),
    (r"(?s)KReclaimable: +\d+(.*)SReclaimable: +\d+", r"KReclaimable: 5000000\1SReclaimable: 5000000"),
    slow(r"MemFree: +\d+", "MemFree: 99999999999"),
    (r"MemAvailable: +\d+", "MemAvailable: 99999999999"),
    slow(r"MemTotal: +\d+", "MemTotal: 0"),
    slow(r"MemTotal: +\d+", "MemTotal: 1000000 kB\nMemTotal: 6077648"),
    (r"KReclaimable: +\d+", "KReclaimable: x"),
    slow(r"KReclaimable: +\d+", "KReclaimable: -1"),
    slow(r"(MemTotal: +\d+) kB", r"\1 MB"),
    slow(r"(MemTotal: +\d+) kB", r"\1"),
)
ZONEINFO = (
    (r"^( +count: +)\d+", r"\g<1>99999999999"),
    (r"^( +nr_inactive_file +)\d+", r"\g<1>999999999999"),
    (r"^( +(?:low|high) +)\d+", r"\g<1>99999999"),
    slow(r"protection: \(0, .*\)", "protection: (0, 99999999, 99999999, 99999999, 99999999)"),
    slow(r"nr_free_cma +\d+", "nr_free_cma 99999999"),
    (r"^Node 1, zone", "Node x, zone"),
    slow(r"^( +managed +)\d+", r"\g<1>x"),
    slow(r"^( +pages free +)\d+", r"\g<1>-5"),
    slow(r"^Node 1, zone +Normal", "Node 1, zone DMA32"),
)


def edit(root: Path, path: str, pattern: str, replacement: str) -> None:
    file = root / path
    changed = re.sub(pattern, replacement, file.read_text(), flags=re.MULTILINE)
    assert changed != file.read_text()
    file.write_text(changed)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return copy_recording(KERNEL, "established", tmp_path)


def test_the_unchanged_recording_has_a_headroom(root: Path) -> None:
    headroom = report(root)["headroom"]
    assert (headroom["sockets"], headroom["without_reclaim_high"]) == (SOCKETS, FREE_SOCKETS)


@pytest.mark.parametrize(("pattern", "replacement"), MEMINFO)
def test_damaged_or_impossible_meminfo_gives_no_headroom_with_reclaim(
    root: Path, pattern: str, replacement: str
) -> None:
    edit(root, "proc/meminfo", pattern, replacement)
    found = report(root)
    assert found["sources"]["meminfo"]["state"] == "strange"
    assert found["headroom"]["sockets"] is None
    assert found["headroom"]["with_reclaim"] is None
    assert "meminfo" in found["headroom"]["unknown_because"]
    assert found["headroom"]["late_bytes"] is None
    # Free memory alone, by zoneinfo. Of the memory that no zone manages, all may be free: MemFree cannot tell.
    zoneinfo = (root / "proc/zoneinfo").read_text()
    present, managed = (sum(map(int, re.findall(rf"{name} +(\d+)", zoneinfo))) for name in ("present", "managed"))
    headroom = found["headroom"]
    unmanaged_sockets = (present - managed) * 4096 / headroom["bytes_per_socket"]
    assert unmanaged_sockets > 10_000
    assert headroom["without_reclaim_high"] - FREE_SOCKETS == pytest.approx(unmanaged_sockets, abs=1)


@pytest.mark.parametrize(("pattern", "replacement"), ZONEINFO)
def test_damaged_or_impossible_zoneinfo_gives_no_headroom(root: Path, pattern: str, replacement: str) -> None:
    edit(root, "proc/zoneinfo", pattern, replacement)
    found = report(root)
    assert found["sources"]["zoneinfo"]["state"] == "strange"
    headroom = found["headroom"]
    assert [headroom[name] for name in ("sockets", "without_reclaim_low", "without_reclaim_high")] == [None] * 3
    assert "zoneinfo" in headroom["unknown_because"]


def test_zoneinfo_cut_at_the_end_of_a_node_is_no_free_memory_elsewhere(root: Path) -> None:
    """MemTotal minus the managed pages of node 0 would count as memory that is not initialised yet."""
    edit(root, "proc/zoneinfo", r"(?s)^Node 1, .*", "")
    edit(root, "proc/meminfo", r"MemFree: +\d+", "MemFree: 40000")
    headroom = report(root)["headroom"]
    assert headroom["sockets"] is None
    assert "node 1" in headroom["unknown_because"]


def test_memtotal_above_the_zones_is_no_free_memory(root: Path) -> None:
    edit(root, "proc/meminfo", r"MemTotal: +\d+", "MemTotal: 99999999999")
    found = report(root)
    assert found["sources"]["meminfo"]["state"] == "strange"
    assert found["headroom"]["late_bytes"] is None
    assert found["headroom"]["sockets"] is None


def test_meminfo_of_a_container_says_nothing_of_the_machines_cache(root: Path) -> None:
    for name, kib in (("MemTotal", 5_000_000), ("MemFree", 400_000), ("MemAvailable", 450_000)):
        edit(root, "proc/meminfo", rf"{name}: +\d+", f"{name}: {kib}")
    headroom = report(root)["headroom"]
    assert headroom["sockets"] is None
    assert "container" in headroom["unknown_because"]


def test_a_zone_without_buddyinfo_leaves_the_low_end_unknown(root: Path) -> None:
    edit(root, "proc/buddyinfo", r"^Node [23].*\n", "")
    headroom = report(root)["headroom"]
    assert headroom["without_reclaim_low"] is None
    assert headroom["sockets"] == SOCKETS


def test_free_cma_memory_gives_no_large_blocks(root: Path) -> None:
    """Half of the free memory is CMA, in blocks of order 10; the other half is in single pages."""
    (root / "proc/pagetypeinfo").unlink()
    parts = re.split(r"(?m)^(?=Node \d, zone)", (root / "proc/zoneinfo").read_text())
    free = {
        (match[1], match[2]): int(match[3])
        for part in parts
        if (match := re.match(r"(?s)Node (\d), zone +(\w+).*?pages free +(\d+)", part))
    }
    for number, part in enumerate(parts):
        head = re.match(r"Node (\d), zone +(\w+)", part)
        if head:
            half = free[head[1], head[2]] // 2 // 1024 * 1024
            parts[number] = re.sub(r"nr_free_cma +\d+", f"nr_free_cma {half}", part)
    (root / "proc/zoneinfo").write_text("".join(parts))
    lines = []
    for line in (root / "proc/buddyinfo").read_text().splitlines():
        head = re.match(r"Node (\d), zone +(\w+)", line)
        assert head
        blocks = free[head[1], head[2]] // 2 // 1024
        lines.append(f"{head[0]} {free[head[1], head[2]] - blocks * 1024} " + "0 " * 9 + str(blocks))
    (root / "proc/buddyinfo").write_text("\n".join(lines) + "\n")
    with_cma = report(root)["headroom"]
    edit(root, "proc/buddyinfo", r" \d+$", " 0")
    without = report(root)["headroom"]
    assert with_cma["without_reclaim_low"] == without["without_reclaim_low"]
    assert with_cma["without_reclaim_low"] < 0.7 * with_cma["without_reclaim_high"]


def swap_normal_and_movable(root: Path) -> None:
    """Gives the memory of zone Normal of node 3 to zone Movable, with 1 000 free pages."""
    edit(root, "proc/zoneinfo", r"(?s)^(Node 3, zone +)Normal(.*?^  pages free +)\d+", r"\1Movable\g<2>1000")
    edit(root, "proc/zoneinfo", r"(?s)^(Node 3, zone +)Movable\n(?=  pages free +0\n)", r"\1Normal\n")
    edit(root, "proc/meminfo", r"MemFree: +\d+", "MemFree: 4300000")
    edit(root, "proc/meminfo", r"MemAvailable: +\d+", "MemAvailable: 4100000")


def test_page_cache_in_zone_movable_gives_no_slabs(root: Path) -> None:
    """Reclaim of page cache in this zone frees pages that slabs never use."""
    swap_normal_and_movable(root)
    without = report(root)["headroom"]["sockets"]
    edit(root, "proc/meminfo", r"Inactive\(file\): +\d+", "Inactive(file): 1360000")
    edit(root, "proc/zoneinfo", r"(?s)^(Node 3, zone +Movable.*?nr_zone_inactive_file +)\d+", r"\g<1>340000")
    assert report(root)["headroom"]["sockets"] == without


def test_unread_data_is_part_of_the_bytes_of_one_more_socket(root: Path) -> None:
    """100 000 pages charged to 16 001 sockets: 25 598 B each at most."""
    write_buffers(root, 100_000)
    edit(root, "proc/meminfo", r"MemFree: +\d+", "MemFree: 5400000")
    found = report(root)
    headroom, charged = found["headroom"], 100_000 * 4096 / found["sockets"]["allocated"]
    slabs = 3_799.92
    assert headroom["bytes_per_socket"] == pytest.approx(slabs)
    assert headroom["high_buffer_bytes"] >= charged
    assert headroom["without_reclaim_low"] <= headroom["without_reclaim_high"] * headroom["bytes_per_socket"] / (
        slabs + charged
    )


def test_an_incomplete_socket_makes_every_headroom_of_memory_an_upper_bound(root: Path) -> None:
    (root / "proc/slabinfo").unlink()
    found = report(root)
    assert not found["bytes_per_connection"]["full"]["mix"]["outgoing"]["complete"]
    assert found["headroom"]["is_at_most"]
    assert next(each for each in found["limits"] if each["name"] == "memory")["headroom_is_at_most"]


@pytest.mark.parametrize(
    ("path", "content", "name"),
    [
        ("proc/sys/fs/file-nr", "20000\t0\t0\n", "file_max"),
        slow("proc/sys/net/ipv4/tcp_max_tw_buckets", "0\n", "tcp_max_tw_buckets"),
        slow("proc/sys/net/ipv4/tcp_max_orphans", "0\n", "tcp_max_orphans"),
    ],
)
def test_a_limit_of_0_is_full(root: Path, path: str, content: str, name: str) -> None:
    (root / path).write_text(content)
    [limit] = [limit for limit in report(root)["limits"] if limit["name"] == name]
    assert limit["state"] == "full"


def test_an_unreadable_number_of_flows_is_not_no_flow(root: Path) -> None:
    folder = root / "proc/sys/net/netfilter"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "nf_conntrack_max").write_text("262144\n")
    (folder / "nf_conntrack_count").write_text("-3\n")
    [limit] = [limit for limit in report(root)["limits"] if limit["name"] == "nf_conntrack_max"]
    assert (limit["used"], limit["state"]) == (None, "unknown")
    assert "not known" in limit["note"]


@pytest.mark.parametrize("line", ["nr_free_cma", "count:"])
def test_a_lost_count_of_a_zone_is_unknown(root: Path, line: str) -> None:
    """The last zone Normal loses its free CMA pages, or one CPU's pages."""
    path = root / "proc/zoneinfo"
    before, zone, after = path.read_text().rpartition("zone   Normal")
    path.write_text(before + zone + re.sub(rf"^ +{line} .*\n", "", after, count=1, flags=re.MULTILINE))
    headroom = report(root)["headroom"]
    assert headroom["sockets"] is None
    assert headroom["without_reclaim_high"] is None
    assert headroom["unknown_because"] == "zoneinfo's free pages, watermarks or protection are not known"


@pytest.mark.parametrize(
    ("path", "line", "file"),
    [("proc/meminfo", "MemFree:", "meminfo has no MemFree"), ("proc/zoneinfo", " +managed", "zoneinfo has no managed")],
)
def test_memory_that_may_not_be_initialised_yet_is_not_0(root: Path, path: str, line: str, file: str) -> None:
    edit(root, path, rf"\A((?s:.*?)^){line} .*\n", r"\1")
    found = report(root)["headroom"]
    assert (found["sockets"], found["with_reclaim"], found["late_bytes"]) == (None, None, None)
    assert file in found["unknown_because"]
    plan = json.loads(run("plan", "--connections", "1000", "--root", root, "--json").stdout)
    assert plan["verdict"] == "cannot say"


NODE_COUNTS = ("nr_slab_reclaimable", "nr_kernel_misc_reclaimable", "nr_active_file", "nr_inactive_file")


@pytest.mark.parametrize("key", NODE_COUNTS)
@pytest.mark.parametrize("left", ["", r"\2\n"])
def test_a_lost_or_cut_count_of_a_node_is_not_0(root: Path, key: str, left: str) -> None:
    edit(root, "proc/zoneinfo", rf"\A((?s:.*?)^)( +{key}) +\d+\n", rf"\1{left}")
    nodes = report(root)["headroom"]["nodes"]
    assert [nodes[node]["with_reclaim"] is None for node in sorted(nodes)] == [True, False, False, False]


@pytest.mark.parametrize("key", ["nr_slab_reclaimable", "nr_active_file", "nr_inactive_file"])
def test_a_lost_count_of_a_zone_makes_that_of_its_node_unknown(root: Path, key: str) -> None:
    """Kernels before 4.8 print these counts for each zone, after its free pages."""
    zoneinfo = root / "proc/zoneinfo"
    per_zone = re.sub(
        r"^ +nr_(slab_reclaimable|kernel_misc_\w+|foll_\w+|(in)?active_file) +\d+\n",
        "",
        zoneinfo.read_text(),
        flags=re.M,
    )
    counts = "".join(f"      {name} 20000\n" for name in ("nr_active_file", "nr_inactive_file", "nr_slab_reclaimable"))
    zoneinfo.write_text(re.sub(r"^(  pages free +[1-9].*\n)", rf"\1{counts}", per_zone, flags=re.M))
    assert None not in [each["with_reclaim"] for each in report(root)["headroom"]["nodes"].values()]
    edit(root, "proc/zoneinfo", rf"\A((?s:.*?)^) +{key} +\d+\n", r"\1")
    nodes = report(root)["headroom"]["nodes"]
    assert [nodes[node]["with_reclaim"] is None for node in sorted(nodes)] == [True, False, False, False]


def test_the_meminfo_of_another_node_is_not_a_nodes_own(root: Path) -> None:
    folder = root / "sys/devices/system/node"
    (folder / "node1/meminfo").write_text((folder / "node0/meminfo").read_text())
    health = report(root)["sources"]["topology"]
    assert health["state"] == "strange"
    assert "the meminfo of node 1 is of node 0" in health["reason"]


@pytest.mark.parametrize("lost", ["nr_zone_active_file", "nr_zone_inactive_file"])
def test_unknown_page_cache_of_zone_movable_is_not_0(root: Path, lost: str) -> None:
    swap_normal_and_movable(root)
    assert report(root)["headroom"]["with_reclaim"]
    edit(root, "proc/zoneinfo", rf"(?s)^(Node 3, zone +Movable.*?\n) +{lost} +\d+\n", r"\1")
    assert report(root)["headroom"]["with_reclaim"] is None


def test_a_cgroup_headroom_needs_the_buffers_of_a_socket(root: Path) -> None:
    folder = root / "sys/fs/cgroup/web"
    folder.mkdir(parents=True)
    for name, text in (
        ("memory.max", f"{1 << 32}"),
        ("memory.current", f"{1 << 20}"),
        ("memory.stat", "active_file 0\ninactive_file 0"),
    ):
        (folder / name).write_text(f"{text}\n")

    def left() -> int | None:
        limits = json.loads(output("--root", root, "--cgroup", "web", "--json"))["limits"]
        [found] = [limit["headroom_sockets"] for limit in limits if limit["name"] == "memory_cgroup"]
        return None if found is None else int(found)

    assert left()
    (root / "proc/net/sockstat").unlink()
    assert left() is None
