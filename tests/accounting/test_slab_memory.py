"""The machine's slab memory by owner: the parts add up to meminfo's Slab, and idle memory equals that of the rows."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from recorded import copy_recording, each_recording, ledger, ledger_of, slab_rows, snapshot, text, write_tree

from tcptop.accounting import account
from tcptop.ledger import CacheLine, SlabMemory

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
def test_the_parts_add_up_to_meminfos_slab(kernel: str, phase: str) -> None:
    memory = ledger(kernel, phase).slab_memory
    parts = (memory.own_bytes, memory.share_bytes, memory.rest_bytes, memory.unexplained_bytes)
    assert memory.total_bytes == slab_of_meminfo(kernel, phase)
    assert sum(map(known, parts)) == memory.total_bytes
    assert min(map(known, parts[:3])) >= 0


@each_recording
def test_own_share_and_rest_are_the_sum_of_all_rows(kernel: str, phase: str) -> None:
    """Slabs of the fallback order take less."""
    memory = ledger(kernel, phase).slab_memory
    rows = slab_rows(text(kernel, phase, "proc/slabinfo")).values()
    most = sum(row.slabs * row.pages for row in rows) * page_bytes(kernel)
    fallback = any(row.objects < row.slabs * row.per_slab for row in rows)
    held = known(memory.own_bytes) + known(memory.share_bytes) + known(memory.rest_bytes)
    assert held < most if fallback else held == most


@each_recording
def test_own_bytes_are_tcps_caches_and_bind_buckets_that_are_not_merged(kernel: str, phase: str) -> None:
    rows = slab_rows(text(kernel, phase, "proc/slabinfo"))
    own = (*OWN, *(name for name in BUCKETS if kernel.endswith(("nomerge", "slubdebug"))))
    held = sum(rows[name].slabs * rows[name].pages for name in own) * page_bytes(kernel)
    assert ledger(kernel, phase).slab_memory.own_bytes == held


@each_recording
def test_the_share_lies_within_its_bounds(kernel: str, phase: str) -> None:
    memory = ledger(kernel, phase).slab_memory
    assert 0 <= known(memory.share_low_bytes) <= known(memory.share_bytes) <= known(memory.share_high_bytes)
    assert known(memory.share_high_bytes) <= known(memory.total_bytes)


@each_recording
def test_idle_bytes_are_the_slabs_less_the_shares_of_active_objects(kernel: str, phase: str) -> None:
    memory = ledger(kernel, phase).slab_memory
    rows = slab_rows(text(kernel, phase, "proc/slabinfo"))
    page = page_bytes(kernel)
    idle = sum(rows[name].slabs * rows[name].pages * page - rows[name].active * rows[name].share(page) for name in OWN)
    assert known(memory.idle_bytes) == pytest.approx(idle, abs=1)
    assert known(memory.idle_bytes) <= sum(rows[name].slabs * rows[name].pages for name in OWN) * page


@each_recording
def test_the_error_of_idle_bytes_is_at_most_all_active_objects(kernel: str, phase: str) -> None:
    memory = ledger(kernel, phase).slab_memory
    rows = slab_rows(text(kernel, phase, "proc/slabinfo"))
    active = sum(rows[name].active * rows[name].share(page_bytes(kernel)) for name in OWN)
    assert 0 <= known(memory.idle_error_bytes) <= active + 1


def assert_idle_is_within_its_error(memory: SlabMemory, kernel: str) -> None:
    """In `timewait` one listener and 8 000 mini-sockets remain of 16 000 sockets, so all other slab memory of TCP is
    idle.
    """
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
def test_slabs_of_closed_sockets_are_within_idle_bytes_and_their_error(kernel: str) -> None:
    assert_idle_is_within_its_error(ledger(kernel, "timewait").slab_memory, kernel)


def test_sheaves_of_closed_sockets_are_within_idle_bytes_and_their_error(tmp_path: Path) -> None:
    """7.3 counts 672 active TCP objects for one socket: 56 sheaves of 12. Caches other than TCP have sheaves of 28."""
    root = copy_recording("7.3-4n", "timewait", tmp_path)
    for name in OWN:
        write_tree(root, {f"sys/kernel/slab/{name}/sheaf_capacity": "12\n" if name.startswith("TCP") else "28\n"})
    assert_idle_is_within_its_error(ledger_of(root).slab_memory, "7.3-4n")


def test_idle_bytes_grow_when_half_of_the_sockets_close() -> None:
    """TCP keeps its slabs when sockets close; on 6.1 most of their objects count as free."""
    before, after = (ledger("6.1-4n", phase).slab_memory for phase in ("established", "halfclosed"))
    assert known(after.idle_bytes) - known(before.idle_bytes) > 15 << 20


def test_each_cpu_may_cache_the_objects_of_its_slab_and_its_partial_slabs() -> None:
    """TCP on 6.1: 14 objects per slab, 8 CPUs, each with up to 24 objects on half-full slabs: four slabs."""

    def tcp(phase: str) -> CacheLine:
        of = snapshot("6.1-4n", phase)
        figures = account(of._replace(slabinfo=of.slabinfo._replace(sockstat=None)))
        return next(line for line in figures.caches if line.name == "TCP")

    assert tcp("established").idle_error_objects == 8 * 14 * (1 + 4)
    assert tcp("base").idle_error_objects == tcp("base").active_objects == 28


def test_without_slabinfo_only_the_total_is_known(tmp_path: Path) -> None:
    root = copy_recording("6.1-4n", "established", tmp_path)
    (root / "proc/slabinfo").unlink()
    memory = ledger_of(root).slab_memory
    assert memory.total_bytes == slab_of_meminfo("6.1-4n", "established")
    for part in (memory.rest_bytes, memory.unexplained_bytes, memory.idle_bytes):
        assert part is None


def test_a_slabinfo_that_is_cut_off_leaves_the_rest_unknown(tmp_path: Path) -> None:
    root = copy_recording("6.1-4n", "established", tmp_path)
    slabinfo = root / "proc/slabinfo"
    lines = slabinfo.read_text().splitlines(keepends=True)
    slabinfo.write_text("".join(lines[: len(lines) // 2]) + lines[-1][:20])
    memory = ledger_of(root).slab_memory
    assert memory.rest_bytes is None
    assert memory.unexplained_bytes is None


def test_without_sockstat_the_share_and_the_rest_are_unknown(tmp_path: Path) -> None:
    root = copy_recording("6.1-4n", "established", tmp_path)
    (root / "proc/net/sockstat").unlink()
    memory = ledger_of(root).slab_memory
    assert memory.own_bytes == ledger("6.1-4n", "established").slab_memory.own_bytes
    assert memory.share_bytes is None
    assert memory.share_high_bytes is None
    assert memory.rest_bytes is None


def test_without_meminfos_slab_only_the_total_and_unexplained_are_unknown(tmp_path: Path) -> None:
    root = copy_recording("6.1-4n", "established", tmp_path)
    meminfo = root / "proc/meminfo"
    meminfo.write_text(re.sub(r"^Slab:.*\n", "", meminfo.read_text(), flags=re.MULTILINE))
    memory, whole = ledger_of(root).slab_memory, ledger("6.1-4n", "established").slab_memory
    assert (memory.total_bytes, memory.unexplained_bytes) == (None, None)
    assert memory == whole._replace(total_bytes=None, unexplained_bytes=None)


def test_nothing_is_known_if_nothing_is_readable(tmp_path: Path) -> None:
    memory = ledger_of(write_tree(tmp_path, {})).slab_memory
    for name in type(memory)._fields:
        assert getattr(memory, name) is None, name
