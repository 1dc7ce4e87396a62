"""Socket counters: their scopes, the unit of the buffer counter for every page size, and its error."""

from __future__ import annotations

from pathlib import Path

import pytest
from recorded import copy_recording, ledger, ledger_of, write_tree

LARGE_PAGES = {
    "proc/zoneinfo": "Node 0, zone      DMA\n  pages free 9\n        managed  65536\n",
    "proc/meminfo": "MemTotal:        4194304 kB\n",
    "proc/net/sockstat": "TCP: inuse 16001 orphan 0 tw 0 alloc 16001 mem 8063\n",
    "sys/devices/system/cpu/online": "0-3\n",
    "proc/sys/net/ipv4/tcp_mem": "1000 2000 3000\n",
}


@pytest.mark.parametrize(
    ("release", "unit"),
    [
        ("3.10.0", 65536),
        ("4.8.15", 65536),
        ("4.19.0-27-arm64", 4096),
        ("5.10.0-32-arm64", 4096),
        ("5.15.100", 4096),
        ("6.1.0-56-arm64-16k", 65536),
        ("6.18.44", 65536),
    ],
)
def test_the_unit_of_buffers_on_64k_pages(tmp_path: Path, release: str, unit: int) -> None:
    sockets = ledger_of(write_tree(tmp_path, {**LARGE_PAGES, "proc/sys/kernel/osrelease": release + "\n"})).sockets
    assert sockets.buffer_pages == 8063
    assert sockets.buffer_bytes == 8063 * unit
    assert sockets.tcp_mem_pages == (1000, 2000, 3000)
    assert sockets.buffer_unit_bytes == unit
    assert sockets.tcp_mem_unit_bytes == 65536, "net.ipv4.tcp_mem is in pages on every kernel"


def test_the_unit_is_unknown_on_64k_pages_of_an_unknown_release(tmp_path: Path) -> None:
    assert ledger_of(write_tree(tmp_path, LARGE_PAGES)).sockets.buffer_bytes is None


def test_on_4k_pages_the_unit_is_the_same_on_every_release(tmp_path: Path) -> None:
    files = {**LARGE_PAGES, "proc/meminfo": "MemTotal:        262144 kB\n"}
    assert ledger_of(write_tree(tmp_path, files)).sockets.buffer_bytes == 8063 * 4096


@pytest.mark.parametrize(
    ("kernel", "error"),
    [
        ("5.10-4n", 0),
        ("6.1-4n", 8 << 20),
        ("6.1-1n", 4 << 20),
        ("6.18-1n", 2 << 20),
        ("6.12-arm64-16k-4n", 8 * 64 * 16384),
        ("7.3-4n", 8 << 20),
    ],
)
def test_since_6_0_each_cpu_may_hold_a_mebibyte_uncounted(kernel: str, error: int) -> None:
    assert ledger(kernel, "base").sockets.buffer_error_bytes == error


def test_the_error_follows_from_the_sysctl(tmp_path: Path) -> None:
    root = copy_recording("6.1-4n", "established", tmp_path)
    (root / "proc/sys/net/core/mem_pcpu_rsv").write_text("512\n")
    assert ledger_of(root).sockets.buffer_error_bytes == 8 * 512 * 4096


@pytest.mark.parametrize(("release", "error"), [("5.15.0", 0), ("6.0.1", 8 << 20), (None, None)])
def test_without_the_sysctl_the_error_follows_from_the_release(
    tmp_path: Path, release: str | None, error: int | None
) -> None:
    root = copy_recording("6.1-4n", "established", tmp_path)
    for path in ("proc/sys/net/core/mem_pcpu_rsv", "proc/sys/kernel/osrelease", "proc/version"):
        (root / path).unlink()
    if release is not None:
        (root / "proc/sys/kernel/osrelease").write_text(release + "\n")
    assert ledger_of(root).sockets.buffer_error_bytes == error


def test_the_error_is_unknown_without_the_number_of_cpus(tmp_path: Path) -> None:
    root = copy_recording("6.1-4n", "established", tmp_path)
    for path in ("sys/devices/system/cpu/online", "proc/zoneinfo"):
        (root / path).unlink()
    assert ledger_of(root).sockets.buffer_error_bytes is None


def test_counts_of_the_machine_and_of_a_namespace_are_separate() -> None:
    """8,000 sockets are in another network namespace than the one whose files were read."""
    sockets = ledger("6.18-1n", "established").sockets
    assert (sockets.inuse, sockets.inuse6, sockets.time_wait) == (1, 0, 0)
    assert (sockets.allocated, sockets.orphans) == (8002, 0)
    assert ledger("6.18-1n", "established").costs["full"].now_bytes is not None


def test_inuse_of_both_adds_up_both_families() -> None:
    assert ledger("6.1-4n-ipv6", "established").sockets.inuse_of_both == 16001
    assert ledger("6.1-4n", "established").sockets.inuse_of_both == 16001


def test_the_machines_time_wait_sockets_are_at_most_the_active_mini_sockets() -> None:
    sockets = ledger("6.1-4n", "timewait").sockets
    assert sockets.time_wait == 8000
    assert sockets.time_wait_machine_max is not None
    assert sockets.time_wait_machine_max >= 8000


@pytest.mark.parametrize(
    ("gone", "unknown"),
    [
        ("proc/net/sockstat", ("inuse", "orphans", "time_wait", "allocated", "buffer_pages", "buffer_bytes")),
        ("proc/net/sockstat6", ("inuse6",)),
        ("proc/slabinfo", ("time_wait_machine_max",)),
        ("proc/sys/net/ipv4/tcp_mem", ("tcp_mem_pages",)),
    ],
)
def test_counts_of_a_missing_file_are_unknown_and_not_zero(tmp_path: Path, gone: str, unknown: tuple[str, ...]) -> None:
    root = copy_recording("6.1-4n", "established", tmp_path)
    (root / gone).unlink()
    sockets, whole = ledger_of(root).sockets, ledger("6.1-4n", "established").sockets
    for name in type(sockets)._fields:
        expected = None if name in unknown else getattr(whole, name)
        assert getattr(sockets, name) == expected, name
