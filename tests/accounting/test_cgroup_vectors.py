"""Bytes of memory cgroup vectors and of the LSM socket blob, with and without a saved lab result."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from recorded import ALL, RECORDINGS, copy_recording, counters, row_of, slab_rows, snapshot, snapshot_of, text

from tcptop.accounting import account
from tcptop.kernel.architecture import find_architecture
from tcptop.ledger import Ledger, ObjectCost, SocketCost
from tcptop.snapshot import (
    Btf,
    LabMeasurement,
    MeasuredRow,
    MeasuredState,
    MemoryCgroups,
    Reading,
    SecurityModules,
    Snapshot,
    StructLayout,
)

WITH_FILE = ("TCP", "sock_inode_cache", "dentry", "filp")
PORT = ("tcp_bind_bucket", "tcp_bind2_bucket")

ACCOUNTED = {
    ("full", "accepted"): WITH_FILE,
    ("full", "outgoing"): WITH_FILE + PORT,
    ("time_wait", "accepted"): ("tw_sock_TCP",),
    ("time_wait", "outgoing"): ("tw_sock_TCP", *PORT),
}
"""The SLAB_ACCOUNT caches in each IPv4 cost, since 5.15 at the latest."""

SINCE_5_15 = [kernel for kernel in RECORDINGS if kernel != "5.10-4n"]
BEFORE_7 = [kernel for kernel in SINCE_5_15 if kernel != "7.3-4n"]

each_cost = pytest.mark.parametrize(("mode", "end"), list(ACCOUNTED), ids=map("-".join, ACCOUNTED))


def page_bytes(kernel: str) -> int:
    return 16384 if "16k" in kernel else 4096


def with_cgroups(of: Snapshot, charged: bool | None) -> Snapshot:
    """The snapshot with kernel memory charged to memory cgroups, not charged, or unreadable (None)."""
    value = None if charged is None else MemoryCgroups(charged)
    state: Any = "ok" if value else "missing"
    return of._replace(memory_cgroups=Reading(state, value, None if value else "why", 0.0, 1, None, None, None))


def with_release(of: Snapshot, release: str) -> Snapshot:
    assert of.sysctls.value is not None
    return of._replace(sysctls=of.sysctls._replace(value=of.sysctls.value._replace(kernel_release=release)))


def cost_of(figures: Ledger, mode: str, end: str) -> SocketCost:
    figure = {**figures.costs}[mode].by_family["ipv4"]  # type: ignore[index] # a mode's name
    return figure.accepted if end == "accepted" else figure.outgoing


def vectors(of: SocketCost) -> list[ObjectCost]:
    return [part for part in of.parts if part.label == "memcg"]


def low(parts: list[ObjectCost]) -> float:
    return sum(part.slab_bytes or 0.0 for part in parts)


def high(parts: list[ObjectCost]) -> float:
    return sum(part.high_slab_bytes or 0.0 for part in parts)


def by_hand(kernel: str, caches: tuple[str, ...], entry_bytes: int = 8) -> dict[str, float]:
    """Vector bytes per object of each cache, by kmalloc cache: an entry per object of a slab, rounded up."""
    rows = slab_rows(text(kernel, "established", "proc/slabinfo"))
    sizes = {
        int(name[8:-1]) << 10 if name.endswith("k") else int(name[8:]): name
        for name in rows
        if name.startswith("kmalloc-") and name[8:].rstrip("k").isdigit()
    }
    found: dict[str, float] = {}
    for cache in caches:
        row = row_of(kernel, "established", cache)
        if row is None:
            continue
        name = sizes[min(size for size in sizes if size >= entry_bytes * rows[row].per_slab)]
        found[name] = found.get(name, 0.0) + rows[name].share(page_bytes(kernel)) / rows[row].per_slab
    return found


@each_cost
@pytest.mark.parametrize("kernel", BEFORE_7)
def test_each_slab_has_one_vector_if_cgroups_are_charged(kernel: str, mode: str, end: str) -> None:
    figures = account(with_cgroups(snapshot(kernel, "established"), True))
    parts = vectors(cost_of(figures, mode, end))
    wanted = by_hand(kernel, ACCOUNTED[mode, end])
    assert {part.cache for part in parts} == set(wanted)
    for part in parts:
        assert part.slab_bytes == pytest.approx(wanted[part.cache], abs=0.02), part.cache
        assert part.high_slab_bytes == part.slab_bytes


@pytest.mark.parametrize(
    ("release", "profiled", "entry_bytes"), [("6.1.0-i686", False, 4), ("6.12.1-armhf", False, 8), ("6.12.1", True, 16)]
)
def test_an_entry_of_a_vector_is_as_large_as_a_pointer_of_the_architecture(
    release: str, profiled: bool, entry_bytes: int
) -> None:
    """Since 6.10, an entry is a struct slabobj_ext, aligned to 8 bytes."""
    of = with_release(with_cgroups(snapshot("6.1-4n", "established"), True), release)
    assert of.sysctls.value is not None
    profiling = 0 if profiled else None
    sysctls = of.sysctls.value._replace(architecture=find_architecture(release), mem_profiling=profiling)
    parts = vectors(cost_of(account(of._replace(sysctls=of.sysctls._replace(value=sysctls))), "full", "accepted"))
    wanted = by_hand("6.1-4n", ACCOUNTED["full", "accepted"], entry_bytes)
    assert {part.cache: part.slab_bytes for part in parts} == pytest.approx(wanted, abs=0.02)


def test_a_whole_socket_of_6_18_has_the_measured_38_bytes_of_vectors() -> None:
    """One kmalloc-128 object per 13 sockets; one kmalloc-192 object per 19 inodes, 21 dentries and 21 files."""
    parts = vectors(cost_of(account(with_cgroups(snapshot("6.18-1n", "established"), True)), "full", "accepted"))
    assert sum(part.object_bytes for part in parts) == pytest.approx(128 / 13 + 192 / 19 + 192 / 21 * 2, abs=0.02)
    assert sum(part.object_bytes for part in parts) == pytest.approx(38, abs=0.5)


@each_cost
@pytest.mark.parametrize("kernel", SINCE_5_15)
def test_there_are_no_vectors_if_no_cgroup_is_charged(kernel: str, mode: str, end: str) -> None:
    of = cost_of(account(with_cgroups(snapshot(kernel, "established"), False)), mode, end)
    assert vectors(of) == []
    assert of.high_slab_bytes == pytest.approx(of.slab_bytes, abs=20)  # AppArmor's blob has two sizes


@each_cost
@pytest.mark.parametrize("kernel", SINCE_5_15)
def test_vectors_range_from_none_to_all_if_charging_is_unknown(kernel: str, mode: str, end: str) -> None:
    figures = account(with_cgroups(snapshot(kernel, "established"), None))
    parts = vectors(cost_of(figures, mode, end))
    wanted = by_hand(kernel, ACCOUNTED[mode, end])
    assert {part.cache for part in parts} == set(wanted)
    for part in parts:
        assert (part.slab_bytes, part.object_bytes, part.estimated) == (0.0, 0.0, True)
        assert part.high_slab_bytes == pytest.approx(wanted[part.cache], abs=0.02)
    none = cost_of(account(with_cgroups(snapshot(kernel, "established"), False)), mode, end)
    of = cost_of(figures, mode, end)
    assert of.slab_bytes == none.slab_bytes
    assert of.high_slab_bytes == pytest.approx((none.high_slab_bytes or 0) + sum(wanted.values()), abs=0.1)


@pytest.mark.parametrize("release", ["3.10.0-1160.el7.x86_64", "4.19.0", "5.8.18"])
@pytest.mark.parametrize("value", [True, None])
def test_kernels_before_5_9_have_no_vectors(release: str, value: bool | None) -> None:
    figures = account(with_cgroups(with_release(snapshot("6.1-4n", "established"), release), value))
    for mode, end in ACCOUNTED:
        assert vectors(cost_of(figures, mode, end)) == []
    assert not [part for part in figures.tcp_memory.parts if "vectors" in part.name]


@pytest.mark.parametrize("value", [True, None])
def test_a_vendors_kernel_before_5_9_may_have_vectors(value: bool | None) -> None:
    """Red Hat's kernels take much from later releases, so the release alone rules nothing out."""
    release = "4.18.0-553.el8_10.x86_64"
    figures = account(with_cgroups(with_release(snapshot("6.1-4n", "established"), release), value))
    for mode, end in ACCOUNTED:
        parts = vectors(cost_of(figures, mode, end))
        assert parts
        assert low(parts) == 0 < high(parts)
    without = account(with_cgroups(with_release(snapshot("6.1-4n", "established"), release), False))
    assert vectors(cost_of(without, "full", "accepted")) == []


