"""The headroom of memory, compared with MemAvailable, with sums computed by hand, and with guests that were filled."""

from __future__ import annotations

import os
import re
import shutil
import tarfile
from pathlib import Path

import pytest
from recorded import RECORDINGS, copy_recording, each_recording, ledger, ledger_of, snapshot, text, write_tree

from tcptop.accounting.free_memory import protection_pages
from tcptop.accounting.page_size import page_size_bytes
from tcptop.explanation.headroom_page import headroom_page
from tcptop.hosts.zstd import zstd
from tcptop.snapshot import Snapshot, Zone


def available_bytes_by_hand(of: Snapshot) -> int:
    """MemAvailable, computed from other figures of the kernel (mm/show_mem.c, si_mem_available;
    calculate_totalreserve_pages).
    """
    zoneinfo, meminfo, page = of.zoneinfo.value, of.meminfo.value, page_size_bytes(of)
    assert zoneinfo is not None
    assert meminfo is not None
    assert page is not None
    assert meminfo.free_bytes is not None
    low = sum(zone.low_pages or 0 for zone in zoneinfo.zones)
    reserve = sum(
        min(
            zone.managed_pages or 0,
            max(zone.protection_pages, default=0) + (zone.high_pages or 0) - (zone.boost_pages or 0),
        )
        for zone in zoneinfo.zones
    )
    pages = meminfo.free_bytes // page - reserve
    for amount in (meminfo.file_bytes, meminfo.reclaimable_bytes):
        assert amount is not None
        pages += amount // page - min(amount // page // 2, low)
    return pages * page


@each_recording
def test_the_figures_read_add_up_to_memavailable(kernel: str, phase: str) -> None:
    if kernel == "6.18-1n":
        pytest.skip("its zones grew while they were read: struct pages are initialised late there")
    of = snapshot(kernel, phase)
    assert of.meminfo.value is not None
    available, page = of.meminfo.value.available_bytes, page_size_bytes(of)
    assert available is not None
    assert page is not None
    assert abs(available_bytes_by_hand(of) - available) <= 4 * page


@each_recording
def test_the_headroom_is_the_spare_memory_of_all_zones_by_hand(kernel: str, phase: str) -> None:
    figures, of = ledger(kernel, phase), snapshot(kernel, phase)
    found = figures.headroom["full"]
    page = figures.host.page_size_bytes
    assert page is not None
    assert of.zoneinfo.value is not None
    assert of.meminfo.value is not None
    spare = 0
    for zone in of.zoneinfo.value.zones:
        if zone.name in ("DMA", "DMA32", "Normal") and zone.managed_pages:
            own = (zone.free_pages or 0) + (zone.on_cpu_lists_pages or 0) - (zone.free_cma_pages or 0)
            spare += max(0, own - (zone.low_pages or 0) - zone.protection_pages[min(2, len(zone.protection_pages) - 1)])
    late = (of.meminfo.value.total_bytes or 0) // page - sum(z.managed_pages or 0 for z in of.zoneinfo.value.zones)
    assert found.bytes_per_socket is not None
    assert found.without_reclaim_high is not None
    by_hand = (spare + max(0, late)) * page / found.bytes_per_socket
    assert found.without_reclaim_high == pytest.approx(by_hand, rel=0.002)
    assert found.without_reclaim_low is not None
    assert found.with_reclaim is not None
    assert found.without_reclaim_low <= found.without_reclaim_high <= found.with_reclaim
    assert figures.headroom["time_wait"].with_reclaim is not None
    assert figures.headroom["time_wait"].with_reclaim > 3 * found.with_reclaim


