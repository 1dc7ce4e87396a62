"""How SLUB lays objects out, against every row and every cache of the recorded kernels, which did it themselves."""

from __future__ import annotations

from pathlib import Path

import pytest
from recorded import (
    ALL,
    CPUS,
    PAGE_BYTES,
    RECORDINGS,
    copy_recording,
    counters,
    each_kernel,
    each_recording,
    ledger,
    ledger_of,
    row_of,
    slab_rows,
    snapshot,
    text,
    tree,
)

from tcptop.accounting import account
from tcptop.accounting.slub_layout import cpu_partial_objects, max_idle_objects, object_step_bytes, slab_order
from tcptop.kernel.objects import KERNEL_OBJECTS, OBJECT_OF_CACHE
from tcptop.ledger import Ledger

DEBUGGED = "6.1-4n-slubdebug"
"""Objects are larger there, and none waits on a CPU."""


# The order of a slab, and its objects.


@each_recording
def test_every_rows_order_and_objects_follow_from_its_step(kernel: str, phase: str) -> None:
    rows = slab_rows(text(kernel, phase, "proc/slabinfo"))
    assert len(rows) > 100
    for name, row in rows.items():
        order = slab_order(row.size, PAGE_BYTES[kernel], CPUS[kernel])
        assert 1 << order == row.pages, name
        assert (PAGE_BYTES[kernel] << order) // row.size == row.per_slab, name


@each_kernel
def test_the_recorded_machines_have_as_many_cpus_as_these_tests_take_them_to_have(kernel: str) -> None:
    assert text(kernel, "established", "sys/devices/system/cpu/online").strip() == f"0-{CPUS[kernel] - 1}"


@pytest.mark.parametrize(("cpus", "order"), [(1, 2), (2, 2), (4, 2), (7, 2), (8, 3), (64, 3), (256, 3)])
def test_more_cpus_make_larger_slabs(cpus: int, order: int) -> None:
    """sock_inode_cache of 832 bytes: 4 × (fls(CPUs) + 1) objects are wanted, 16 on four CPUs and 20 on eight."""
    wanted = 4 * (cpus.bit_length() + 1)
    assert slab_order(832, 4096, cpus) == order
    assert (4096 << order) // 832 >= min(wanted, 32768 // 832)


@pytest.mark.parametrize("size", [4097, 8192, 20_000, 32_768, 40_000, 1 << 20])
def test_an_object_of_more_than_a_page_fits_into_its_slab(size: int) -> None:
    for cpus in (1, 8, 256):
        order = slab_order(size, 4096, cpus)
        assert 4096 << order >= size
        # No more than order 3, unless one object needs it.
        assert order <= 3 or 4096 << (order - 1) < size


# The step from one object to the next.

POINTER_INSIDE = {("7.3-4n", "TCP"), ("7.3-4n", "TCPv6")}
"""Kernels whose struct has a place for the free pointer of its own: struct sock's sk_freeptr."""


def is_alone(kernel: str, cache: str) -> bool:
    """Whether no other cache is merged with it: sysfs tells a merged cache's largest struct."""
    slab = tree(kernel, "established") / "sys/kernel/slab"
    if not (slab / cache).is_symlink():
        return (slab / cache).exists()
    group = (slab / cache).readlink()
    return [path.name for path in slab.iterdir() if path.is_symlink() and path.readlink() == group] == [cache]


def sysfs(kernel: str, phase: str, cache: str, name: str) -> int | None:
    path = tree(kernel, phase) / "sys/kernel/slab" / cache / name
    return int(path.read_text().split()[0]) if path.exists() else None


def known(value: int | None) -> int:
    assert value is not None
    return value


ALONE = [(kernel, cache) for kernel in RECORDINGS for cache in OBJECT_OF_CACHE if is_alone(kernel, cache)]