def test_5_9_is_the_first_kernel_with_vectors() -> None:
    assert vectors(
        cost_of(
            account(with_cgroups(with_release(snapshot("6.1-4n", "established"), "5.9.0"), True)), "full", "accepted"
        )
    )


@pytest.mark.parametrize("release", [None, "7.0.0", "7.1.2-custom"])
def test_since_7_0_a_vector_may_use_the_unused_end_of_its_slab(release: str | None) -> None:
    of = snapshot("7.3-4n", "established")
    figures = account(with_cgroups(of if release is None else with_release(of, release), True))
    parts = vectors(cost_of(figures, "full", "accepted"))
    assert low(parts) == 0
    assert high(parts) == pytest.approx(sum(by_hand("7.3-4n", WITH_FILE).values()), abs=0.1)


def test_before_7_0_a_vector_is_always_allocated() -> None:
    parts = vectors(
        cost_of(
            account(with_cgroups(with_release(snapshot("7.3-4n", "established"), "6.19.9"), True)), "full", "accepted"
        )
    )
    assert low(parts) == high(parts) > 0


def test_bind_buckets_of_5_10_are_not_accounted() -> None:
    figures = account(with_cgroups(snapshot("5.10-4n", "established"), True))
    assert low(vectors(cost_of(figures, "full", "outgoing"))) == low(vectors(cost_of(figures, "full", "accepted")))