@pytest.mark.parametrize("kernel", [kernel for kernel, phases in RECORDINGS.items() if "established" in phases])
def test_the_headroom_falls_by_the_sockets_that_were_opened(kernel: str) -> None:
    """The decrease from `base`, without sockets, to `established` includes other memory of the load.

    Counts of the second recording may narrow the range of a socket's bytes (the LSM blob's cache), so both headrooms
    are those of the second recording's socket.
    """
    if "base" not in RECORDINGS[kernel] or kernel == "6.18-1n":
        pytest.skip("no phase without sockets")
    before, after = (ledger(kernel, phase) for phase in ("base", "established"))
    opened = (after.sockets.allocated or 0) - (before.sockets.allocated or 0)
    one_socket = (before.headroom["full"].bytes_per_socket or 0) / (after.headroom["full"].bytes_per_socket or 1)
    assert one_socket == pytest.approx(1, abs=0.005)
    for get in ("without_reclaim_high", "with_reclaim"):
        fall = getattr(before.headroom["full"], get) * one_socket - getattr(after.headroom["full"], get)
        assert 0.9 <= fall / opened <= 1.15, (get, fall, opened)


FILLED_GUESTS = Path(__file__).resolve().parents[3] / "shared" / "headroom"


def unpacked(name: str, folder: Path) -> Path:
    """The trees of a guest that was filled with sockets; the trees are not part of this repository."""
    archive = FILLED_GUESTS / f"{name}.tar.zst"
    if not archive.is_file():
        pytest.skip(f"there is no {archive}")
    with zstd.open(archive, "rb") as file, tarfile.open(fileobj=file) as trees:
        trees.extractall(folder, filter="data")
    return folder


def test_a_guest_filled_until_the_oom_killer(tmp_path: Path) -> None:
    """102 778 sockets fitted, and the load's own memory would have held 7 900 more."""
    trees = unpacked("to-oom-4n", tmp_path)
    found = ledger_of(trees / "0base").headroom["full"].sockets
    assert found == pytest.approx(110_700, rel=0.05)


def test_a_full_node_is_no_limit(tmp_path: Path) -> None:
    """All sockets were opened on the CPUs of node 3, which was full; 271 MiB were free on other nodes."""
    figures = ledger_of(unpacked("one-cpu-4n", tmp_path) / "1held")
    found = figures.headroom["full"]
    assert found.sockets is not None
    assert found.sockets > 60_000
    assert found.nodes[3].without_reclaim < 2_000
    assert figures.limits["full"].rows[0].state == "ok"


def copied(root: Path) -> Path:
    return copy_recording("6.1-4n", "established", root)


def change_meminfo(root: Path, **changes_kib: int) -> None:
    meminfo = root / "proc/meminfo"
    lines = []
    for line in meminfo.read_text().splitlines():
        name = line.partition(":")[0].replace("(", "_").replace(")", "")
        lines.append(f"{line.partition(':')[0]}: {changes_kib[name]} kB" if name in changes_kib else line)
    meminfo.write_text("\n".join(lines) + "\n")


def test_page_cache_never_lowers_the_headroom(tmp_path: Path) -> None:
    """3 GiB of free memory become page cache, as after a copy of a file.

    Reclaim leaves page cache of the low watermarks, so MemAvailable is less by as much.
    """
    idle = ledger("6.1-4n", "established").headroom["full"]
    root = copied(tmp_path)
    moved_pages = 0
    lines = []
    for line in (root / "proc/zoneinfo").read_text().splitlines():
        if line.strip().startswith("pages free"):
            free = int(line.split()[2])
            moved = free * 6 // 10 if free > 50_000 else 0
            moved_pages += moved
            line = f"  pages free     {free - moved}"
        lines.append(line)
    first = next(number for number, line in enumerate(lines) if line.split()[0] == "nr_inactive_file")
    lines[first] = f"      nr_inactive_file {moved_pages}"
    (root / "proc/zoneinfo").write_text("\n".join(lines) + "\n")
    assert moved_pages > 700_000
    [free_kib] = re.findall(r"MemFree: +(\d+)", text("6.1-4n", "established", "proc/meminfo"))
    [available_kib] = re.findall(r"MemAvailable: +(\d+)", text("6.1-4n", "established", "proc/meminfo"))
    low_pages = sum(int(line.split()[1]) for line in lines if line.split()[0] == "low")
    change_meminfo(
        root,
        Inactive_file=4 * moved_pages,
        MemFree=int(free_kib) - 4 * moved_pages,
        MemAvailable=int(available_kib) - 4 * low_pages,
    )
    cached = ledger_of(root).headroom["full"]
    assert idle.with_reclaim is not None
    assert cached.with_reclaim is not None
    assert idle.without_reclaim_high is not None
    assert cached.without_reclaim_high is not None
    assert cached.with_reclaim == pytest.approx(idle.with_reclaim, rel=0.03)
    assert cached.without_reclaim_high < 0.6 * idle.without_reclaim_high


