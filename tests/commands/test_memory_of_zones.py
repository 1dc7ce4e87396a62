"""The limit of memory on a machine with memory in zones that slabs never use: Movable, or HighMem on 32 bits.

MemTotal and MemAvailable count the memory of every zone, so the use of this limit follows from the zones.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any

import forked_program
import pytest
from recorded import copy_recording, tree

from tcptop.accounting import account
from tcptop.accounting.host_row import RowAccount
from tcptop.commands.common import make_sampler, open_host, read_snapshot
from tcptop.report.as_metrics import DEFAULT_OPTIONS, metric_families

PAGE_BYTES = 4096
SLAB_ZONES = ("DMA", "DMA32", "Normal")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A copy of a recording of a machine of four nodes, all of whose memory slabs can use."""
    return copy_recording("6.1-4n", "established", tmp_path)


def edit_zones(root: Path, change: Callable[[int, str, str], str]) -> None:
    """Replaces the text of each zone in zoneinfo by `change(node, name, text)`."""
    path = root / "proc/zoneinfo"
    parts = re.split(r"(?m)^(?=Node )", path.read_text())
    heads = [re.match(r"Node (\d), zone +(\w+)", part) for part in parts]
    path.write_text(
        "".join(change(int(head[1]), head[2], part) if head else part for head, part in zip(heads, parts, strict=True))
    )


def number_in(text: str, name: str) -> int:
    found = re.search(rf"(?m)^ +{name} +(\d+)$", text)
    assert found, name
    return int(found[1])


def with_number(text: str, name: str, number: int) -> str:
    return re.sub(rf"(?m)^( +{name} +)\d+$", rf"\g<1>{number}", text, count=1)


def use_movable(root: Path, name: str = "Movable") -> None:
    """Gives zone Normal of the nodes 2 and 3 to another zone; removes the files that describe the same memory."""

    def renamed(node: int, zone: str, text: str) -> str:
        names = {"Normal": name, "Movable": "Normal"} if node > 1 else {}
        return re.sub(r"(zone +)\w+", rf"\g<1>{names.get(zone, zone)}", text, count=1)

    edit_zones(root, renamed)
    for path in ("proc/buddyinfo", "proc/pagetypeinfo"):
        (root / path).unlink(missing_ok=True)
    for file in (root / "sys/devices/system/node").glob("node*/meminfo"):
        file.unlink()


def fill(root: Path, left_pages: int = 100, nodes: Collection[int] = range(4)) -> None:
    """Leaves `left_pages` free pages above the low watermark in each zone that slabs can use."""
    taken = 0

    def filled(node: int, zone: str, text: str) -> str:
        nonlocal taken
        if node not in nodes or zone not in SLAB_ZONES or not number_in(text, "managed"):
            return text
        free, low = number_in(text, "pages free"), number_in(text, "low")
        left = min(free, low + left_pages)
        taken += free - left
        return re.sub(r"count: \d+", "count: 0", with_number(text, "pages free", left))

    edit_zones(root, filled)
    path = root / "proc/meminfo"
    text = path.read_text()
    for name, sign in (("MemFree", -1), ("MemAvailable", -1), ("AnonPages", 1), ("Active\\(anon\\)", 1)):
        text = re.sub(rf"(?m)^({name}: +)(\d+)", lambda m, sign=sign: f"{m[1]}{int(m[2]) + sign * taken * 4}", text)  # type: ignore[misc]
    path.write_text(text)


def amount_kb(meminfo: str, name: str) -> int:
    found = re.search(rf"(?m)^{name}: +(\d+) kB$", meminfo)
    assert found, name
    return int(found[1])


def fill_pool(root: Path) -> int:
    """Moves most free memory of the nodes 0, 2 and 3 to the pool of huge pages; returns the size of the pool in kB."""
    path = root / "proc/meminfo"
    before = path.read_text()
    fill(root, left_pages=5_000, nodes=(0, 2, 3))
    text = path.read_text()
    pool_kb = amount_kb(before, "MemFree") - amount_kb(text, "MemFree")
    amounts = {name: amount_kb(before, re.escape(name)) for name in ("AnonPages", "Active(anon)")} | {
        "Hugetlb": pool_kb
    }
    for name, kb in amounts.items():
        text = re.sub(rf"(?m)^({re.escape(name)}: +)\d+", rf"\g<1>{kb}", text)
    path.write_text(re.sub(r"(?m)^(HugePages_Total: +)\d+", rf"\g<1>{pool_kb // 2048}", text))
    return pool_kb