def test_tcp_memory_counts_one_vector_for_each_slab_of_tcps_own_caches() -> None:
    rows = slab_rows(text("6.1-4n", "established", "proc/slabinfo"))
    own = ("TCP", "TCPv6", "tw_sock_TCP", "request_sock_TCP")
    # 14 × 8 is 112, 13 × 8 is 104: kmalloc-128; 30 × 8 and 26 × 8: kmalloc-256.
    slabs = {
        "kmalloc-128": rows["TCP"].slabs,
        "kmalloc-256": rows["tw_sock_TCP"].slabs + rows["request_sock_TCP"].slabs,
    }
    assert sum(slabs.values()) == sum(rows[name].slabs for name in own)
    memory = account(with_cgroups(snapshot("6.1-4n", "established"), True)).tcp_memory
    for row, number in slabs.items():
        [part] = [part for part in memory.parts if part.name == f"own obj_cgroup vectors, {row}"]
        assert part.count == number
        held = number * rows[row].share(4096)
        assert (part.bytes, part.low_bytes, part.high_bytes) == (held, held, held)


def test_a_merged_cache_is_accounted_by_the_name_of_its_folder() -> None:
    """The letter A in `:A-0000192` stands for SLAB_ACCOUNT (mm/slub.c, create_unique_id)."""
    kernel = with_cgroups(snapshot("6.1-4n", "established"), True)
    links = kernel.slab_links.value
    assert links is not None
    group = links.group_of["filp"]
    assert group.startswith(":A-")
    plain = group.replace(":A-", ":")
    group_of = {name: plain if at == group else at for name, at in links.group_of.items()}
    names_of = {plain if at == group else at: names for at, names in links.names_of.items()}
    of = kernel._replace(
        slab_links=kernel.slab_links._replace(value=links._replace(group_of=group_of, names_of=names_of))
    )
    whole, less = (low(vectors(cost_of(account(each), "full", "accepted"))) for each in (kernel, of))
    assert whole - less == pytest.approx(sum(by_hand("6.1-4n", ("filp",)).values()), abs=0.03)


