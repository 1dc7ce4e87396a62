"""The page size of the machine that a tree came from."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from recorded import copy_recording, each_recording, ledger, ledger_of, write_tree

SLABINFO = "slabinfo - version: 2.1\n# name\n"


@each_recording
def test_every_recording_gives_its_own_page_size(kernel: str, phase: str) -> None:
    assert ledger(kernel, phase).host.page_size_bytes == (16384 if "16k" in kernel else 4096)


@pytest.mark.parametrize(("kernel", "size"), [("6.1-4n", 4096), ("6.12-arm64-16k-4n", 16384)])
@pytest.mark.parametrize(
    "gone",
    [
        ("proc/slabinfo",),
        ("proc/slabinfo", "sys/devices/system/node"),
        ("proc/slabinfo", "proc/meminfo"),
        ("proc/zoneinfo",),
        ("proc/meminfo", "proc/zoneinfo", "sys/devices/system/node"),
    ],
    ids=", ".join,
)
def test_the_page_size_follows_from_any_of_several_files(
    kernel: str, size: int, gone: tuple[str, ...], tmp_path: Path
) -> None:
    root = copy_recording(kernel, "established", tmp_path)
    for path in gone:
        if (root / path).is_dir():
            shutil.rmtree(root / path)
        else:
            (root / path).unlink()
    assert ledger_of(root).host.page_size_bytes == size


def test_without_a_page_size_all_bytes_of_slabs_are_unknown(tmp_path: Path) -> None:
    root = copy_recording("6.1-4n", "established", tmp_path)
    # The page size is derived from the rows, the zones, and the architecture in the release, so these files are
    # removed.
    for path in ("proc/slabinfo", "proc/zoneinfo", "proc/version", "proc/sys/kernel/osrelease"):
        (root / path).unlink()
    figures = ledger_of(root)
    assert figures.host.page_size_bytes is None
    assert all(cache.bytes is None for cache in figures.caches)
    assert figures.sockets.buffer_bytes is None
    assert figures.sockets.buffer_pages == 0
    assert figures.costs["full"].now_bytes is None
    assert figures.tcp_memory.bytes is None


def test_64k_pages_follow_from_memtotal_and_managed_pages(tmp_path: Path) -> None:
    root = write_tree(
        tmp_path,
        {
            "proc/zoneinfo": "Node 0, zone      DMA\n  pages free 9\n        managed  65536\n",
            "proc/meminfo": "MemTotal:        4194304 kB\n",
        },
    )
    assert ledger_of(root).host.page_size_bytes == 65536


def test_memory_that_no_page_size_explains_gives_none(tmp_path: Path) -> None:
    root = write_tree(
        tmp_path,
        {
            "proc/zoneinfo": "Node 0, zone      DMA\n  pages free 9\n        managed  65536\n",
            "proc/meminfo": "MemTotal:        3000000 kB\n",
        },
    )
    assert ledger_of(root).host.page_size_bytes is None


def test_rows_of_the_slab_allocator_give_no_page_size(tmp_path: Path) -> None:
    """SLAB slabs hold an index, so fewer objects fit; by SLUB's formula these rows would fit no page size."""
    rows = "TCP 5 15 1536 5 2 : tunables 24 12 8 : slabdata 3 3 0\n"
    assert ledger_of(write_tree(tmp_path, {"proc/slabinfo": SLABINFO + rows})).host.page_size_bytes is None


def test_rows_that_fit_several_page_sizes_give_none(tmp_path: Path) -> None:
    """A row with an object size of 0 fits every page size."""
    rows = "odd 0 0 0 0 1 : tunables 0 0 0 : slabdata 0 0 0\n"
    assert ledger_of(write_tree(tmp_path, {"proc/slabinfo": SLABINFO + rows})).host.page_size_bytes is None
