"""The machine's slab memory by whose it is: it adds up to meminfo's Slab, and idle is what rows say."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from recorded import copy_recording, each_recording, ledger, ledger_of, slab_rows, text, write_tree

from tcptop.ledger import SlabMemory

OWN = ("TCP", "TCPv6", "tw_sock_TCP", "tw_sock_TCPv6", "request_sock_TCP", "request_sock_TCPv6")
BUCKETS = ("tcp_bind_bucket", "tcp_bind2_bucket")


def page_bytes(kernel: str) -> int:
    return 16384 if "16k" in kernel else 4096


def slab_of_meminfo(kernel: str, phase: str) -> int:
    found = re.search(r"^Slab: +(\d+) kB$", text(kernel, phase, "proc/meminfo"), re.MULTILINE)
    assert found
    return int(found[1]) << 10


def known(value: int | None) -> int:
    assert value is not None
    return value


@each_recording
def test_the_parts_are_all_of_meminfos_slab(kernel: str, phase: str) -> None:
    memory = ledger(kernel, phase).slab_memory
    parts = (memory.own_bytes, memory.share_bytes, memory.rest_bytes, memory.unexplained_bytes)
    assert memory.total_bytes == slab_of_meminfo(kernel, phase)
    assert sum(map(known, parts)) == memory.total_bytes
    assert min(map(known, parts[:3])) >= 0


@each_recording
def test_what_has_a_row_is_the_sum_of_the_rows(kernel: str, phase: str) -> None:
    """Where slabs are of the order that they should be; a fallback is repaired, and takes less."""
    memory = ledger(kernel, phase).slab_memory
    rows = slab_rows(text(kernel, phase, "proc/slabinfo")).values()
    most = sum(row.slabs * row.pages for row in rows) * page_bytes(kernel)
    fallback = any(row.objects < row.slabs * row.per_slab for row in rows)
    held = known(memory.own_bytes) + known(memory.share_bytes) + known(memory.rest_bytes)
    assert held < most if fallback else held == most


@each_recording
def test_tcps_own_caches_are_whole_and_buckets_with_a_row_of_their_own_are_among_them(kernel: str, phase: str) -> None:
    rows = slab_rows(text(kernel, phase, "proc/slabinfo"))
    own = (*OWN, *(name for name in BUCKETS if kernel.endswith(("nomerge", "slubdebug"))))
    held = sum(rows[name].slabs * rows[name].pages for name in own) * page_bytes(kernel)
    assert ledger(kernel, phase).slab_memory.own_bytes == held


@each_recording
def test_the_share_lies_in_its_range(kernel: str, phase: str) -> None:
    memory = ledger(kernel, phase).slab_memory
    assert 0 <= known(memory.share_low_bytes) <= known(memory.share_bytes) <= known(memory.share_high_bytes)
    assert known(memory.share_high_bytes) <= known(memory.total_bytes)


@each_recording
def test_idle_is_what_no_active_object_takes(kernel: str, phase: str) -> None:
    memory = ledger(kernel, phase).slab_memory
    rows = slab_rows(text(kernel, phase, "proc/slabinfo"))
    page = page_bytes(kernel)
    idle = sum(rows[name].slabs * rows[name].pages * page - rows[name].active * rows[name].share(page) for name in OWN)
    assert known(memory.idle_bytes) == pytest.approx(idle, abs=1)
    assert known(memory.idle_bytes) <= sum(rows[name].slabs * rows[name].pages for name in OWN) * page


@each_recording
def test_what_may_be_idle_on_cpus_is_no_more_than_what_is_active(kernel: str, phase: str) -> None:
    memory = ledger(kernel, phase).slab_memory
    rows = slab_rows(text(kernel, phase, "proc/slabinfo"))
    active = sum(rows[name].active * rows[name].share(page_bytes(kernel)) for name in OWN)
    assert 0 < known(memory.idle_error_bytes) <= active + 1


def assert_idle_is_within_its_error(memory: SlabMemory, kernel: str) -> None:
    """In `timewait` one listener is left of 16 000 sockets, and 8 000 mini-sockets: all else is idle."""
    rows = slab_rows(text(kernel, "timewait", "proc/slabinfo"))
    page = page_bytes(kernel)
    idle = known(memory.own_bytes) - 8_000 * rows["tw_sock_TCP"].share(page) - rows["TCP"].share(page)
    if kernel.endswith("nomerge"):
        idle -= sum(rows[name].slabs * rows[name].pages for name in BUCKETS) * page
    assert known(memory.idle_bytes) <= idle * 1.001
    assert idle <= known(memory.idle_bytes) + known(memory.idle_error_bytes) + page


@pytest.mark.parametrize(
    "kernel",
    [
        *("5.10-4n", "6.1-1n", "6.1-4n", "6.1-8n", "6.1-4n-nomerge", "6.12-4n", "6.12-arm64-16k-4n"),
        "7.3-4n",
    ],
)
def test_what_closed_sockets_leave_is_within_idle_and_its_error(kernel: str) -> None:
    assert_idle_is_within_its_error(ledger(kernel, "timewait").slab_memory, kernel)


def test_what_closed_sockets_leave_in_sheaves_is_within_idle_and_its_error(tmp_path: Path) -> None:
    """7.3 counts 672 active objects of TCP for its one socket: 56 sheaves of 12; of the other caches, of 28."""
    root = copy_recording("7.3-4n", "timewait", tmp_path)
    for name in OWN:
        write_tree(root, {f"sys/kernel/slab/{name}/sheaf_capacity": "12\n" if name.startswith("TCP") else "28\n"})
    assert_idle_is_within_its_error(ledger_of(root).slab_memory, "7.3-4n")


def test_the_caches_of_before_are_idle_after() -> None:
    """Thousands of TCP's slabs stay when their sockets are closed; on 6.1 most of their objects count as free."""
    before, after = (ledger("6.1-4n", phase).slab_memory for phase in ("established", "halfclosed"))
    assert known(after.idle_bytes) - known(before.idle_bytes) > 15 << 20