def without_kmallocs(tmp_path: Path) -> Snapshot:
    """A slabinfo that is cut off before its kmalloc caches, which come last."""
    root = copy_recording("6.1-4n", "established", tmp_path)
    slabinfo = root / "proc/slabinfo"
    whole = slabinfo.read_text()
    slabinfo.write_text(whole[: whole.index("\nkmalloc-") + 4])
    return snapshot_of(root)


@pytest.mark.parametrize("value", [True, None])
def test_vectors_without_a_known_kmalloc_cache_are_listed_as_missing(tmp_path: Path, value: bool | None) -> None:
    of = cost_of(account(with_cgroups(without_kmallocs(tmp_path), value)), "full", "accepted")
    assert vectors(of) == []
    assert "obj_cgroup vectors (kmalloc)" in of.missing
    assert not of.complete


def test_vectors_are_not_missing_if_no_cgroup_is_charged(tmp_path: Path) -> None:
    of = cost_of(account(with_cgroups(without_kmallocs(tmp_path), False)), "full", "accepted")
    assert not any("obj_cgroup" in name for name in of.missing)


# The present average.


def share_with_file(kernel: str, phase: str) -> float:
    """The share of sockets with a file; the number of socket inodes in use is an upper bound."""
    sockets = counters(kernel, phase)
    inodes = slab_rows(text(kernel, phase, "proc/slabinfo"))["sock_inode_cache"].active
    return min(sockets["alloc"] - sockets["orphan"], inodes) / sockets["alloc"]


NOW = [(kernel, phase) for kernel, phase in ALL if phase in ("unaccepted", "established") and kernel in BEFORE_7]
each_now = pytest.mark.parametrize(("kernel", "phase"), NOW, ids=[f"{kernel}/{phase}" for kernel, phase in NOW])


@pytest.mark.parametrize(
    ("kernel", "phase"),
    [each for each in NOW if each[0] not in ("6.1-4n-ipv6", "6.18-1n")],
    ids=lambda value: value,
)
def test_the_average_includes_the_vector_of_every_tcp_slab_idle_or_not(kernel: str, phase: str) -> None:
    rows = slab_rows(text(kernel, phase, "proc/slabinfo"))
    [now] = [
        each.bytes
        for each in account(with_cgroups(snapshot(kernel, phase), True)).costs["full"].now_slices
        if each.label == "memcg"
    ]
    # All sockets are IPv4, so the vectors of TCPv6 slabs are counted with the size of the vectors of TCP slabs.
    assert rows["TCPv6"].active == 0
    page = page_bytes(kernel)
    vector = sum(by_hand(kernel, ("TCP",)).values()) * rows["TCP"].per_slab
    held = sum(rows[name].slabs * rows[name].pages * page for name in ("TCP", "TCPv6"))
    own = held / (rows["TCP"].pages * page) * vector / counters(kernel, phase)["alloc"]
    shared = sum(by_hand(kernel, WITH_FILE[1:]).values()) * share_with_file(kernel, phase)
    assert now == pytest.approx(own + shared, abs=0.1)


