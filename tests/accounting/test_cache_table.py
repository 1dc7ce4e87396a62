"""Slab caches: the row that counts an object, bytes corrected for order fallback, and counts per node."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from recorded import (
    RECORDINGS,
    copy_recording,
    each_recording,
    ledger,
    ledger_of,
    link_caches,
    row_of,
    slab_rows,
    text,
    tree,
    write_tree,
)

from tcptop.accounting.slab_bytes import slab_bytes
from tcptop.ledger import CacheLine, Ledger
from tcptop.report.as_text import as_text

PAGE = 4096


def line(figures: Ledger, name: str) -> CacheLine:
    [found] = [cache for cache in figures.caches if cache.name == name]
    return found


def known(value: int | None) -> int:
    assert value is not None
    return value


def page_bytes(kernel: str) -> int:
    return 16384 if "16k" in kernel else PAGE


# Order fallback.


@pytest.mark.parametrize(
    ("full", "small"), [(10, 0), (9, 1), (5, 5), (0, 10), (0, 1), (1, 0), (0, 0), (1000, 37), (3, 40_000)]
)
@pytest.mark.parametrize(
    ("size", "per_slab", "pages", "small_pages"),
    [
        (2368, 13, 8, 1),  # TCP on 6.18: one object fits into a page
        (2304, 14, 8, 1),
        (832, 39, 8, 1),  # sock_inode_cache on 8 CPUs: four objects fit into a page
        (832, 19, 4, 1),
        (256, 32, 2, 1),
        (6000, 5, 8, 2),  # an object larger than a page
        (9000, 3, 8, 4),
    ],
)
def test_the_object_count_gives_the_number_of_slabs_of_each_order(
    full: int, small: int, size: int, per_slab: int, pages: int, small_pages: int
) -> None:
    """SLUB takes the preferred order, or the smallest order that holds one object (mm/slub.c, allocate_slab)."""
    objects = full * per_slab + small * (small_pages * PAGE // size)
    expected = (full * pages + small * small_pages) * PAGE
    assert slab_bytes(objects, full + small, size, per_slab, pages, PAGE) == expected


def test_a_cache_of_the_smallest_order_needs_no_correction() -> None:
    assert slab_bytes(40, 3, 192, 21, 1, PAGE) == 3 * PAGE


def test_order_fallback_on_16k_pages() -> None:
    assert slab_bytes(26 + 6, 2, 2432, 26, 4, 16384) == 4 * 16384 + 16384


@given(st.integers(0, 10**6), st.integers(0, 10**5), st.integers(1, 9000), st.sampled_from([1, 2, 4, 8]))
def test_bytes_are_between_0_and_those_of_the_preferred_order(objects: int, slabs: int, size: int, pages: int) -> None:
    per_slab = max(1, pages * PAGE // size)
    assert 0 <= slab_bytes(objects, slabs, size, per_slab, pages, PAGE) <= slabs * pages * PAGE


@each_recording
def test_every_row_has_the_counts_and_bytes_of_slabinfo(kernel: str, phase: str) -> None:
    rows = slab_rows(text(kernel, phase, "proc/slabinfo"))
    own = {cache.name: cache for cache in ledger(kernel, phase).caches if cache.row == cache.name}
    assert own.keys() == rows.keys()
    for name, row in rows.items():
        cache = own[name]
        assert (cache.objects, cache.slabs, cache.active_objects) == (row.objects, row.slabs, row.active), name
        assert (cache.object_bytes, cache.objects_per_slab, cache.pages_per_slab) == (row.size, row.per_slab, row.pages)
        assert cache.order is not None
        assert 1 << cache.order == row.pages, name
        if row.objects == row.slabs * row.per_slab:
            assert cache.bytes == row.slabs * row.pages * page_bytes(kernel), name


# Merging.


@pytest.mark.parametrize(
    ("kernel", "cache", "row", "size"),
    [
        ("6.1-4n", "eventpoll_epi", "pid", 128),
        ("6.12-4n", "lsm_file_cache", "shared_policy_node", 48),
        ("7.3-4n", "lsm_file_cache", "ftrace_event_field", 56),
    ],
)
def test_a_merged_cache_is_found_in_the_row_that_counts_it(kernel: str, cache: str, row: str, size: int) -> None:
    found = line(ledger(kernel, "established"), cache)
    assert (found.row, found.object_bytes) == (row, size)
    if cache != row:
        assert row in found.aliases
        assert cache in line(ledger(kernel, "established"), row).aliases


BUCKET_ROWS: dict[str, tuple[tuple[str, int], tuple[str, int] | None]] = {
    "5.10-4n": (("kernfs_node_cache", 128), None),
    "6.1-1n": (("pid", 128), ("anon_vma_chain", 64)),
    "6.1-4n": (("pid", 128), ("anon_vma_chain", 64)),
    "6.1-4n-ipv6": (("pid", 128), ("anon_vma_chain", 64)),
    "6.1-4n-memoryless": (("pid", 128), ("anon_vma_chain", 64)),
    "6.1-4n-nomerge": (("tcp_bind_bucket", 128), ("tcp_bind2_bucket", 64)),
    "6.1-4n-slubdebug": (("tcp_bind_bucket", 256), ("tcp_bind2_bucket", 256)),
    "6.1-8n": (("pid", 128), ("anon_vma_chain", 64)),
    "6.1-rt-4n": (("fs_cache", 128), ("anon_vma_chain", 64)),
    "6.12-4n": (("pid", 128), ("pid", 128)),
    "6.12-arm64-16k-4n": (("pid", 128), ("pid", 128)),
    "6.18-1n": (("eventpoll_epi", 128), ("eventpoll_epi", 128)),
    "7.3-4n": (("eventpoll_epi", 128), ("eventpoll_epi", 128)),
}
"""The rows that count tcp_bind_bucket and tcp_bind2_bucket, and their object sizes; 5.10 has only tcp_bind_bucket."""


@each_recording
def test_bind_buckets_are_found_in_the_row_that_they_are_merged_into(kernel: str, phase: str) -> None:
    rows = slab_rows(text(kernel, phase, "proc/slabinfo"))
    for cache, expected in zip(("tcp_bind_bucket", "tcp_bind2_bucket"), BUCKET_ROWS[kernel], strict=True):
        found = [each for each in ledger(kernel, phase).caches if each.name == cache]
        if expected is None:
            assert found == []
            assert row_of(kernel, phase, cache) is None
            continue
        row, size = expected
        assert row_of(kernel, phase, cache) == row
        assert [(each.row, each.object_bytes, each.in_catalogue) for each in found] == [(row, size, True)]
        assert rows[row].size == size
        assert (cache in rows) == (row == cache)
        of_row = line(ledger(kernel, phase), row)
        assert of_row.in_catalogue
        assert cache in (of_row.name, *of_row.aliases)


def test_the_bind_bucket_rows_of_every_recorded_kernel_are_listed() -> None:
    assert BUCKET_ROWS.keys() == RECORDINGS.keys()


@each_recording
def test_a_cache_merged_into_another_row_has_sizes_and_no_counts(kernel: str, phase: str) -> None:
    merged = [cache for cache in ledger(kernel, phase).caches if cache.row != cache.name]
    assert (merged == []) == (kernel in ("6.1-4n-nomerge", "6.1-4n-slubdebug"))
    for cache in merged:
        assert cache.object_bytes
        assert cache.slab_share_bytes
        assert cache.shared
        assert (cache.bytes, cache.objects, cache.slabs, cache.active_objects, cache.nodes) == (None,) * 5


@each_recording
def test_each_row_is_counted_once(kernel: str, phase: str) -> None:
    rows = slab_rows(text(kernel, phase, "proc/slabinfo"))
    held = {cache.name: cache.bytes for cache in ledger(kernel, phase).caches if cache.bytes is not None}
    assert held.keys() == rows.keys()
    assert len(held) == sum(cache.bytes is not None for cache in ledger(kernel, phase).caches)
    match = re.search(r"^Slab: +(\d+) kB$", text(kernel, phase, "proc/meminfo"), re.MULTILINE)
    assert match
    unexplained = (int(match[1]) << 10) - sum(held.values())
    assert ledger(kernel, phase).slab_memory.unexplained_bytes == unexplained
    assert 0 <= unexplained < 8 << 20
    # Slab memory without a row does not depend on sockets.
    assert unexplained == pytest.approx(known(ledger(kernel, "base").slab_memory.unexplained_bytes), abs=300_000)


@each_recording
def test_a_row_that_others_use_is_marked_as_shared(kernel: str, phase: str) -> None:
    shared = {cache.name for cache in ledger(kernel, phase).caches if cache.shared}
    assert not shared & {"TCP", "TCPv6", "tw_sock_TCP", "tw_sock_TCPv6", "request_sock_TCP", "request_sock_TCPv6"}
    assert {"dentry", "sock_inode_cache", "filp", "kmalloc-64"} <= shared


@each_recording
def test_the_size_of_a_struct_is_known_only_if_its_cache_is_not_merged(kernel: str, phase: str) -> None:
    figures = ledger(kernel, phase)
    for name in ("TCP", "TCPv6", "sock_inode_cache", "tw_sock_TCP"):
        own = int((tree(kernel, phase) / "sys/kernel/slab" / name / "object_size").read_text())
        assert line(figures, name).object_size_bytes == own
    for cache in figures.caches:
        if cache.aliases:
            assert cache.object_size_bytes is None, cache.name


# Nodes.


@each_recording
def test_the_counts_of_each_node_are_those_of_sysfs(kernel: str, phase: str) -> None:
    figures = ledger(kernel, phase)
    for name in ("TCP", "TCPv6", "sock_inode_cache", "dentry", "tw_sock_TCP"):
        folder = tree(kernel, phase) / "sys/kernel/slab" / name
        by_node = {
            file: {int(node): int(count) for node, count in re.findall(r"N(\d+)=(\d+)", (folder / file).read_text())}
            for file in ("total_objects", "slabs")
        }
        cache = line(figures, name)
        assert cache.nodes is not None
        assert {node: (each.objects, each.slabs) for node, each in cache.nodes.items()} == {
            node: (by_node["total_objects"].get(node, 0), slabs) for node, slabs in by_node["slabs"].items()
        }
        for node, each in cache.nodes.items():
            if cache.objects_per_slab and each.objects == by_node["slabs"][node] * cache.objects_per_slab:
                assert each.bytes == by_node["slabs"][node] * (cache.pages_per_slab or 0) * page_bytes(kernel)


def test_without_numa_all_objects_are_on_node_0(tmp_path: Path) -> None:
    root = copy_recording("6.18-1n", "established", tmp_path)
    for name in ("slabs", "total_objects"):
        path = root / "sys/kernel/slab/TCP" / name
        path.write_text(path.read_text().split()[0] + "\n")
    nodes = line(ledger_of(root), "TCP").nodes
    assert nodes is not None
    assert {node: (each.objects, each.slabs) for node, each in nodes.items()} == {0: (8073, 621)}


# The case without slabinfo and without links.


def test_without_slabinfo_sizes_counts_and_figures_come_from_sysfs(tmp_path: Path) -> None:
    root = copy_recording("6.1-4n-nomerge", "established", tmp_path)
    (root / "proc/slabinfo").unlink()
    figures, whole = ledger_of(root), ledger("6.1-4n-nomerge", "established")
    for name in ("TCP", "sock_inode_cache", "tcp_bind_bucket", "tw_sock_TCP"):
        found, expected = line(figures, name), line(whole, name)
        assert (found.object_bytes, found.objects_per_slab, found.order) == (
            expected.object_bytes,
            expected.objects_per_slab,
            expected.order,
        )
        assert (found.objects, found.slabs, found.bytes) == (expected.objects, expected.slabs, expected.bytes)
        assert found.active_objects is None
    outgoing = figures.costs["full"].by_family["ipv4"].outgoing
    full = whole.costs["full"].by_family["ipv4"].outgoing
    cache_parts = [part for part in full.parts if "kmalloc" not in part.cache]
    assert [(part.object, part.object_bytes, part.slab_bytes) for part in outgoing.parts if not part.estimated] == [
        (part.object, part.object_bytes, part.slab_bytes) for part in cache_parts
    ]


def test_without_slabinfo_a_merged_cache_has_a_size_and_no_bytes(tmp_path: Path) -> None:
    root = copy_recording("6.1-4n", "established", tmp_path)
    (root / "proc/slabinfo").unlink()
    figures = ledger_of(root)
    for name in ("tcp_bind_bucket", "eventpoll_epi", "filp"):
        cache = line(figures, name)
        assert cache.object_bytes == line(ledger("6.1-4n", "established"), name).object_bytes
        assert (cache.row, cache.bytes) == (None, None)


def test_without_links_no_row_has_an_alias(tmp_path: Path) -> None:
    root = copy_recording("6.1-4n", "established", tmp_path)
    shutil.rmtree(root / "sys/kernel/slab")
    figures = ledger_of(root)
    assert all(cache.aliases == () for cache in figures.caches)
    assert not any(cache.name == "tcp_bind_bucket" for cache in figures.caches)
    assert all(cache.nodes is None for cache in figures.caches)


def test_before_5_9_slabinfo_is_preferred_to_sysfs(tmp_path: Path) -> None:
    """On old kernels, caches had children for memory cgroups, which slabinfo adds up and sysfs does not show."""
    root = write_tree(
        tmp_path,
        {
            "proc/slabinfo": "slabinfo - version: 2.1\n# name\n"
            "TCP 130 130 2368 13 8 : tunables 0 0 0 : slabdata 10 10 0\n"
            "kmem_cache 21 21 192 21 1 : tunables 0 0 0 : slabdata 1 1 0\n",
            "proc/sys/kernel/osrelease": "4.19.0\n",
        },
    )
    link_caches(root, {"TCP": ()})
    for name, count in (("slabs", "2 N0=2\n"), ("total_objects", "26 N0=26\n")):
        (root / "sys/kernel/slab/TCP" / name).write_text(count)
    cache = line(ledger_of(root), "TCP")
    assert (cache.objects, cache.slabs) == (130, 10)


def with_child_caches(root: Path, release: str = "5.4.0-182-generic", parent_share: float = 0.5) -> Path:
    """A recording of 16 001 sockets, with a part of the socks in caches that only slabinfo counts."""
    root = copy_recording("5.10-4n", "established", root)
    write_tree(root, {"proc/sys/kernel/osrelease": f"{release}\n"})
    for file in ("proc/version", "proc/cmdline"):
        (root / file).unlink(missing_ok=True)
    for name in ("slabs", "total_objects"):
        path = root / "sys/kernel/slab/TCP" / name
        by_node = {node: int(int(n) * parent_share) for node, n in re.findall(r"(N\d+)=(\d+)", path.read_text())}
        path.write_text(f"{sum(by_node.values())} {' '.join(f'{node}={n}' for node, n in by_node.items())}\n")
    return root


@pytest.mark.parametrize("release", ["4.18.0-553.el8_10.x86_64", "5.4.0-182-generic"])
def test_the_nodes_of_objects_in_child_caches_are_unknown(tmp_path: Path, release: str) -> None:
    """Sysfs leaves out child caches of memory cgroups, so its counts by node are those of the parent alone."""
    figures, whole = ledger_of(with_child_caches(tmp_path, release)), ledger("5.10-4n", "established")
    cache = line(figures, "TCP")
    assert (cache.objects, cache.nodes, cache.in_child_caches) == (line(whole, "TCP").objects, None, True)
    assert line(figures, "sock_inode_cache").nodes == line(whole, "sock_inode_cache").nodes
    assert {figures.tcp_bytes_on(node.node) for node in figures.nodes} == {None}
    of_nodes = figures.headroom["full"].nodes
    assert len(of_nodes) == 4
    assert {node.local for node in of_nodes.values()} == {None}
    assert all(node.without_reclaim > 0 for node in of_nodes.values())
    assert "cgroups, which /proc/slabinfo counts" in as_text(figures).replace("\n  ", " ")


@pytest.mark.parametrize(
    ("release", "command_line", "parent_share"),
    [
        ("5.10.0-32-amd64", "quiet", 0.9),
        ("5.4.0-182-generic", "cgroup.memory=nokmem", 0.9),
        ("5.4.0-182-generic", "cgroup_disable=memory", 0.9),
        ("5.4.0-182-generic", "quiet", 1.0),
    ],
)
def test_the_nodes_are_known_where_no_object_is_in_a_child_cache(
    tmp_path: Path, release: str, command_line: str, parent_share: float
) -> None:
    """Without charging of kernel memory, a difference is a change between the reads."""
    root = with_child_caches(tmp_path, release, parent_share)
    write_tree(root, {"proc/cmdline": f"{command_line}\n"})
    if command_line == "cgroup_disable=memory":
        shutil.rmtree(root / "sys/fs/cgroup", ignore_errors=True)
        (root / "proc/cgroups").unlink(missing_ok=True)
    cache = line(ledger_of(root), "TCP")
    assert cache.nodes is not None
    counts = {node: count.objects for node, count in cache.nodes.items()}
    files = (root / "sys/kernel/slab/TCP/total_objects").read_text()
    assert counts == {int(node): int(count) for node, count in re.findall(r"N(\d+)=(\d+)", files)}


def test_on_one_node_the_objects_of_child_caches_are_on_this_node(tmp_path: Path) -> None:
    root = with_child_caches(tmp_path)
    for node in (1, 2, 3):
        shutil.rmtree(root / f"sys/devices/system/node/node{node}")
    (root / "sys/devices/system/node/online").write_text("0\n")
    for path in ("proc/zoneinfo", "proc/buddyinfo", "proc/pagetypeinfo"):
        (root / path).unlink(missing_ok=True)
    cache = line(ledger_of(root), "TCP")
    assert cache.nodes is not None
    assert {node: (each.objects, each.bytes) for node, each in cache.nodes.items()} == {0: (cache.objects, cache.bytes)}


def test_counts_of_parent_caches_alone_are_not_those_of_the_cache(tmp_path: Path) -> None:
    root = with_child_caches(tmp_path)
    (root / "proc/slabinfo").unlink()
    figures = ledger_of(root)
    cache = line(figures, "TCP")
    assert (cache.objects, cache.slabs, cache.bytes, cache.nodes) == (None, None, None, None)
    assert figures.tcp_memory.bytes is None


def test_bytes_in_the_ledger_are_corrected_for_order_fallback(tmp_path: Path) -> None:
    """A fragmented machine: half of the TCP slabs are single pages of one object."""
    root = copy_recording("6.18-1n", "established", tmp_path)
    slabinfo = root / "proc/slabinfo"
    objects = 310 * 13 + 311
    row = "TCP               {0:6} {0:6}   2368   13    8 :"
    assert row.format(8073) in slabinfo.read_text()
    slabinfo.write_text(slabinfo.read_text().replace(row.format(8073), row.format(objects)))
    (root / "sys/kernel/slab/TCP/total_objects").write_text(f"{objects} N0={objects}\n")
    assert line(ledger_of(root), "TCP").bytes == (310 * 8 + 311) * 4096


def test_odd_rows_do_not_make_the_table_fail(tmp_path: Path) -> None:
    rows = "".join(
        f"{name} 0 0 {size} {per_slab} {pages} : tunables 0 0 0 : slabdata 0 0 0\n"
        for name, size, per_slab, pages in (
            ("TCP", 0, 0, 0),
            ("TCPv6", 1, 0, 8),
            ("dentry", 0, 5, 1),
            ("filp", 9, 9, 3),
        )
    )
    figures = ledger_of(write_tree(tmp_path, {"proc/slabinfo": "slabinfo - version: 2.1\n# name\n" + rows}))
    assert {cache.name for cache in figures.caches} == {"TCP", "TCPv6", "dentry", "filp"}
    assert all(cache.use is None for cache in figures.caches)
