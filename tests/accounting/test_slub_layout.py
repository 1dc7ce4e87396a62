"""SLUB's layout rules reproduce every row and every cache of the recorded kernels."""

from __future__ import annotations

import re
import shutil
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
    release_files,
    row_of,
    slab_rows,
    snapshot,
    snapshot_of,
    text,
    tree,
    write_tree,
)

from tcptop.accounting import account
from tcptop.accounting.slub_layout import cpu_partial_objects, max_idle_objects, object_step_bytes, slab_order
from tcptop.kernel.objects import KERNEL_OBJECTS, OBJECT_OF_CACHE
from tcptop.ledger import Ledger
from tcptop.snapshot import Btf, StructLayout

DEBUGGED = "6.1-4n-slubdebug"
"""With slab debugging objects are larger, and none are cached per CPU."""


# Order and objects of a slab.


@each_recording
def test_order_and_objects_of_every_row_follow_from_its_step(kernel: str, phase: str) -> None:
    rows = slab_rows(text(kernel, phase, "proc/slabinfo"))
    assert len(rows) > 100
    for name, row in rows.items():
        order = slab_order(row.size, PAGE_BYTES[kernel], CPUS[kernel])
        assert 1 << order == row.pages, name
        assert (PAGE_BYTES[kernel] << order) // row.size == row.per_slab, name


@each_kernel
def test_the_recorded_machines_have_the_cpus_that_these_tests_assume(kernel: str) -> None:
    assert text(kernel, "established", "sys/devices/system/cpu/online").strip() == f"0-{CPUS[kernel] - 1}"


@pytest.mark.parametrize(("cpus", "order"), [(1, 2), (2, 2), (4, 2), (7, 2), (8, 3), (64, 3), (256, 3)])
def test_more_cpus_make_larger_slabs(cpus: int, order: int) -> None:
    """sock_inode_cache of 832 bytes: 4 × (fls(CPUs) + 1) objects are wanted, 16 on four CPUs and 20 on eight."""
    wanted = 4 * (cpus.bit_length() + 1)
    assert slab_order(832, 4096, cpus) == order
    assert (4096 << order) // 832 >= min(wanted, 32768 // 832)


@pytest.mark.parametrize("size", [4097, 8192, 20_000, 32_768, 40_000, 1 << 20])
def test_an_object_larger_than_a_page_fits_into_its_slab(size: int) -> None:
    for cpus in (1, 8, 256):
        order = slab_order(size, 4096, cpus)
        assert 4096 << order >= size
        # The order is at most 3, unless a single object needs a larger slab.
        assert order <= 3 or 4096 << (order - 1) < size


# Step from one object to the next.

POINTER_INSIDE = {("7.3-4n", "TCP"), ("7.3-4n", "TCPv6")}
"""Caches whose struct has a field for the free pointer: sk_freeptr of struct sock."""


def is_alone(kernel: str, cache: str) -> bool:
    """True if no other cache is merged with the cache; for a merged cache, sysfs has the size of the largest struct."""
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
def test_the_step_of_a_cache_follows_from_its_struct_and_flags(kernel: str, cache: str) -> None:
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


def test_the_recordings_have_every_cache_whose_size_may_be_computed() -> None:
    """Each cache is not merged in at least one recording."""
    seen = {cache for kernel, cache in ALONE if kernel != DEBUGGED}
    named = {item.caches[0] for item in KERNEL_OBJECTS if item.caches and item.btf_struct}
    assert named <= seen
    assert len(ALONE) > 150