@each_now
@pytest.mark.parametrize("value", [True, False, None])
def test_the_average_is_at_least_the_next_socket_less_the_files_missing_in_accept_queues(
    kernel: str, phase: str, value: bool | None
) -> None:
    cost = account(with_cgroups(snapshot(kernel, phase), value)).costs["full"]
    accepted = cost.by_family["mix"].accepted
    assert cost.now_bytes is not None
    assert accepted.slab_bytes is not None
    # A socket without a file still has its sock, the LSM socket blob and a part of its slab's vector.
    own = [name for name in ("TCP", "TCPv6") if any(part.cache == name for part in accepted.parts)]
    kept = sum(part.slab_bytes or 0 for part in accepted.parts if part.cache in own or part.object == "LSM socket blob")
    vectors_kept = min(sum(by_hand(kernel, (name,)).values()) for name in own) if value else 0.0
    lack = (1 - share_with_file(kernel, phase)) * (accepted.slab_bytes - kept - vectors_kept)
    assert 0 <= lack <= accepted.slab_bytes / 2
    assert cost.now_bytes >= accepted.slab_bytes - lack - 0.1
    if phase == "unaccepted":
        assert lack > 300
    charges = [each for each in cost.now_slices if each.label == "memcg"]
    assert bool(charges) == bool(value)


@pytest.mark.parametrize("kernel", [kernel for kernel in BEFORE_7 if "timewait" in RECORDINGS[kernel]])
def test_the_average_mini_socket_is_at_least_the_next_one(kernel: str) -> None:
    cost = account(with_cgroups(snapshot(kernel, "timewait"), True)).costs["time_wait"]
    accepted = cost.by_family["mix"].accepted.slab_bytes
    assert accepted is not None
    if cost.now_bytes is not None:
        assert cost.now_bytes >= accepted - 0.1
        assert [each.label for each in cost.now_slices if each.label == "memcg"] == ["memcg"]


# A lab result.

BUILD = "00112233445566778899aabbccddeeff00112233"


def with_build_id(of: Snapshot, build_id: str | None) -> Snapshot:
    assert of.sysctls.value is not None
    return of._replace(sysctls=of.sysctls._replace(value=of.sysctls.value._replace(build_id=build_id)))


def lab_result(
    *rows: tuple[str, float],
    vector_bytes: float = 0.0,
    kernel_release: str | None = "6.1.0-56-amd64",
    build_id: str | None = BUILD,
    page_size_bytes: int | None = 4096,
    state: str = "established/accepted",
) -> LabMeasurement:
    """A lab result for one accepted socket of the recorded 6.1."""
    measured_rows = tuple(MeasuredRow(row, objects, objects * 16, None) for row, objects in rows)
    states = {state: MeasuredState(measured_rows, vector_bytes)}
    return LabMeasurement("lab.json", kernel_release, build_id, page_size_bytes, False, states)


def ledger_with_lab(lab: LabMeasurement | None, of: Snapshot | None = None) -> Ledger:
    return account((of or with_build_id(snapshot("6.1-4n", "base"), BUILD))._replace(lab_measurement=lab))


def blobs(figures: Ledger) -> list[ObjectCost]:
    return [part for part in cost_of(figures, "full", "accepted").parts if part.object == "LSM socket blob"]


def test_a_lab_result_of_this_kernel_is_used() -> None:
    figures = ledger_with_lab(lab_result(("kmalloc-16", 1.0)))
    assert figures.lab is not None
    assert (figures.lab.path, figures.lab.unused_because) == ("lab.json", None)
    assert ledger_with_lab(None).lab is None


@pytest.mark.parametrize("row", ["kmalloc-16", "kmalloc-32", "kmalloc-96"])
def test_the_blob_is_in_the_kmalloc_cache_with_one_measured_object_per_socket(row: str) -> None:
    figures = ledger_with_lab(lab_result(("TCP", 1.0), ("kmalloc-8", 0.3), (row, 1.02), ("kmalloc-256", 0.04)))
    [part] = blobs(figures)
    assert (part.cache, part.count, part.estimated) == (row, 1.0, False)
    share = slab_rows(text("6.1-4n", "established", "proc/slabinfo"))[row].share(4096)
    assert part.slab_bytes == part.high_slab_bytes == pytest.approx(share, abs=0.01)
    [guess] = blobs(ledger_with_lab(None))
    assert (guess.cache, guess.estimated) == ("kmalloc-16", True)