@pytest.mark.parametrize(("kernel", "cache"), ALONE, ids=[f"{kernel}/{cache}" for kernel, cache in ALONE])
def test_a_caches_step_follows_from_its_struct_and_flags(kernel: str, cache: str) -> None:
    item = OBJECT_OF_CACHE[cache]
    struct, step = (known(sysfs(kernel, "established", cache, name)) for name in ("object_size", "slab_size"))
    outer = item.outer_free_pointer and (kernel, cache) not in POINTER_INSIDE
    computed = object_step_bytes(struct, item.hwcache_align, outer)
    if kernel == DEBUGGED:
        assert step > computed
    else:
        assert computed == step
        row = row_of(kernel, "established", cache)
        assert row is not None
        assert slab_rows(text(kernel, "established", "proc/slabinfo"))[row].size == step


def test_the_recordings_show_every_cache_that_the_catalogue_computes_sizes_of() -> None:
    """That is of most kernels; the row of each of them counts no other cache."""
    seen = {cache for kernel, cache in ALONE if kernel != DEBUGGED}
    named = {item.caches[0] for item in KERNEL_OBJECTS if item.caches and item.btf_struct}
    assert named <= seen
    assert len(ALONE) > 150


@pytest.mark.parametrize(
    ("struct", "aligned", "outer", "step"),
    [
        (1, False, False, 8),
        (8, False, True, 16),
        (16, True, False, 16),  # a struct of a quarter of a cache line shares it with three others
        (17, True, False, 32),
        (32, True, False, 32),
        (33, True, False, 64),
        (64, True, False, 64),
        (64, True, True, 128),
        (264, False, True, 272),
        (2280, True, True, 2304),
    ],
)
def test_alignment_and_the_free_pointer(struct: int, aligned: bool, outer: bool, step: int) -> None:
    assert object_step_bytes(struct, aligned, outer) == step


# Free objects on CPUs.

SOCKS, MINIS, REQUESTS = ("TCP", "TCPv6"), ("tw_sock_TCP", "tw_sock_TCPv6"), ("request_sock_TCP", "request_sock_TCPv6")


def in_use(kernel: str, phase: str) -> dict[tuple[str, str], int]:
    """So many objects of both families' caches are sockets; requests wait in accept queues of `unaccepted` only."""
    told = counters(kernel, phase)
    return {SOCKS: told["alloc"], MINIS: told["tw"], REQUESTS: 8_000 if phase == "unaccepted" else 0}


def bound(kernel: str, phase: str, cache: str) -> int:
    """By the files of the recording; 5.10 bounds the objects on partial lists, later kernels their slabs."""
    row = slab_rows(text(kernel, phase, "proc/slabinfo"))[cache]
    nodes = len(list((tree(kernel, phase) / "sys/devices/system/node").glob("node*")))
    partial, sheaf = (sysfs(kernel, phase, cache, name) for name in ("cpu_partial", "sheaf_capacity"))
    return max_idle_objects(
        row.size, row.per_slab, CPUS[kernel], nodes, partial, sheaf, counts_slabs=not kernel.startswith("5.10")
    )


def idle_error(figures: Ledger, cache: str) -> int | None:
    [line] = [line for line in figures.caches if line.name == cache]
    return line.idle_error_objects


@each_recording
def test_what_counts_as_active_and_is_no_socket_lies_on_cpus(kernel: str, phase: str) -> None:
    rows = slab_rows(text(kernel, phase, "proc/slabinfo"))
    for caches, number in in_use(kernel, phase).items():
        active = sum(rows[cache].active for cache in caches)
        assert number <= active, caches
        assert active - number <= sum(min(bound(kernel, phase, cache), rows[cache].active) for cache in caches), caches


@each_recording
def test_the_ledger_has_that_bound(kernel: str, phase: str) -> None:
    rows = slab_rows(text(kernel, phase, "proc/slabinfo"))
    for cache in (*SOCKS, *MINIS, *REQUESTS):
        assert idle_error(ledger(kernel, phase), cache) == min(bound(kernel, phase, cache), rows[cache].active), cache