@pytest.mark.parametrize(
    ("struct", "aligned", "outer", "step"),
    [
        (1, False, False, 8),
        (8, False, True, 16),
        (16, True, False, 16),  # a struct of a quarter of a cache line shares the cache line with three other structs
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


# Free objects cached per CPU.

SOCKS, MINIS, REQUESTS = ("TCP", "TCPv6"), ("tw_sock_TCP", "tw_sock_TCPv6"), ("request_sock_TCP", "request_sock_TCPv6")


def in_use(kernel: str, phase: str) -> dict[tuple[str, str], int]:
    """Objects of both families' caches that are in use; only `unaccepted` has request socks, in accept queues."""
    sockets = counters(kernel, phase)
    return {SOCKS: sockets["alloc"], MINIS: sockets["tw"], REQUESTS: 8_000 if phase == "unaccepted" else 0}


def bound(kernel: str, phase: str, cache: str) -> int:
    """The bound computed from the files of the recording; 5.10 limits the objects on partial lists, and later kernels
    limit the slabs.
    """
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
def test_active_objects_that_are_no_sockets_are_within_the_bound(kernel: str, phase: str) -> None:
    rows = slab_rows(text(kernel, phase, "proc/slabinfo"))
    for caches, number in in_use(kernel, phase).items():
        active = sum(rows[cache].active for cache in caches)
        assert number <= active, caches
        assert active - number <= sum(min(bound(kernel, phase, cache), rows[cache].active) for cache in caches), caches


@each_recording
def test_the_ledger_has_the_same_bound(kernel: str, phase: str) -> None:
    rows = slab_rows(text(kernel, phase, "proc/slabinfo"))
    for cache in REQUESTS:
        assert idle_error(ledger(kernel, phase), cache) == min(bound(kernel, phase, cache), rows[cache].active), cache
    sockstat = text(kernel, phase, "proc/net/sockstat")
    for caches, field in ((SOCKS, " alloc "), (MINIS, " tw ")):
        spare = sum(rows[cache].active for cache in caches) - int(sockstat.split(field)[1].split()[0])
        for cache in caches:
            least = [bound(kernel, phase, cache), rows[cache].active, *([spare] if spare >= 0 else [])]
            assert idle_error(ledger(kernel, phase), cache) == min(least), cache


def test_both_families_share_the_count_of_mini_sockets(tmp_path: Path) -> None:
    """Of 5 160 and 3 000 active objects, 8 000 are mini-sockets; no matter of which family, at most 160 are free."""
    root = copy_recording("6.1-4n", "timewait", tmp_path)
    slabinfo = root / "proc/slabinfo"
    content = slabinfo.read_text()
    for cache, active in (("tw_sock_TCP", 5_160), ("tw_sock_TCPv6", 3_000)):
        counts = rf"^({cache} +)\d+ +\d+ (.* slabdata +)\d+ +\d+"
        content, changes = re.subn(
            counts, rf"\g<1>{active} {active} \g<2>{active // 30} {active // 30}", content, flags=re.M
        )
        assert changes == 1
    slabinfo.write_text(content)
    [counted] = re.findall(r" tw (\d+)", (root / "proc/net/sockstat").read_text())
    figures = ledger_of(root)
    assert [idle_error(figures, cache) for cache in ("tw_sock_TCP", "tw_sock_TCPv6")] == [8_160 - int(counted)] * 2


def test_mini_sockets_that_came_after_the_count_of_slabs_say_nothing_of_free_objects() -> None:
    of = snapshot("6.1-8n", "timewait")
    beside = of.slabinfo.sockstat
    assert beside is not None
    assert beside.time_wait is not None
    assert idle_error(account(of), "tw_sock_TCP") == 8_160 - beside.time_wait
    later = of._replace(slabinfo=of.slabinfo._replace(sockstat=beside._replace(time_wait=8_161)))
    assert idle_error(account(later), "tw_sock_TCP") == 8 * 30 * 5


def test_sockets_that_came_after_the_count_of_slabs_say_nothing_of_free_objects() -> None:
    of = snapshot("6.1-8n", "established")
    beside = of.slabinfo.sockstat
    assert beside is not None
    assert idle_error(account(of), "TCP") == 16_016 - 16_001
    later = of._replace(slabinfo=of.slabinfo._replace(sockstat=beside._replace(allocated=16_017)))
    assert idle_error(account(later), "TCP") == 8 * 14 * 5


def test_the_bound_is_at_most_three_times_the_recorded_number() -> None:
    """With 16 KiB pages, one listener has 625 active objects, and the bound without the listener is 624."""
    assert bound("6.12-arm64-16k-4n", "timewait", "TCP") == 624
    assert slab_rows(text("6.12-arm64-16k-4n", "timewait", "proc/slabinfo"))["TCP"].active == 624 + 1
    for kernel, phase in ALL:
        if phase == "timewait" and kernel != DEBUGGED:
            cache = "TCPv6" if kernel.endswith("ipv6") else "TCP"
            seen = slab_rows(text(kernel, phase, "proc/slabinfo"))[cache].active - 1
            assert bound(kernel, phase, cache) / 3 < seen <= bound(kernel, phase, cache), kernel


def test_before_5_16_each_free_object_may_be_on_a_slab_of_its_own() -> None:
    """On 5.10, 2 288 request socks are free on 88 slabs: 11 per CPU, where half-full slabs would be two."""
    row = slab_rows(text("5.10-4n", "timewait", "proc/slabinfo"))["request_sock_TCP"]
    partial = known(sysfs("5.10-4n", "timewait", "request_sock_TCP", "cpu_partial"))
    assert (row.active, partial, row.per_slab) == (2_288, 13, 26)
    assert max_idle_objects(row.size, 26, 8, 4, partial, None, counts_slabs=True) == 8 * 26 * (1 + 1)
    # The CPU's slab, 13 slabs with one free object each, and the slab that exceeds the limit.
    assert max_idle_objects(row.size, 26, 8, 4, partial, None, counts_slabs=False) == 8 * 26 * (1 + 13 + 1)


@pytest.mark.parametrize(("release", "slabs"), [("5.15.190", 1 + 24 + 1), ("5.16.0", 1 + 4), ("6.1.0", 1 + 4)])
def test_the_limit_of_partial_lists_depends_on_the_release(release: str, slabs: int) -> None:
    """TCP of the recorded 6.1: 14 objects per slab, 24 on partial lists, 8 CPUs."""
    of = snapshot("6.1-4n", "established")
    assert of.sysctls.value is not None
    older = of._replace(
        sysctls=of.sysctls._replace(value=of.sysctls.value._replace(kernel_release=release)),
        slabinfo=of.slabinfo._replace(sockstat=None),
    )
    assert idle_error(account(older), "TCP") == 8 * 14 * slabs


@pytest.mark.parametrize(("release", "is_known"), [("7.3.4+deb13-amd64", False), ("7.0.0", False), ("6.19.9", True)])
def test_since_7_0_there_is_no_bound_without_the_sheaf_capacity(tmp_path: Path, release: str, is_known: bool) -> None:
    root = copy_recording("7.3-4n", "timewait", tmp_path)
    for path in (root / "sys/kernel/slab").glob("*/sheaf_capacity"):
        path.unlink(missing_ok=True)
    write_tree(root, release_files(release))
    figures = ledger_of(root)
    assert (idle_error(figures, "TCP") is not None) == is_known
    assert (figures.slab_memory.idle_error_bytes is not None) == is_known
    assert figures.slab_memory.idle_bytes == ledger("7.3-4n", "timewait").slab_memory.idle_bytes


def test_the_sheaves_of_each_node_count_without_the_folder_of_the_nodes(tmp_path: Path) -> None:
    """7.3: 8 CPUs with three sheaves, and 4 nodes with up to ten full ones. zoneinfo and buddyinfo name the nodes."""
    root = copy_recording("7.3-4n", "established", tmp_path)
    before = idle_error(ledger_of(root), "TCP")
    shutil.rmtree(root / "sys/devices/system/node")
    assert idle_error(ledger_of(root), "TCP") == before is not None
    (root / "proc/zoneinfo").unlink()
    assert idle_error(ledger_of(root), "TCP") == before
    (root / "proc/buddyinfo").unlink()
    assert idle_error(ledger_of(root), "TCP") is None


@each_kernel
def test_without_sysfs_the_bound_is_that_of_the_kernels_formula(kernel: str) -> None:
    for cache in (*SOCKS, *MINIS, *REQUESTS, "sock_inode_cache", "dentry"):
        partial = sysfs(kernel, "established", cache, "cpu_partial")
        step = slab_rows(text(kernel, "established", "proc/slabinfo"))[cache].size
        if partial and not kernel.startswith("5.10"):
            assert cpu_partial_objects(step) == partial, cache
        elif partial:
            assert cpu_partial_objects(step) >= partial, cache


# The architecture.


@pytest.mark.parametrize(
    ("architecture", "steps"),
    [
        ("x86_64", {"TCP": 64, "request_sock_TCP": 8}),
        ("aarch64", {"TCP": 64, "request_sock_TCP": 8}),
        ("ppc64", {"TCP": 128, "request_sock_TCP": 8}),
        ("s390x", {"TCP": 256, "request_sock_TCP": 8}),
        ("i386", {"TCP": None, "request_sock_TCP": 4}),
    ],
)
def test_a_computed_step_has_the_cache_line_and_the_word_of_the_architecture(
    architecture: str, steps: dict[str, int | None], tmp_path: Path
) -> None:
    """A 32-bit CPU has a cache line of 32 to 128 bytes, which the kernel's files do not show."""
    root = copy_recording("6.18-1n", "established", tmp_path)
    (root / "proc/slabinfo").unlink()
    for path in (root / "sys/kernel/slab").glob("*/*"):
        if path.name in ("slab_size", "object_size", "order", "objs_per_slab"):
            path.unlink()
    of = snapshot_of(root)
    assert of.sysctls.value is not None
    sysctls = of.sysctls._replace(value=of.sysctls.value._replace(architecture=architecture))
    structs = {"tcp_sock": 2304, "tcp_request_sock": 312}
    layouts = {name: StructLayout(name, size, (), False) for name, size in structs.items()}
    btf = of.btf._replace(state="ok", value=Btf(layouts, {}), reason=None)
    figures = account(of._replace(sysctls=sysctls, btf=btf))
    for cache, unit in steps.items():
        line = next(each for each in figures.caches if each.name == cache)
        if unit is None:
            assert line.object_bytes is None
            continue
        struct_bytes = structs[OBJECT_OF_CACHE[cache].btf_struct or ""]
        pointer_bytes = (4 if architecture == "i386" else 8) if OBJECT_OF_CACHE[cache].outer_free_pointer else 0
        assert line.object_bytes == -(-(struct_bytes + pointer_bytes) // unit) * unit