def with_modules(*names: str, of: Snapshot | None = None) -> Snapshot:
    """The recorded 6.1 with other security modules."""
    reading = Reading("ok", SecurityModules(names), None, 0.0, 1, None, None, None)
    return (of or with_build_id(snapshot("6.1-4n", "base"), BUILD))._replace(security_modules=reading)


def without_module_list(of: Snapshot | None = None) -> Snapshot:
    """The recorded 6.1 without any file that shows its security modules."""
    hidden: Reading[SecurityModules] = Reading("missing", None, "why", 0.0, 1, None, None, None)
    return (of or with_build_id(snapshot("6.1-4n", "base"), BUILD))._replace(security_modules=hidden)


@pytest.mark.parametrize("objects", [0.0, 0.4, 1.9])
def test_a_lab_without_an_object_per_socket_does_not_remove_the_blob_of_a_listed_module(objects: float) -> None:
    """A module may allocate its blob only for some sockets, and for none of the sockets that the lab opened."""
    figures = ledger_with_lab(lab_result(("TCP", 1.0), ("kmalloc-16", objects)))
    assert blobs(figures) == blobs(ledger_with_lab(None))
    [guess] = blobs(figures)
    assert (guess.cache, guess.estimated) == ("kmalloc-16", True)


@pytest.mark.parametrize("objects", [0.0, 0.4, 1.9])
def test_without_a_module_list_a_lab_without_such_an_object_shows_that_there_is_no_blob(objects: float) -> None:
    figures = ledger_with_lab(lab_result(("TCP", 1.0), ("kmalloc-16", objects)), without_module_list())
    assert blobs(figures) == []
    assert cost_of(figures, "full", "accepted").missing == ()
    without = cost_of(ledger_with_lab(None, without_module_list()), "full", "accepted")
    assert any(name.startswith("LSM socket blob") for name in without.missing)


def test_without_a_module_list_a_lab_with_such_an_object_shows_the_cache_of_the_blob() -> None:
    [part] = blobs(ledger_with_lab(lab_result(("kmalloc-32", 1.01)), without_module_list()))
    assert (part.cache, part.estimated) == ("kmalloc-32", False)


@pytest.mark.parametrize("names", [(), ("lockdown", "capability", "landlock", "yama", "bpf")])
def test_a_list_of_modules_without_a_blob_overrules_a_lab(names: tuple[str, ...]) -> None:
    """Without such a module, the measured object per socket is not the blob."""
    of = with_modules(*names)
    slabinfo, links = of.slabinfo.value, of.slab_links.value
    assert slabinfo is not None
    assert links is not None
    rows = tuple(row for row in slabinfo.rows if not row.name.startswith("lsm_"))
    group_of = {name: folder for name, folder in links.group_of.items() if not name.startswith("lsm_")}
    of = of._replace(
        slabinfo=of.slabinfo._replace(value=slabinfo._replace(rows=rows)),
        slab_links=of.slab_links._replace(value=links._replace(group_of=group_of)),
    )
    figures = ledger_with_lab(lab_result(("kmalloc-16", 1.0)), of)
    assert blobs(figures) == []
    assert cost_of(figures, "full", "accepted").complete


def test_btf_overrules_a_lab() -> None:
    layout = StructLayout("aa_sk_ctx", 24, (), has_free_pointer=False)
    btf = Reading("ok", Btf({"aa_sk_ctx": layout}), None, 0.0, 1, None, None, None)
    of = with_modules("apparmor")._replace(btf=btf)
    [part] = blobs(ledger_with_lab(lab_result(("kmalloc-96", 1.0)), of))
    assert (part.cache, part.estimated) == ("kmalloc-32", False)
    # If two modules are active, BTF must have the structs of both.
    [other] = blobs(
        ledger_with_lab(lab_result(("kmalloc-96", 1.0)), with_modules("apparmor", "smack")._replace(btf=btf))
    )
    assert other.cache == "kmalloc-96"