def test_memory_that_is_not_initialised_yet_is_free(tmp_path: Path) -> None:
    root = copied(tmp_path)
    total_kib = int(text("6.1-4n", "established", "proc/meminfo").split()[1])
    [free_kib] = re.findall(r"MemFree: +(\d+)", text("6.1-4n", "established", "proc/meminfo"))
    [available_kib] = re.findall(r"MemAvailable: +(\d+)", text("6.1-4n", "established", "proc/meminfo"))
    late_kib = 1 << 20
    zoneinfo = root / "proc/zoneinfo"
    present = re.compile(r"(spanned|present)( +)389120\b")
    more = rf"\g<1>\g<2>{389120 + late_kib // 4}"
    zoneinfo.write_text(present.sub(more, zoneinfo.read_text()))
    change_meminfo(
        root,
        MemTotal=total_kib + late_kib,
        MemFree=int(free_kib) + late_kib,
        MemAvailable=int(available_kib) + late_kib,
    )
    before, after = ledger("6.1-4n", "established").headroom["full"], ledger_of(root).headroom["full"]
    assert (before.late_bytes, after.late_bytes) == (0, 1 << 30)
    assert after.bytes_per_socket is not None
    assert after.with_reclaim is not None
    assert before.with_reclaim is not None
    assert after.with_reclaim - before.with_reclaim == pytest.approx((1 << 30) / after.bytes_per_socket, abs=2)


def test_free_memory_in_small_blocks_leaves_a_range(tmp_path: Path) -> None:
    """Slabs of the smallest order hold fewer objects, so the lower bound falls, but not the upper bound."""
    root = copied(tmp_path)
    lines = []
    for line in (root / "proc/buddyinfo").read_text().splitlines():
        head, counts = line[:22], [int(count) for count in line[22:].split()]
        pages = sum(count << order for order, count in enumerate(counts))
        lines.append(f"{head} {pages} " + " ".join(["0"] * (len(counts) - 1)))
    (root / "proc/buddyinfo").write_text("\n".join(lines) + "\n")
    before, after = ledger("6.1-4n", "established").headroom["full"], ledger_of(root).headroom["full"]
    assert after.without_reclaim_high == before.without_reclaim_high
    assert after.without_reclaim_low is not None
    assert before.without_reclaim_low is not None
    assert 0.5 < after.without_reclaim_low / before.without_reclaim_low < 0.8


@pytest.mark.parametrize("missing", ["zoneinfo", "slabinfo", "meminfo"])
def test_what_is_not_read_leaves_the_headroom_unknown_and_says_why(tmp_path: Path, missing: str) -> None:
    root = copied(tmp_path)
    (root / "proc" / missing).unlink()
    if missing == "slabinfo":
        shutil.rmtree(root / "sys/kernel/slab")
        (root / "proc/net/protocols").unlink()
    found = ledger_of(root).headroom["full"]
    assert found.sockets is None
    assert found.unknown_because


def test_an_empty_tree_has_no_headroom(tmp_path: Path) -> None:
    figures = ledger_of(write_tree(tmp_path, {}))
    assert figures.headroom["full"].sockets is None
    assert figures.limits["full"].first is None


def zone(name: str, protection: tuple[int, ...]) -> Zone:
    return Zone(0, name, 100, 1, 2, 3, 100, 100, protection, 0, 1)


def test_the_protection_is_that_of_allocations_from_zone_normal() -> None:
    """Entries stand for DMA, DMA32, Normal, Movable, Device."""
    dma = zone("DMA", (0, 300, 800, 900, 900))
    every = [dma, *(zone(name, (0, 0, 0, 100, 100)) for name in ("DMA32", "Normal", "Movable", "Device"))]
    assert protection_pages(dma, {each.name for each in every}) == (800, 800)