def test_on_a_cpu_lie_the_slab_it_works_on_and_as_many_partial_ones_as_it_may_keep() -> None:
    """TCP on 6.1: 14 objects a slab, 8 CPUs; each keeps up to 24 objects on half-full slabs, so four of them."""
    [tcp] = [line for line in ledger("6.1-4n", "established").caches if line.name == "TCP"]
    assert tcp.idle_error_objects == 8 * 14 * (1 + 4)
    [few] = [line for line in ledger("6.1-4n", "base").caches if line.name == "TCP"]
    assert few.idle_error_objects == few.active_objects == 28


def test_without_slabinfo_no_part_is_known_and_the_whole_is(tmp_path: Path) -> None:
    root = copy_recording("6.1-4n", "established", tmp_path)
    (root / "proc/slabinfo").unlink()
    memory = ledger_of(root).slab_memory
    assert memory.total_bytes == slab_of_meminfo("6.1-4n", "established")
    for part in (memory.rest_bytes, memory.unexplained_bytes, memory.idle_bytes):
        assert part is None


def test_a_slabinfo_that_is_cut_off_does_not_tell_the_rest(tmp_path: Path) -> None:
    root = copy_recording("6.1-4n", "established", tmp_path)
    slabinfo = root / "proc/slabinfo"
    lines = slabinfo.read_text().splitlines(keepends=True)
    slabinfo.write_text("".join(lines[: len(lines) // 2]) + lines[-1][:20])
    memory = ledger_of(root).slab_memory
    assert memory.rest_bytes is None
    assert memory.unexplained_bytes is None


def test_without_sockstat_the_share_and_the_rest_are_not_known(tmp_path: Path) -> None:
    root = copy_recording("6.1-4n", "established", tmp_path)
    (root / "proc/net/sockstat").unlink()
    memory = ledger_of(root).slab_memory
    assert memory.own_bytes == ledger("6.1-4n", "established").slab_memory.own_bytes
    assert memory.share_bytes is None
    assert memory.share_high_bytes is None
    assert memory.rest_bytes is None


def test_without_meminfos_slab_only_the_whole_is_missing(tmp_path: Path) -> None:
    root = copy_recording("6.1-4n", "established", tmp_path)
    meminfo = root / "proc/meminfo"
    meminfo.write_text(re.sub(r"^Slab:.*\n", "", meminfo.read_text(), flags=re.MULTILINE))
    memory, whole = ledger_of(root).slab_memory, ledger("6.1-4n", "established").slab_memory
    assert (memory.total_bytes, memory.unexplained_bytes) == (None, None)
    assert memory == whole._replace(total_bytes=None, unexplained_bytes=None)


def test_where_nothing_can_be_read_nothing_is_known(tmp_path: Path) -> None:
    memory = ledger_of(write_tree(tmp_path, {})).slab_memory
    for name in type(memory)._fields:
        assert getattr(memory, name) is None, name