def test_the_smallest_of_several_caches_with_one_object_per_socket_has_the_blob() -> None:
    rows = (("kmalloc-256", 1.0), ("kmalloc-8", 0.5), ("kmalloc-32", 1.2), ("kmalloc-64", 0.9))
    assert [part.cache for part in blobs(ledger_with_lab(lab_result(*rows)))] == ["kmalloc-32"]


def test_a_kmalloc_row_that_counts_objects_of_the_catalogue_is_skipped() -> None:
    """On old kernels filp was merged into kmalloc-256: the one object per socket in kmalloc-256 is the file."""
    kernel = with_build_id(snapshot("6.1-4n", "base"), BUILD)
    links = kernel.slab_links.value
    assert links is not None
    group_of = {**links.group_of, "filp": ":0000256", "kmalloc-256": ":0000256"}
    names_of = {**links.names_of, ":0000256": ("filp", "kmalloc-256")}
    merged = links._replace(group_of=group_of, names_of=names_of)
    of = kernel._replace(slab_links=kernel.slab_links._replace(value=merged))
    both = lab_result(("kmalloc-256", 1.0), ("kmalloc-512", 1.0))
    assert [part.cache for part in blobs(ledger_with_lab(both, of))] == ["kmalloc-512"]
    assert [part.cache for part in blobs(ledger_with_lab(both, kernel))] == ["kmalloc-256"]


def test_before_5_3_one_object_of_kmalloc_64_is_the_wait_queue() -> None:
    of = without_module_list(with_release(with_build_id(snapshot("6.1-4n", "base"), BUILD), "5.2.21"))
    lab = lab_result(("kmalloc-64", 1.0), kernel_release="5.2.21")
    assert blobs(ledger_with_lab(lab, of)) == []
    two = lab_result(("kmalloc-64", 2.0), kernel_release="5.2.21")
    assert [part.cache for part in blobs(ledger_with_lab(two, of))] == ["kmalloc-64"]


@pytest.mark.parametrize(("vector_bytes", "there"), [(0.0, False), (1.5, False), (34.0, True)])
@pytest.mark.parametrize("cgroups", [True, False, None])
def test_the_files_decide_whether_there_are_vectors_and_a_lab_only_without_them(
    vector_bytes: float, there: bool, cgroups: bool | None
) -> None:
    of = with_cgroups(with_build_id(snapshot("6.1-4n", "base"), BUILD), cgroups)
    parts = vectors(
        cost_of(ledger_with_lab(lab_result(("kmalloc-16", 1.0), vector_bytes=vector_bytes), of), "full", "accepted")
    )
    wanted = sum(by_hand("6.1-4n", WITH_FILE).values()) if (there if cgroups is None else cgroups) else 0.0
    assert low(parts) == high(parts) == pytest.approx(wanted, abs=0.1)


@pytest.mark.parametrize(("vector_bytes", "there"), [(30.0, True), (0.0, False)])
def test_on_7_x_a_lab_decides_what_the_files_leave_open(vector_bytes: float, there: bool) -> None:
    of = with_cgroups(snapshot("7.3-4n", "established"), True)
    lab = lab_result(("kmalloc-32", 1.0), vector_bytes=vector_bytes, kernel_release="7.3.4+deb13-amd64", build_id=None)
    parts = vectors(cost_of(ledger_with_lab(lab, of), "full", "accepted"))
    wanted = sum(by_hand("7.3-4n", WITH_FILE).values()) if there else 0.0
    assert low(parts) == high(parts) == pytest.approx(wanted, abs=0.1)
    # Without charging there are no vectors, wherever they would be placed.
    none = vectors(cost_of(ledger_with_lab(lab, with_cgroups(of, False)), "full", "accepted"))
    assert none == []


