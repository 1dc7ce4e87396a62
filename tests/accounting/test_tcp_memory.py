"""The kernel memory that TCP holds: its parts, their bounds, and unknown parts."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import forked_program
import pytest
from made_look import group, look_text, net, process, tree_with_look
from recorded import (
    RECORDINGS,
    copy_recording,
    each_recording,
    ledger,
    ledger_of,
    release_files,
    set_row,
    slab_rows,
    text,
    with_mptcp,
    write_buffers,
    write_tree,
)

from tcptop.report.as_metrics import DEFAULT_OPTIONS, metric_families
from tcptop.report.as_text import as_text
from tcptop.sock_diag import SOCKETS_PATH
from tcptop.text import units

MEMINFO = "proc/meminfo"
OWN = ("TCP", "TCPv6", "tw_sock_TCP", "tw_sock_TCPv6", "request_sock_TCP", "request_sock_TCPv6")


def test_memory_that_is_something_else_is_no_buffer(tmp_path: Path) -> None:
    """As where sendfile(2) has queued page cache: more is charged than the used memory that is nothing else."""
    root = write_buffers(copy_recording("6.1-4n", "established", tmp_path), 512 * 256)
    fields = {
        name: int(kib) for name, kib in re.findall(r"(?m)^(\S+): +(\d+) kB", text("6.1-4n", "established", MEMINFO))
    }
    others = ("MemFree", "Cached", "AnonPages", "Buffers", "SReclaimable")
    [buffers] = [part for part in ledger_of(root).tcp_memory.parts if part.name == "socket buffers"]
    assert buffers.high_bytes == 1024 * (fields["MemTotal"] - sum(fields[name] for name in others))


@each_recording
def test_value_and_bounds_are_in_order_for_the_sum_and_every_part(kernel: str, phase: str) -> None:
    memory = ledger(kernel, phase).tcp_memory
    assert memory.missing == ()
    assert memory.low_bytes is not None
    assert memory.bytes is not None
    assert memory.high_bytes is not None
    assert 0 <= memory.low_bytes <= memory.bytes <= memory.high_bytes
    for part in memory.parts:
        assert 0 <= part.low_bytes <= part.bytes <= part.high_bytes, part.name
        assert part.estimated or part.low_bytes == part.high_bytes, part.name


@each_recording
def test_the_sums_are_those_of_the_parts(kernel: str, phase: str) -> None:
    memory = ledger(kernel, phase).tcp_memory
    assert memory.bytes == sum(part.bytes for part in memory.parts)
    assert memory.low_bytes == sum(part.low_bytes for part in memory.parts)
    rows = {cache.name: cache.bytes or 0 for cache in ledger(kernel, phase).caches if cache.name == cache.row}
    by_row: dict[str | None, list[int]] = {}
    for part in memory.parts:
        by_row.setdefault(part.row, []).append(part.high_bytes)
    most = sum(sum(high) if row is None else min(sum(high), rows[row]) for row, high in by_row.items())
    assert memory.high_bytes is not None
    assert sum(map(max, by_row.values())) <= memory.high_bytes <= most


@each_recording
def test_the_total_is_at_most_the_memory_in_use(kernel: str, phase: str) -> None:
    """With pages of 16 KiB or more, a charge of whole pages would exceed the bound."""
    fields = dict(re.findall(r"(?m)^(\w+): +(\d+) kB", text(kernel, phase, "proc/meminfo")))
    in_use = 1024 * (int(fields["MemTotal"]) - int(fields["MemFree"]))
    assert (ledger(kernel, phase).tcp_memory.bytes or 0) < in_use


@each_recording
def test_tcps_own_caches_are_counted_whole_and_exactly(kernel: str, phase: str) -> None:
    page = 16384 if "16k" in kernel else 4096
    rows = slab_rows(text(kernel, phase, "proc/slabinfo"))
    parts = {part.name: part for part in ledger(kernel, phase).tcp_memory.parts}
    for name in OWN:
        held = rows[name].slabs * rows[name].pages * page
        assert (parts[name].low_bytes, parts[name].bytes, parts[name].high_bytes) == (held, held, held)


@each_recording
def test_tcps_part_of_a_row_is_at_most_the_row(kernel: str, phase: str) -> None:
    for cache in ledger(kernel, phase).caches:
        if cache.tcp_bytes is not None:
            assert cache.bytes is not None, cache.name
            rounding = 200  # a share is kept to the hundredth of a byte, for 16,000 sockets
            assert 0 <= cache.tcp_bytes <= cache.bytes + rounding, cache.name
            assert cache.tcp_bounds is not None
            assert cache.tcp_bounds.high <= cache.bytes + rounding, cache.name


def test_both_bind_buckets_are_together_at_most_the_row_that_they_share() -> None:
    """The row eventpoll_epi of 7.3 has 2 MiB; all of its objects in use may be buckets, but not more than those."""
    figures = ledger("7.3-4n", "established")
    row = slab_rows(text("7.3-4n", "established", "proc/slabinfo"))["eventpoll_epi"]
    [cache] = [cache for cache in figures.caches if cache.name == "eventpoll_epi"]
    assert cache.tcp_bounds is not None
    assert cache.tcp_bounds.high == row.active * row.share(4096) <= row.slabs * row.pages * 4096
    buckets = [part for part in figures.tcp_memory.parts if part.row == "eventpoll_epi"]
    assert len(buckets) == 2
    others = sum(part.high_bytes for part in figures.tcp_memory.parts if part.row != "eventpoll_epi")
    assert figures.tcp_memory.high_bytes is not None
    assert figures.tcp_memory.high_bytes <= others + row.active * row.share(4096)


@each_recording
def test_no_row_is_in_two_parts_except_that_of_both_bind_buckets(kernel: str, phase: str) -> None:
    rows = [part.row for part in ledger(kernel, phase).tcp_memory.parts if part.row is not None and part.high_bytes]
    # Vectors of memory cgroups share kmalloc caches with one another and with the LSM socket blob.
    twice = {row for row in rows if rows.count(row) > 1 and not row.startswith("kmalloc-")}
    assert twice <= ({"pid"} if kernel.startswith("6.12") else {"eventpoll_epi"})


def test_the_growth_of_all_slabs_is_within_the_bounds() -> None:
    """16 000 sockets and a listener; the range of the bind buckets must include the growth."""
    for kernel in ("6.1-4n", "6.1-1n", "6.1-8n", "6.1-4n-nomerge", "6.1-4n-ipv6", "6.12-4n", "7.3-4n"):
        page = 4096
        before, after = (slab_rows(text(kernel, phase, "proc/slabinfo")) for phase in ("base", "established"))
        grown = sum((after[name].slabs - before[name].slabs) * row.pages * page for name, row in before.items())
        memory = [ledger(kernel, phase).tcp_memory for phase in ("base", "established")]
        low, high = (
            (memory[1].low_bytes or 0) - (memory[0].low_bytes or 0),
            (memory[1].high_bytes or 0) - (memory[0].high_bytes or 0),
        )
        slack = 0.02 * grown
        assert low - slack <= grown <= high + slack, kernel


@pytest.mark.parametrize(
    ("kernel", "phase", "error_pages"), [("6.1-4n", "halfclosed", 8 * 256), ("6.18-1n", "established", 2 * 256)]
)
def test_the_buffers_are_at_most_the_charge_and_the_counters_error(kernel: str, phase: str, error_pages: int) -> None:
    figures = ledger(kernel, phase)
    pages = figures.sockets.buffer_pages
    assert pages is not None
    [buffers] = [part for part in figures.tcp_memory.parts if part.row is None]
    assert buffers.low_bytes <= max(0, pages - error_pages) * 4096
    assert buffers.low_bytes <= buffers.bytes <= pages * 4096
    assert buffers.high_bytes == (pages + error_pages) * 4096
    assert buffers.estimated


@pytest.mark.parametrize("kernel", ["6.1-4n-nomerge", "6.12-4n", "6.12-arm64-16k-4n", "7.3-4n"])
def test_the_buffers_of_unread_fins_are_the_live_objects_in_the_rows_of_segments(kernel: str) -> None:
    """8 000 FINs: at most as many bytes as the rows of segments grew, less what CPUs may cache of those rows.

    Before 6.3 a FIN's data is in kmalloc-1k, which no row of segments shows: the estimate is then within twice the sum.
    """
    rows = ("skbuff_head_cache", "skbuff_fclone_cache", "skbuff_small_head")
    page = 16384 if "16k" in kernel else 4096
    before, after = (slab_rows(text(kernel, phase, "proc/slabinfo")) for phase in ("established", "halfclosed"))
    grown = sum(after[row].active * after[row].share(page) for row in rows if row in after)
    grown -= sum(before[row].active * before[row].share(page) for row in rows if row in before)
    [buffers] = [part for part in ledger(kernel, "halfclosed").tcp_memory.parts if part.row is None]
    most = 1.1 * grown
    if "skbuff_small_head" not in after:
        data = after["kmalloc-1k"].active - before["kmalloc-1k"].active
        most = 2 * (grown + data * after["kmalloc-1k"].share(page))
    assert 0.75 * grown <= buffers.bytes <= most
    assert buffers.low_bytes <= buffers.bytes


def test_the_measured_size_of_queued_fins_is_within_the_bounds_of_the_buffers() -> None:
    before, after = (slab_rows(text("6.1-4n", phase, "proc/slabinfo")) for phase in ("established", "halfclosed"))
    names = ("kmalloc-1k", "skbuff_fclone_cache")
    used = sum((after[name].active - before[name].active) * before[name].share(4096) for name in names)
    assert used > 8000 * 1500
    [buffers] = [part for part in ledger("6.1-4n", "halfclosed").tcp_memory.parts if part.row is None]
    assert buffers.low_bytes <= used <= buffers.high_bytes
    assert 0.5 * used <= buffers.bytes <= 2 * used, "the likely value, though the data is in kmalloc caches"


@pytest.mark.parametrize(("charged_pages", "used_kib"), [(99_809, 351_032 + 9_515), (68_530, 149_560 + 98_831)])
def test_full_queues_count_as_the_memory_that_they_take(charged_pages: int, used_kib: int, tmp_path: Path) -> None:
    """Measured on 6.18, 2 CPUs: pages outside of slabs and of user memory, and slabs of segments.

    200 connections whose reader does not read; 1 000 orphans with unsent data.
    """
    root = copy_recording("6.18-1n", "established", tmp_path)
    sockstat = write_buffers(root, charged_pages) / "proc/net/sockstat"
    sockstat.write_text(re.sub(r"alloc \d+", "alloc 2001", sockstat.read_text()))
    meminfo = root / "proc/meminfo"
    free_kib = int(re.search(r"MemFree: +(\d+)", meminfo.read_text())[1])  # type: ignore[index]
    meminfo.write_text(re.sub(r"MemFree: +\d+", f"MemFree: {free_kib - used_kib}", meminfo.read_text()))
    [buffers] = [part for part in ledger_of(root).tcp_memory.parts if part.row is None]
    assert buffers.bytes == pytest.approx(1024 * used_kib, rel=0.12)
    assert buffers.low_bytes < 1024 * used_kib < buffers.high_bytes


def write_segments(root: Path, number: int) -> None:
    """Writes the number of active objects in the row of 6.18-1n that sk_buff_fclones share with other objects."""
    slabinfo = root / "proc/slabinfo"
    per_slab = 16
    slabs = -(-number // per_slab)
    row = f"pool_workqueue {number} {slabs * per_slab} 512 {per_slab} 2 : tunables 0 0 0 : slabdata {slabs} {slabs} 0"
    text, found = re.subn(r"(?m)^pool_workqueue .*$", row, slabinfo.read_text())
    assert found
    slabinfo.write_text(text)


def test_a_page_charged_for_each_idle_socket_is_no_memory(tmp_path: Path) -> None:
    """Each socket has one small segment, such as a FIN that its program has not read."""
    root = write_buffers(copy_recording("6.18-1n", "established", tmp_path), 8002)
    write_segments(root, 8002)
    [buffers] = [part for part in ledger_of(root).tcp_memory.parts if part.row is None]
    assert buffers.low_bytes <= buffers.bytes < 1 << 20


def test_sockets_without_a_segment_are_not_taken_from_the_buffers_in_use(tmp_path: Path) -> None:
    """Since 6.0 a socket without queued segments has no charge, so idle ones leave the memory as it is.

    Measured on 6.18, 2 CPUs: 900 sockets with 13 000 unread bytes each, 4 pages charged for each.
    """
    root = write_buffers(copy_recording("6.18-1n", "established", tmp_path), 3600)
    sockstat = root / "proc/net/sockstat"

    def bytes_with(sockets: int) -> int:
        sockstat.write_text(re.sub(r"alloc \d+", f"alloc {sockets}", sockstat.read_text()))
        [buffers] = [part for part in ledger_of(root).tcp_memory.parts if part.row is None]
        return buffers.bytes

    write_segments(root, 1200)
    few, many = bytes_with(4000), bytes_with(8002)
    assert few == many
    assert 0.75 * 12_448_800 < many < 3600 * 4096


def test_after_a_look_the_buffers_are_the_share_of_the_charge_that_holds_data(tmp_path: Path) -> None:
    """A fifth of what the sockets of the look are charged is taken in advance."""
    lines = [
        group("whole:10", 600, rmem=30_000_000, fwd=10_000_000),
        group("none", 300, "FIN_WAIT1", server=False, wmem_queued=10_000_000),
    ]
    root = tree_with_look(tmp_path, look_text(net(inuse=900, alloc=16_001, mem=12_000), *lines, process(10)), "6.1-4n")
    write_buffers(root, 12_000)
    report = json.loads(forked_program.run("--json", "--root", root).stdout)
    [buffers] = [part for part in report["tcp_memory"]["parts"] if part["part"] == "socket buffers"]
    assert buffers["bytes"] == pytest.approx(0.8 * 12_000 * 4096, rel=1e-6)
    text = " ".join(forked_program.run("-o", "--root", root).stdout.split())
    assert "~ 37.5 MiB of it with data" in text


@pytest.mark.parametrize(("socks", "is_taken"), [(0, True), (1, False), (400, False)])
def test_free_objects_of_mptcp_on_lists_of_cpus_leave_the_share_of_a_look(
    socks: int, is_taken: bool, tmp_path: Path
) -> None:
    """slabinfo counts them as active; a look lacks the charge of a sock of MPTCP alone."""
    lines = [group("whole:10", 600, rmem=10_000_000, fwd=40_000_000)]
    look = look_text(net(inuse=900, alloc=16_001, mem=12_000), *lines, process(10))
    root = write_buffers(tree_with_look(tmp_path, look, "6.18-1n"), 12_000)
    set_row(root, "MPTCP", 15 + socks if socks > 1 else 15)
    protocols = root / "proc/net/protocols"
    protocols.write_text(re.sub(r"(?m)^(MPTCP +\d+ +)0 ", rf"\g<1>{min(socks, 1)} ", protocols.read_text()))
    report = json.loads(forked_program.run("--json", "--root", root).stdout)
    [mptcp] = [cache for cache in report["caches"] if cache["name"] == "MPTCP"]
    assert mptcp["active_objects"]
    [buffers] = [part for part in report["tcp_memory"]["parts"] if part["part"] == "socket buffers"]
    assert (buffers["bytes"] == pytest.approx(0.2 * 12_000 * 4096, rel=1e-6)) == is_taken


@pytest.mark.parametrize("has_slabinfo", [True, False])
def test_segments_in_slab_memory_are_within_the_bounds_of_the_buffers(has_slabinfo: bool, tmp_path: Path) -> None:
    """The data of small segments is in kmalloc caches; a plain user sees no row of slabinfo."""
    root = copy_recording("6.1-1n", "established", tmp_path)
    segments_kib = 400 * 1024
    meminfo = root / "proc/meminfo"
    text = meminfo.read_text()
    for name, grown in (("MemFree", -segments_kib), ("MemAvailable", -segments_kib), ("Slab", segments_kib)):
        old = int(re.search(rf"(?m)^{name}: +(\d+)", text)[1])  # type: ignore[index]
        text = re.sub(rf"(?m)^({name}: +)\d+", rf"\g<1>{old + grown}", text)
    meminfo.write_text(text)
    write_buffers(root, segments_kib // 4)
    if not has_slabinfo:
        (root / "proc/slabinfo").unlink()
    report = json.loads(forked_program.run("--json", "--root", root).stdout)
    [buffers] = [part for part in report["tcp_memory"]["parts"] if part["part"] == "socket buffers"]
    assert buffers["high_bytes"] >= 1024 * segments_kib
    assert report["headroom"]["high_buffer_bytes"] * 16_000 >= 0.99 * 1024 * segments_kib


def test_the_share_of_a_look_is_not_taken_where_sockets_are_missing_in_it(tmp_path: Path) -> None:
    """Data is charged to MPTCP socks, which the dump of TCP does not have: the look has a hundredth of the counter."""
    lines = [group("whole:10", 600, rmem=100_000, fwd=900_000)]
    look = look_text(net(inuse=900, alloc=16_001, mem=24_000), *lines, process(10))
    root = write_buffers(tree_with_look(tmp_path, look), 24_000)
    report = json.loads(forked_program.run("--json", "--root", root).stdout)
    [buffers] = [part for part in report["tcp_memory"]["parts"] if part["part"] == "socket buffers"]
    assert buffers["bytes"] > 0.3 * 24_000 * 4096
    (root / SOCKETS_PATH).unlink()
    unlooked = json.loads(forked_program.run("--json", "--root", root).stdout)
    assert unlooked["tcp_memory"]["bytes"] == report["tcp_memory"]["bytes"]


def test_the_share_of_a_look_is_not_taken_where_queued_segments_are_not_charged(tmp_path: Path) -> None:
    """Segments of MSG_ZEROCOPY are in use, and not charged: their share of the queued bytes is none of the charge."""
    lines = [group("whole:10", 600, fwd=50_000_000, wmem_queued=2_000_000_000)]
    look = look_text(net(inuse=900, alloc=16_001, mem=24_000), *lines, process(10))
    root = write_buffers(tree_with_look(tmp_path, look), 24_000)
    report = json.loads(forked_program.run("--json", "--root", root).stdout)
    (root / SOCKETS_PATH).unlink()
    unlooked = json.loads(forked_program.run("--json", "--root", root).stdout)
    assert unlooked["tcp_memory"]["bytes"] == report["tcp_memory"]["bytes"]


def test_a_socket_is_charged_in_advance_for_one_unit_of_the_charge(tmp_path: Path) -> None:
    """From 4.9 to 5.19 the unit is 4096 bytes, on pages of 16 KiB too."""
    root = copy_recording("6.12-arm64-16k-4n", "established", tmp_path)
    (root / "proc/sys/net/core/mem_pcpu_rsv").unlink()
    write_tree(root, release_files("5.15.0-105-generic-16k"))
    write_buffers(root, 24_000)
    found = ledger_of(root)
    [buffers] = [part for part in found.tcp_memory.parts if part.row is None]
    assert found.sockets.allocated == 16_001
    # Half of the last unit of each socket, and more of it the fewer units a socket has on average.
    assert buffers.bytes == pytest.approx((24_000 - 16_001 * (1 + 16_001 / 24_000) / 2) * 4096)


def test_no_charge_is_no_buffers_before_6_0() -> None:
    figures = ledger("5.10-4n", "timewait")
    [buffers] = [part for part in figures.tcp_memory.parts if part.row is None]
    assert figures.sockets.buffer_error_bytes == 0
    assert figures.sockets.buffer_bytes == buffers.high_bytes == 0
    assert not buffers.estimated


def test_skb_caches_are_not_counted_in_addition_to_buffers() -> None:
    for part in ledger("6.1-4n", "halfclosed").tcp_memory.parts:
        assert "skb" not in part.name
        assert part.row is None or "skb" not in part.row


def test_sockets_in_an_accept_queue_may_have_no_file() -> None:
    """8,000 of 16,001 sockets have no file yet. No counter shows the sockets without a file, so the lower bound must
    allow for such sockets.
    """
    waiting, accepted = (ledger("6.1-4n", phase).tcp_memory for phase in ("unaccepted", "established"))
    [inodes] = [part for part in waiting.parts if part.row == "sock_inode_cache"]
    share = 8 * 4096 / 39
    assert inodes.low_bytes <= 8001 * share <= inodes.high_bytes
    assert waiting.bytes is not None
    assert accepted.bytes is not None
    assert waiting.bytes < accepted.bytes


@pytest.mark.parametrize(
    ("gone", "named"),
    [
        ("proc/net/sockstat", "buffers"),
        ("proc/net/sockstat", "share"),
        ("sys/kernel/security/lsm", "LSM"),
    ],
)
def test_a_sum_with_an_unknown_part_names_it_and_has_no_upper_bound(tmp_path: Path, gone: str, named: str) -> None:
    root = copy_recording("6.1-4n", "established", tmp_path)
    (root / gone).unlink()
    memory, whole = ledger_of(root).tcp_memory, ledger("6.1-4n", "established").tcp_memory
    assert any(named in name for name in memory.missing)
    assert memory.high_bytes is None
    assert memory.bytes is not None
    assert whole.bytes is not None
    assert memory.bytes < whole.bytes


def test_without_tcps_own_caches_the_sum_is_unknown_and_not_small(tmp_path: Path) -> None:
    root = copy_recording("6.1-4n", "established", tmp_path)
    # The page size goes with the rows, the zones and the release, which names an architecture.
    for path in ("proc/slabinfo", "proc/zoneinfo", "proc/version", "proc/sys/kernel/osrelease"):
        (root / path).unlink()
    figures = ledger_of(root)
    memory = figures.tcp_memory
    assert (memory.bytes, memory.high_bytes) == (None, None)
    assert figures.slab_memory.unexplained_bytes is None
    assert memory.missing


@pytest.mark.parametrize("path", ["proc/net/protocols", "proc/net/sockstat"])
def test_without_the_size_of_a_sock_or_the_sockets_no_bound_is_known(path: str, tmp_path: Path) -> None:
    root = copy_recording("6.1-4n", "established", tmp_path)
    for each in ("proc/slabinfo", path):
        (root / each).unlink()
    shutil.rmtree(root / "sys/kernel/slab")
    assert ledger_of(root).tcp_memory.low_bytes is None


@pytest.mark.parametrize("kernel", RECORDINGS)
def test_a_plain_user_has_a_true_lower_bound_in_every_output(kernel: str, tmp_path: Path) -> None:
    root = copy_recording(kernel, "established", tmp_path)
    (root / "proc/slabinfo").unlink()
    shutil.rmtree(root / "sys/kernel/slab", ignore_errors=True)
    figures, whole = ledger_of(root), ledger(kernel, "established").tcp_memory
    memory = figures.tcp_memory
    assert memory.bytes is None
    # Every socket has at least a struct tcp_sock, whose size /proc/net/protocols gives to every user.
    [size] = re.findall(r"(?m)^TCP +(\d+) ", text(kernel, "established", "proc/net/protocols"))
    assert memory.low_bytes is not None
    assert (figures.sockets.allocated or 0) * int(size) <= memory.low_bytes <= (whole.low_bytes or 0)
    shown = units.size(memory.low_bytes, False)
    report = as_text(figures)
    assert f"Memory of TCP: at least {shown}, and what is not known" in report
    assert f"  >= {shown}: the allocated sockets, each with a sock" in report
    families = {family.name: list(family.points) for family in metric_families(figures, DEFAULT_OPTIONS)}
    assert families["tcptop_tcp_memory_low_bytes"] == [((), memory.low_bytes)]
    assert not families.get("tcptop_tcp_memory_bytes")


def test_unexplained_slab_memory_is_unknown_without_meminfo(tmp_path: Path) -> None:
    root = copy_recording("6.1-4n", "established", tmp_path)
    (root / "proc/meminfo").unlink()
    assert ledger_of(root).slab_memory.unexplained_bytes is None


@pytest.mark.parametrize("kernel", ["6.1-4n", "6.1-8n", "6.12-4n", "7.3-4n"])
def test_tcps_part_of_shared_caches_lies_where_the_sockets_are(kernel: str) -> None:
    # The sockets were opened evenly on all nodes; dentries and LSM blobs of the boot lie mostly on one.
    figures = ledger(kernel, "established")
    assert figures.tcp_memory.bytes is not None
    on_nodes = [figures.tcp_bytes_on(node.node) or 0.0 for node in figures.nodes]
    assert max(on_nodes) < 1.08 * min(on_nodes)
    assert sum(on_nodes) <= sum(cache.tcp_bytes or 0 for cache in figures.caches)
    for cache in figures.caches:
        for node in figures.nodes if cache.tcp_bytes and cache.nodes and cache.bytes else ():
            of_cache = (cache.bytes or 0) * (cache.share_on(node.node) or 0.0)
            assert (cache.tcp_bytes_on(node.node) or 0.0) <= of_cache + 1, (cache.name, node.node)


def test_idle_socks_of_mptcp_are_idle_memory_of_tcp(tmp_path: Path) -> None:
    before = ledger_of(copy_recording("6.1-4n", "established", tmp_path / "before"))
    after = ledger_of(with_mptcp(tmp_path / "after", 100))
    for each in (before, after):
        assert each.slab_memory.idle_bytes is not None
        assert each.slab_memory.own_bytes is not None
    more = (after.slab_memory.idle_bytes or 0) - (before.slab_memory.idle_bytes or 0)
    assert more == pytest.approx(500 * 8 * 4096 * 7900 / 8000, rel=0.001)
    [cache] = [cache for cache in after.caches if cache.name == "MPTCP"]
    assert not cache.shared


def test_the_socks_of_mptcp_are_part_of_the_memory(tmp_path: Path) -> None:
    before = ledger_of(copy_recording("6.1-4n", "established", tmp_path / "before"))
    after = ledger_of(with_mptcp(tmp_path / "after", 8000))
    [part] = [part for part in after.tcp_memory.parts if part.name == "MPTCP"]
    assert (part.bytes, part.low_bytes, part.high_bytes) == (500 * 8 * 4096,) * 3
    assert after.tcp_memory.bytes is not None
    assert before.tcp_memory.bytes is not None
    vectors = after.tcp_memory.bytes - before.tcp_memory.bytes - part.bytes
    assert 0 <= vectors <= 500 * 256
    [cache] = [cache for cache in after.caches if cache.name == "MPTCP"]
    assert cache.tcp_bytes == part.bytes
    assert [cache.tcp_bytes_on(node) for node in range(4)] == [0, part.bytes, 0, 0]
    assert not [part for part in before.tcp_memory.parts if part.name.startswith("MPTCP")]