def test_the_protection_follows_the_zones_that_the_kernel_may_be_built_with() -> None:
    """Kernels up to 4.11 print populated zones only: entries may stand for zones without a line."""
    dma = zone("DMA", (0, 800, 900, 900))
    assert protection_pages(dma, {"DMA", "Normal", "HighMem"}) == (800, 800), "with Movable"
    assert protection_pages(dma, {"DMA", "DMA32"}) == (900, 900), "DMA, DMA32, Normal, Movable"
    assert protection_pages(dma, {"DMA", "Normal"}) == (800, 900), "HighMem, DMA32 or Device beside Movable"


def test_a_zone_withholds_nothing_from_allocations_that_prefer_it() -> None:
    for entries in ((0, 0, 100_000, 100_000), (0, 0, 100_000), (0, 900)):
        assert protection_pages(zone("Normal", entries), {"DMA", "Normal", "HighMem"}) == (0, 0)


def zoneinfo_of_32_bits(dma: str, normal: str, highmem: str = "HighMem") -> str:
    """The zones DMA, Normal and a third one, as kernels up to 4.11 print them."""
    return "".join(
        f"Node 0, zone {name:>8}\n  pages free     {free}\n        min      10\n        low      {low}\n"
        f"        high     {low + 10}\n        spanned  {pages}\n        present  {pages}\n        managed  {pages}\n"
        f"        protection: ({protection})\n"
        for name, free, low, pages, protection in (
            ("DMA", 3_000, 20, 4_000, dma),
            ("Normal", 150_000, 1_000, 200_000, normal),
            (highmem, 300_000, 200, 400_000, "0, 0, 0, 0"),
        )
    )


@pytest.mark.parametrize(
    ("protection", "third", "pages", "is_at_most"),
    [
        ("0, 1000, 2900, 2900", "HighMem", 149_000 + 1_980, False),
        ("0, 1000, 2900, 2900", "Movable", 149_000 + 1_980, True),
    ],
)
def test_highmem_takes_nothing_off_the_memory_for_slabs(
    tmp_path: Path, protection: str, third: str, pages: int, is_at_most: bool
) -> None:
    """HighMem's entry is not held against slabs; if the position of Normal's entry is open, DMA gives a bound."""
    root = copied(tmp_path)
    for name in ("meminfo", "buddyinfo", "pagetypeinfo"):
        (root / "proc" / name).unlink(missing_ok=True)
    shutil.rmtree(root / "sys/devices/system/node", ignore_errors=True)
    write_tree(root, {"proc/zoneinfo": zoneinfo_of_32_bits(protection, "0, 0, 100000, 100000", third)})
    found = ledger_of(root).headroom["full"]
    assert found.bytes_per_socket is not None
    assert found.without_reclaim_high == int(pages * 4096 / found.bytes_per_socket)
    assert found.is_at_most is is_at_most


def test_zone_reclaim_mode_is_named(tmp_path: Path) -> None:
    root = copied(tmp_path)
    write_tree(root, {"proc/sys/vm/zone_reclaim_mode": "1\n"})
    assert ledger_of(root).headroom["full"].reclaims_node_first
    write_tree(root, {"proc/sys/vm/zone_reclaim_mode": "0\n"})
    assert ledger_of(root).headroom["full"].reclaims_node_first is False


def test_zone_reclaim_mode_that_cannot_be_read_is_not_known(tmp_path: Path) -> None:
    """A named pipe in the place of the file is not read, and the figure is unknown, not 0."""
    root = copied(tmp_path)
    file = root / "proc/sys/vm/zone_reclaim_mode"
    for is_pipe in (False, True):
        if is_pipe:
            file.parent.mkdir(parents=True)
            os.mkfifo(file)
        found = ledger_of(root)
        assert found.headroom["full"].reclaims_node_first is None
        lines = " ".join("".join(text for text, _ in line) for line in headroom_page(found, 200))
        assert "vm.zone_reclaim_mode is not known" in lines