@pytest.mark.parametrize(
    ("lab", "words"),
    [
        (lab_result(("kmalloc-96", 1.0), vector_bytes=34.0, kernel_release="6.1.0-55-amd64"), "6.1.0-55-amd64"),
        (lab_result(("kmalloc-96", 1.0), vector_bytes=34.0, kernel_release=None), "kernel"),
        (lab_result(("kmalloc-96", 1.0), vector_bytes=34.0, build_id="ff" * 20), "build"),
        (lab_result(("kmalloc-96", 1.0), vector_bytes=34.0, page_size_bytes=65536), "page size"),
        (lab_result(("kmalloc-96", 1.0), vector_bytes=34.0, state="close_wait"), "established"),
    ],
    ids=["release", "no release", "build", "page size", "state"],
)
def test_a_lab_result_of_another_kernel_is_not_used_and_says_why(lab: LabMeasurement, words: str) -> None:
    figures = ledger_with_lab(lab)
    assert figures.lab is not None
    assert words in (figures.lab.unused_because or "")
    without = ledger_with_lab(None)
    assert figures.costs == without.costs
    assert figures.tcp_memory == without.tcp_memory
    assert figures.states == without.states


@pytest.mark.parametrize(("here", "there"), [(None, BUILD), (BUILD, None)])
def test_a_lab_result_is_used_if_a_build_id_is_unknown(here: str | None, there: str | None) -> None:
    of = with_build_id(snapshot("6.1-4n", "base"), here)
    figures = ledger_with_lab(lab_result(("kmalloc-96", 1.0), build_id=there), of)
    assert figures.lab is not None
    assert figures.lab.unused_because is None
    assert [part.cache for part in blobs(figures)] == ["kmalloc-96"]


def test_a_lab_result_in_doubt_is_not_used_and_says_why() -> None:
    sound = lab_result(("kmalloc-96", 1.0), vector_bytes=1.2)
    state = sound.states["established/accepted"]._replace(doubt="8 sockets of other programs came or went")
    of = with_cgroups(with_build_id(snapshot("6.1-4n", "base"), BUILD), None)
    figures = ledger_with_lab(sound._replace(states={"established/accepted": state}), of)
    assert figures.lab is not None
    reason = "its own check failed (8 sockets of other programs came or went): measure again"
    assert figures.lab.unused_because == reason
    assert figures.costs == ledger_with_lab(None, of).costs != ledger_with_lab(sound, of).costs


def test_a_doubt_of_another_state_does_not_matter() -> None:
    sound = lab_result(("kmalloc-96", 1.0))
    state = sound.states["established/accepted"]
    states = {"established/accepted": state, "close_wait": state._replace(doubt="filp did not follow the sockets")}
    assert ledger_with_lab(sound._replace(states=states)) == ledger_with_lab(sound)


@pytest.mark.parametrize(("row", "is_used"), [("kmalloc-16", True), ("kmalloc-32", False), ("kmalloc-512", False)])
def test_a_lab_result_that_slabinfo_contradicts_is_not_used(row: str, is_used: bool) -> None:
    """Every socket has a blob, so the cache of the blobs has at least as many objects as there are sockets."""
    of = with_build_id(snapshot("6.1-4n", "established"), BUILD)
    assert (slab_rows(text("6.1-4n", "established", "proc/slabinfo"))[row].active > 16_000) == is_used
    figures = ledger_with_lab(lab_result(("kmalloc-16", 1.0), (row, 0.93)), of)
    assert figures.lab is not None
    if is_used:
        assert figures.lab.unused_because is None
    else:
        reason = figures.lab.unused_because or ""
        assert reason.startswith(f"it has an object in {row} for each socket, but slabinfo has ")
        assert reason.endswith(" objects there for 16 001 sockets")
        assert figures.costs == ledger_with_lab(None, of).costs


def test_a_lab_result_is_not_used_if_the_release_is_unknown() -> None:
    of = snapshot("6.1-4n", "base")
    hidden = of._replace(sysctls=Reading("missing", None, "why", 0.0, 1, None, None, None))
    figures = ledger_with_lab(lab_result(("kmalloc-96", 1.0)), hidden)
    assert figures.lab is not None
    assert figures.lab.unused_because
    assert [part.cache for part in blobs(figures)] == ["kmalloc-16"]