def managed_bytes(root: Path) -> int:
    """The bytes that the zones manage from which slabs come, summed by this test."""
    total = 0

    def add(_: int, zone: str, text: str) -> str:
        nonlocal total
        total += number_in(text, "managed") * PAGE_BYTES if zone in SLAB_ZONES else 0
        return text

    edit_zones(root, add)
    return total


def printed(*arguments: str | Path) -> tuple[str, int]:
    done = forked_program.run(*arguments)
    assert done.stderr == ""
    return done.stdout, done.returncode


def report(root: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(printed("--root", root, "--json")[0])
    return found


def memory_of(found: dict[str, Any]) -> dict[str, Any]:
    limit: dict[str, Any] = next(each for each in found["limits"] if each["name"] == "memory")
    return limit


@pytest.mark.parametrize("zone", ["Movable", "HighMem"])
def test_the_limit_is_that_of_the_memory_that_slabs_can_use(root: Path, zone: str) -> None:
    use_movable(root, zone)
    found = report(root)
    limit, headroom = memory_of(found), found["headroom"]
    assert limit["limit"] == managed_bytes(root) < 0.6 * (6_077_648 << 10)
    left = headroom["sockets"] * headroom["bytes_per_socket"]
    assert limit["limit"] - limit["used"] == pytest.approx(left, abs=headroom["bytes_per_socket"])
    assert limit["state"] == "ok"
    assert limit["note"].startswith(f"without zone {zone}; ")


def test_full_zones_are_full_though_movable_has_free_memory(root: Path) -> None:
    use_movable(root)
    fill(root)
    found = report(root)
    limit = memory_of(found)
    assert limit["state"] == "full"
    assert limit["ratio"] > 0.97
    line, code = printed("check", "--root", root)
    assert code == 2
    assert re.search(r"memory 99\.\d % \(2\.9 GiB of 2\.9 GiB without zone Movable; critical from 97 %\)", line)
    plan = json.loads(printed("plan", "--root", root, "--connections", "100K", "--json")[0])
    row = memory_of(plan)
    assert (row["verdict"], row["state"]) == ("exceeded", "full")
    assert row["ratio"] > 1
    assert row["used"] == limit["used"]
    page = printed("--root", root, "-o")[0]
    assert re.search(r"memory +CRITICAL +2\.9 GiB +2\.9 GiB +99 ", page)
    assert "leave out zone Movable" in " ".join(page.split())


def test_a_plan_explains_what_cma_leaves_out_and_why_the_sum_exceeds_the_memory() -> None:
    """On an arm64 machine with CMA, USED and what fits together exceed OF, since MemAvailable leaves out more."""
    root = tree("6.12-arm64-16k-4n", "established")
    found = report(root)
    memory, headroom = memory_of(found), found["headroom"]
    fits_bytes = headroom["with_reclaim"] * headroom["bytes_per_socket"]
    excess_mib = (memory["used"] + fits_bytes - memory["limit"]) / 2**20
    assert excess_mib > 50
    page = " ".join(printed("plan", "--root", root, "--connections", "300K")[0].split())
    assert "of free CMA: the kernel takes no slabs from there" in page
    [size] = re.findall(r"So USED plus what fits exceeds OF by ([\d.]+) MiB", page)
    assert float(size) == pytest.approx(excess_mib, abs=0.1)


def test_the_exporter_and_the_table_of_hosts_have_the_same_use(root: Path) -> None:
    use_movable(root)
    fill(root)
    limit = memory_of(report(root))
    host = open_host(str(root))
    snapshot = read_snapshot(make_sampler(host, 1.0, None))
    host.close()
    ledger = account(snapshot)
    row = next(each for each in RowAccount().row(snapshot).limits.rows if each.name == "memory")
    assert (row.used, row.maximum, row.state) == (limit["used"], limit["limit"], "full")
    ratios = {
        labels[0]: value
        for family in metric_families(ledger, DEFAULT_OPTIONS)
        for labels, value in family.points
        if family.name == "tcptop_limit_ratio"
    }
    assert ratios["memory"] == pytest.approx(limit["ratio"], abs=1e-3)


def test_free_memory_and_page_cache_of_movable_change_nothing(root: Path) -> None:
    use_movable(root)
    before = memory_of(report(root))
    edit_zones(
        root,
        lambda node, zone, text: (
            with_number(with_number(text, "pages free", 300_000), "nr_zone_inactive_file", 50_000)
            if (node, zone) == (3, "Movable")
            else text
        ),
    )
    meminfo = root / "proc/meminfo"
    text = meminfo.read_text()
    cached = re.sub(r"(Inactive\(file\): +)\d+", r"\g<1>200000", text)
    fewer = re.sub(r"MemFree: +\d+", f"MemFree: {5_869_484 - 4 * 55_157}", cached)
    meminfo.write_text(re.sub(r"MemAvailable: +\d+", "MemAvailable: 5500000", fewer))
    after = memory_of(report(root))
    assert (after["used"], after["limit"]) == (before["used"], before["limit"])


def test_an_empty_zone_movable_leaves_the_figures_of_meminfo(root: Path) -> None:
    limit = memory_of(report(root))
    meminfo = dict(line.split()[:2] for line in (root / "proc/meminfo").read_text().splitlines())
    total, available = (int(meminfo[name]) << 10 for name in ("MemTotal:", "MemAvailable:"))
    assert (limit["used"], limit["limit"]) == (total - available, total)
    assert "zone" not in limit["note"]


def test_without_zoneinfo_the_zones_of_buddyinfo_tell_that_the_use_is_unknown(root: Path) -> None:
    buddyinfo = root / "proc/buddyinfo"
    (root / "proc/zoneinfo").unlink()
    assert memory_of(report(root))["used"] is not None
    buddyinfo.write_text(re.sub(r"(Node 3, zone) +Normal", r"\1  Movable", buddyinfo.read_text()))
    limit = memory_of(report(root))
    assert (limit["used"], limit["limit"], limit["state"]) == (None, None, "unknown")
    line, code = printed("check", "--root", root, "memory")
    assert code == 3
    assert "memory not known (without zone Movable; " in line
    assert "memory (without zone Movable; " in printed("check", "--root", root)[0]


def write_high_memory(root: Path, total_kib: int) -> int:
    """Gives memory to HighMem in meminfo, as a 32-bit kernel prints it; returns the bytes of all other memory."""
    path = root / "proc/meminfo"
    text = path.read_text()
    [whole] = re.findall(r"(?m)^MemTotal: +(\d+) kB$", text)
    low_kib = int(whole) - total_kib
    lines = f"HighTotal: {total_kib} kB\nHighFree: {total_kib} kB\nLowTotal: {low_kib} kB\nLowFree: 8272 kB\n"
    path.write_text(text.replace("SwapTotal:", f"{lines}SwapTotal:", 1))
    return low_kib << 10


@pytest.mark.parametrize("has_blocks", [True, False])
def test_without_zoneinfo_high_memory_is_no_memory_for_sockets(root: Path, has_blocks: bool) -> None:
    """Slabs take low memory alone; what of it is in use is not known without zoneinfo."""
    (root / "proc/zoneinfo").unlink()
    if not has_blocks:
        for name in ("buddyinfo", "pagetypeinfo"):
            (root / "proc" / name).unlink(missing_ok=True)
    low_bytes = write_high_memory(root, 5_200_000)
    found = report(root)
    limit = memory_of(found)
    assert (limit["used"], limit["limit"], limit["limit_is_at_most"], limit["state"]) == (
        *(None, low_bytes, True),
        "unknown",
    )
    assert limit["note"].startswith("without zone HighMem; ")
    assert (found["headroom"]["sockets"], found["headroom"]["first_limit_is_at_most"]) == (None, True)
    line, code = printed("check", "--root", root, "memory")
    assert code == 3
    assert "memory not known (without zone HighMem; " in line
    planned, code = printed("plan", "--connections", "1M", "--root", root)
    assert code == 1
    assert planned.startswith("does not fit: ")


def test_zones_without_the_high_memory_of_meminfo_make_no_headroom(root: Path) -> None:
    write_high_memory(root, 5_200_000)
    found = report(root)
    assert memory_of(found)["used"] is None
    assert found["headroom"]["sockets"] is None
    assert "zoneinfo has no zone HighMem, of which meminfo has memory" in memory_of(found)["note"]


def test_more_high_memory_than_memory_is_impossible(root: Path) -> None:
    (root / "proc/zoneinfo").unlink()
    write_high_memory(root, 1 << 40)
    found = report(root)
    assert found["sources"]["meminfo"]["state"] == "strange"
    assert (memory_of(found)["used"], memory_of(found)["state"]) == (None, "unknown")


def test_a_kernel_without_high_memory_keeps_the_figures_of_meminfo(root: Path) -> None:
    before = memory_of(report(root))
    write_high_memory(root, 0)
    assert memory_of(report(root)) == before


def test_without_any_file_of_zones_the_note_says_that_none_is_left_out(root: Path) -> None:
    for name in ("zoneinfo", "buddyinfo", "pagetypeinfo"):
        (root / "proc" / name).unlink(missing_ok=True)
    limit = memory_of(report(root))
    assert limit["used"] is not None
    assert limit["note"].startswith("no zone is left out, since zoneinfo was not read")


def test_an_unknown_size_of_a_zone_leaves_the_use_unknown(root: Path) -> None:
    use_movable(root)
    path = root / "proc/zoneinfo"
    path.write_text(re.sub(r"(?m)^ +managed +382805\n", "", path.read_text()))
    assert memory_of(report(root))["used"] is None
    assert printed("check", "--root", root, "memory")[1] == 3


def test_huge_pages_are_no_memory_for_sockets(root: Path) -> None:
    """As on a database: most memory is in a pool of huge pages, and most of the rest is free."""
    pool_kb = fill_pool(root)
    meminfo = (root / "proc/meminfo").read_text()
    total_kb, available_kb = (amount_kb(meminfo, name) for name in ("MemTotal", "MemAvailable"))
    assert pool_kb > 0.6 * total_kb
    limit = memory_of(report(root))
    assert limit["limit"] == (total_kb - pool_kb) * 1024
    assert limit["used"] == (total_kb - pool_kb - available_kb) * 1024
    assert limit["note"].startswith("without huge pages")
    assert printed("check", "--root", root, "memory")[0].startswith("TCPTOP OK - memory ")
    plan = " ".join(printed("plan", "--root", root, "--connections", "1k")[0].split())
    assert "of huge pages, which the administrator has set apart" in plan


def test_huge_pages_that_zone_movable_may_have_are_not_left_out_twice(root: Path) -> None:
    pool_kb = fill_pool(root)
    slabs_before = managed_bytes(root)
    use_movable(root)
    in_movable_kb = (slabs_before - managed_bytes(root)) // 1024
    assert 0 < in_movable_kb < pool_kb
    assert memory_of(report(root))["limit"] == managed_bytes(root) - (pool_kb - in_movable_kb) * 1024


@pytest.mark.parametrize(
    ("pages_of_nodes", "other_sizes_kb", "certain_kb"),
    [
        ((400, 0, 0, 0), 0, 400 * 2048),  # node 0 has no zone Movable
        ((0, 0, 400, 0), 0, 0),  # node 2 may have them in zone Movable
        ((200, 0, 200, 0), 0, 200 * 2048),
        ((0, 0, 400, 0), 1 << 20, 1 << 20),  # a page of 1 GiB is never in zone Movable
    ],
)
def test_huge_pages_of_nodes_without_zone_movable_are_left_out(
    root: Path, pages_of_nodes: tuple[int, ...], other_sizes_kb: int, certain_kb: int
) -> None:
    use_movable(root)
    before = memory_of(report(root))["limit"]
    for node, pages in enumerate(pages_of_nodes):
        folder = root / f"sys/devices/system/node/node{node}"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "meminfo").write_text(f"Node {node} HugePages_Total: {pages:5}\n")
    path = root / "proc/meminfo"
    text = re.sub(r"(?m)^(HugePages_Total: +)\d+", rf"\g<1>{sum(pages_of_nodes)}", path.read_text())
    pool_kb = sum(pages_of_nodes) * 2048 + other_sizes_kb
    path.write_text(re.sub(r"(?m)^(Hugetlb: +)\d+", rf"\g<1>{pool_kb}", text))
    assert memory_of(report(root))["limit"] == before - certain_kb * 1024


def test_free_memory_of_cma_is_no_memory_for_sockets(root: Path) -> None:
    """All free memory of the nodes 2 and 3 belongs to CMA, except a few pages; the other nodes are full."""

    def with_cma(node: int, zone: str, text: str) -> str:
        if node < 2 or zone not in SLAB_ZONES or not number_in(text, "managed"):
            return text
        free = max(0, number_in(text, "pages free") - number_in(text, "low") - 100)
        return re.sub(r"count: \d+", "count: 0", with_number(text, "nr_free_cma", free))

    fill(root, nodes=(0, 1))
    edit_zones(root, with_cma)
    for path in ("proc/buddyinfo", "proc/pagetypeinfo"):
        (root / path).unlink(missing_ok=True)
    for file in (root / "sys/devices/system/node").glob("node*/meminfo"):
        file.unlink()
    whole = forked_program.run("-o", "--root", root).stdout
    assert re.search(r"(?m)^ +memory +CRITICAL +\d\.\d GiB +\d\.\d GiB +(98|99|100) ", whole)
    assert "without free CMA" in whole
    assert forked_program.run("check", "memory", "--root", root).stdout.startswith("TCPTOP CRITICAL - memory ")