def test_the_bound_is_not_far_from_what_was_seen() -> None:
    """Of 16 KiB pages: 625 active objects for one listener, and two slabs and a half for each CPU are 624."""
    assert bound("6.12-arm64-16k-4n", "timewait", "TCP") == 624
    assert slab_rows(text("6.12-arm64-16k-4n", "timewait", "proc/slabinfo"))["TCP"].active == 624 + 1
    for kernel, phase in ALL:
        if phase == "timewait" and kernel != DEBUGGED:
            cache = "TCPv6" if kernel.endswith("ipv6") else "TCP"
            seen = slab_rows(text(kernel, phase, "proc/slabinfo"))[cache].active - 1
            assert bound(kernel, phase, cache) / 3 < seen <= bound(kernel, phase, cache), kernel


def test_before_5_16_each_object_that_a_cpu_may_keep_may_be_a_slab() -> None:
    """2 288 request socks of 5.10 are free, on 88 slabs: 11 for each CPU, where half-full ones would be two."""
    row = slab_rows(text("5.10-4n", "timewait", "proc/slabinfo"))["request_sock_TCP"]
    partial = known(sysfs("5.10-4n", "timewait", "request_sock_TCP", "cpu_partial"))
    assert (row.active, partial, row.per_slab) == (2_288, 13, 26)
    assert max_idle_objects(row.size, 26, 8, 4, partial, None, counts_slabs=True) == 8 * 26 * (1 + 1)
    # The slab that it works on, 13 with a free object each, and the one that makes it too many.
    assert max_idle_objects(row.size, 26, 8, 4, partial, None, counts_slabs=False) == 8 * 26 * (1 + 13 + 1)


@pytest.mark.parametrize(("release", "slabs"), [("5.15.190", 1 + 24 + 1), ("5.16.0", 1 + 4), ("6.1.0", 1 + 4)])
def test_the_release_tells_how_partial_lists_are_bounded(release: str, slabs: int) -> None:
    """TCP of the recorded 6.1: 14 objects a slab, 24 on partial lists, 8 CPUs."""
    of = snapshot("6.1-4n", "established")
    assert of.sysctls.value is not None
    older = of._replace(sysctls=of.sysctls._replace(value=of.sysctls.value._replace(kernel_release=release)))
    assert idle_error(account(older), "TCP") == 8 * 14 * slabs


@pytest.mark.parametrize(("release", "is_known"), [("7.3.4+deb13-amd64", False), ("7.0.0", False), ("6.19.9", True)])
def test_from_7_0_on_nothing_bounds_idle_objects_without_the_capacity_of_sheaves(
    tmp_path: Path, release: str, is_known: bool
) -> None:
    root = copy_recording("7.3-4n", "timewait", tmp_path)
    for path in (root / "sys/kernel/slab").glob("*/sheaf_capacity"):
        path.unlink(missing_ok=True)
    (root / "proc/sys/kernel/osrelease").write_text(f"{release}\n")
    figures = ledger_of(root)
    assert (idle_error(figures, "TCP") is not None) == is_known
    assert (figures.slab_memory.idle_error_bytes is not None) == is_known
    assert figures.slab_memory.idle_bytes == ledger("7.3-4n", "timewait").slab_memory.idle_bytes


@each_kernel
def test_where_sysfs_does_not_tell_a_cpu_keeps_as_many_as_the_kernel_would_let_it(kernel: str) -> None:
    for cache in (*SOCKS, *MINIS, *REQUESTS, "sock_inode_cache", "dentry"):
        partial = sysfs(kernel, "established", cache, "cpu_partial")
        step = slab_rows(text(kernel, "established", "proc/slabinfo"))[cache].size
        if partial and not kernel.startswith("5.10"):
            assert cpu_partial_objects(step) == partial, cache
        elif partial:
            assert cpu_partial_objects(step) >= partial, cache
