"""The vectors of memory cgroups, and what a saved lab result says of them and of the LSM socket blob."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from recorded import ALL, RECORDINGS, copy_recording, counters, row_of, slab_rows, snapshot, snapshot_of, text

from tcptop.accounting import account
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
"""Which caches of a figure of IPv4 are made with SLAB_ACCOUNT, since 5.15 at the latest."""

SINCE_5_15 = [kernel for kernel in RECORDINGS if kernel != "5.10-4n"]
BEFORE_7 = [kernel for kernel in SINCE_5_15 if kernel != "7.3-4n"]

each_figure = pytest.mark.parametrize(("mode", "end"), list(ACCOUNTED), ids=map("-".join, ACCOUNTED))


def page_bytes(kernel: str) -> int:
    return 16384 if "16k" in kernel else 4096


def charged(of: Snapshot, value: bool | None) -> Snapshot:
    """Memory cgroups that are charged, are not, or of which nothing can be read."""
    told = None if value is None else MemoryCgroups(value)
    state: Any = "ok" if told else "missing"
    return of._replace(memory_cgroups=Reading(state, told, None if told else "why", 0.0, 1, None, None, None))


def released(of: Snapshot, release: str) -> Snapshot:
    assert of.sysctls.value is not None
    return of._replace(sysctls=of.sysctls._replace(value=of.sysctls.value._replace(kernel_release=release)))


def side(figures: Ledger, mode: str, end: str) -> SocketCost:
    figure = {**figures.costs}[mode].by_family["ipv4"]  # type: ignore[index] # a mode's name
    return figure.accepted if end == "accepted" else figure.outgoing


def vectors(of: SocketCost) -> list[ObjectCost]:
    return [part for part in of.parts if part.label == "memcg"]


def low(parts: list[ObjectCost]) -> float:
    return sum(part.slab_bytes or 0.0 for part in parts)


def high(parts: list[ObjectCost]) -> float:
    return sum(part.high_slab_bytes or 0.0 for part in parts)


def by_hand(kernel: str, caches: tuple[str, ...]) -> dict[str, float]:
    """Bytes of vectors for one object of each cache, by the kmalloc cache: 8 for each object of a slab, rounded up."""
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
        name = sizes[min(size for size in sizes if size >= 8 * rows[row].per_slab)]
        found[name] = found.get(name, 0.0) + rows[name].share(page_bytes(kernel)) / rows[row].per_slab
    return found


@each_figure
@pytest.mark.parametrize("kernel", BEFORE_7)
def test_where_cgroups_are_charged_each_slab_has_one_vector(kernel: str, mode: str, end: str) -> None:
    figures = account(charged(snapshot(kernel, "established"), True))
    parts = vectors(side(figures, mode, end))
    wanted = by_hand(kernel, ACCOUNTED[mode, end])
    assert {part.cache for part in parts} == set(wanted)
    for part in parts:
        assert part.slab_bytes == pytest.approx(wanted[part.cache], abs=0.02), part.cache
        assert part.high_slab_bytes == part.slab_bytes


def test_a_whole_socket_of_6_18_has_the_38_bytes_that_were_measured() -> None:
    """One of kmalloc-128 for 13 sockets; of kmalloc-192 for 19 inodes, 21 dentries and 21 files."""
    parts = vectors(side(account(charged(snapshot("6.18-1n", "established"), True)), "full", "accepted"))
    assert sum(part.object_bytes for part in parts) == pytest.approx(128 / 13 + 192 / 19 + 192 / 21 * 2, abs=0.02)
    assert sum(part.object_bytes for part in parts) == pytest.approx(38, abs=0.5)


@each_figure
@pytest.mark.parametrize("kernel", SINCE_5_15)
def test_where_none_is_charged_there_is_none(kernel: str, mode: str, end: str) -> None:
    of = side(account(charged(snapshot(kernel, "established"), False)), mode, end)
    assert vectors(of) == []
    assert of.high_slab_bytes == pytest.approx(of.slab_bytes, abs=20)  # AppArmor's blob has two sizes


@each_figure
@pytest.mark.parametrize("kernel", SINCE_5_15)
def test_where_that_is_not_known_it_is_from_none_to_all(kernel: str, mode: str, end: str) -> None:
    figures = account(charged(snapshot(kernel, "established"), None))
    parts = vectors(side(figures, mode, end))
    wanted = by_hand(kernel, ACCOUNTED[mode, end])
    assert {part.cache for part in parts} == set(wanted)
    for part in parts:
        assert (part.slab_bytes, part.object_bytes, part.estimated) == (0.0, 0.0, True)
        assert part.high_slab_bytes == pytest.approx(wanted[part.cache], abs=0.02)
    none = side(account(charged(snapshot(kernel, "established"), False)), mode, end)
    of = side(figures, mode, end)
    assert of.slab_bytes == none.slab_bytes
    assert of.high_slab_bytes == pytest.approx((none.high_slab_bytes or 0) + sum(wanted.values()), abs=0.1)


@pytest.mark.parametrize("release", ["3.10.0-1160.el7.x86_64", "4.19.0", "5.8.18"])
@pytest.mark.parametrize("value", [True, None])
def test_kernels_before_5_9_have_none(release: str, value: bool | None) -> None:
    figures = account(charged(released(snapshot("6.1-4n", "established"), release), value))
    for mode, end in ACCOUNTED:
        assert vectors(side(figures, mode, end)) == []
    assert not [part for part in figures.tcp_memory.parts if "vectors" in part.name]


def test_the_first_kernel_with_vectors() -> None:
    assert vectors(
        side(account(charged(released(snapshot("6.1-4n", "established"), "5.9.0"), True)), "full", "accepted")
    )


@pytest.mark.parametrize("release", [None, "7.0.0", "7.1.2-custom"])
def test_since_7_0_a_vector_may_lie_in_what_a_slab_has_left_over(release: str | None) -> None:
    of = snapshot("7.3-4n", "established")
    figures = account(charged(of if release is None else released(of, release), True))
    parts = vectors(side(figures, "full", "accepted"))
    assert low(parts) == 0
    assert high(parts) == pytest.approx(sum(by_hand("7.3-4n", WITH_FILE).values()), abs=0.1)


def test_before_7_0_it_does_not() -> None:
    parts = vectors(
        side(account(charged(released(snapshot("7.3-4n", "established"), "6.19.9"), True)), "full", "accepted")
    )
    assert low(parts) == high(parts) > 0


def test_a_bucket_of_5_10_is_not_accounted() -> None:
    figures = account(charged(snapshot("5.10-4n", "established"), True))
    assert low(vectors(side(figures, "full", "outgoing"))) == low(vectors(side(figures, "full", "accepted")))


def test_the_machines_memory_counts_a_vector_for_each_slab_of_tcps_own() -> None:
    rows = slab_rows(text("6.1-4n", "established", "proc/slabinfo"))
    own = ("TCP", "TCPv6", "tw_sock_TCP", "request_sock_TCP")
    # 14 × 8 is 112, 13 × 8 is 104: kmalloc-128; 30 × 8 and 26 × 8: kmalloc-256.
    slabs = {
        "kmalloc-128": rows["TCP"].slabs,
        "kmalloc-256": rows["tw_sock_TCP"].slabs + rows["request_sock_TCP"].slabs,
    }
    assert sum(slabs.values()) == sum(rows[name].slabs for name in own)
    memory = account(charged(snapshot("6.1-4n", "established"), True)).tcp_memory
    for row, number in slabs.items():
        [part] = [part for part in memory.parts if part.name == f"vectors of its slabs, {row}"]
        assert part.count == number
        held = number * rows[row].share(4096)
        assert (part.bytes, part.low_bytes, part.high_bytes) == (held, held, held)


def test_a_merged_cache_is_accounted_if_its_groups_name_says_so() -> None:
    """The A of `:A-0000192` is SLAB_ACCOUNT (mm/slub.c, create_unique_id)."""
    kernel = charged(snapshot("6.1-4n", "established"), True)
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
    whole, less = (low(vectors(side(account(each), "full", "accepted"))) for each in (kernel, of))
    assert whole - less == pytest.approx(sum(by_hand("6.1-4n", ("filp",)).values()), abs=0.03)


def without_kmallocs(tmp_path: Path) -> Snapshot:
    """A slabinfo that is cut off before its kmalloc caches, which stand at its end."""
    root = copy_recording("6.1-4n", "established", tmp_path)
    slabinfo = root / "proc/slabinfo"
    whole = slabinfo.read_text()
    slabinfo.write_text(whole[: whole.index("\nkmalloc-") + 4])
    return snapshot_of(root)


@pytest.mark.parametrize("value", [True, None])
def test_vectors_of_which_the_kmalloc_cache_is_not_known_are_named_missing(tmp_path: Path, value: bool | None) -> None:
    of = side(account(charged(without_kmallocs(tmp_path), value)), "full", "accepted")
    assert vectors(of) == []
    assert "obj_cgroup vectors (kmalloc)" in of.missing
    assert not of.complete


def test_vectors_that_there_are_none_of_are_not_missing(tmp_path: Path) -> None:
    of = side(account(charged(without_kmallocs(tmp_path), False)), "full", "accepted")
    assert not any("obj_cgroup" in name for name in of.missing)


# What sockets have now.


def with_a_file(kernel: str, phase: str) -> float:
    """Of a socket: the share of sockets that have one, as no more inodes of sockets are in use."""
    told = counters(kernel, phase)
    inodes = slab_rows(text(kernel, phase, "proc/slabinfo"))["sock_inode_cache"].active
    return min(told["alloc"] - told["orphan"], inodes) / told["alloc"]


NOW = [(kernel, phase) for kernel, phase in ALL if phase in ("unaccepted", "established") and kernel in BEFORE_7]
each_now = pytest.mark.parametrize(("kernel", "phase"), NOW, ids=[f"{kernel}/{phase}" for kernel, phase in NOW])


@pytest.mark.parametrize(
    ("kernel", "phase"),
    [each for each in NOW if each[0] not in ("6.1-4n-ipv6", "6.18-1n")],
    ids=lambda value: value,
)
def test_now_each_slab_of_tcps_has_its_vector_idle_or_not(kernel: str, phase: str) -> None:
    rows = slab_rows(text(kernel, phase, "proc/slabinfo"))
    [now] = [
        each.bytes
        for each in account(charged(snapshot(kernel, phase), True)).costs["full"].now_slices
        if each.label == "memcg"
    ]
    # All sockets are of IPv4, and the vectors of TCPv6's slabs go by the size of TCP's objects.
    assert rows["TCPv6"].active == 0
    page = page_bytes(kernel)
    vector = sum(by_hand(kernel, ("TCP",)).values()) * rows["TCP"].per_slab
    held = sum(rows[name].slabs * rows[name].pages * page for name in ("TCP", "TCPv6"))
    own = held / (rows["TCP"].pages * page) * vector / counters(kernel, phase)["alloc"]
    shared = sum(by_hand(kernel, WITH_FILE[1:]).values()) * with_a_file(kernel, phase)
    assert now == pytest.approx(own + shared, abs=0.1)


@each_now
@pytest.mark.parametrize("value", [True, False, None])
def test_now_is_no_less_than_the_next_but_for_what_sockets_in_accept_queues_lack(
    kernel: str, phase: str, value: bool | None
) -> None:
    cost = account(charged(snapshot(kernel, phase), value)).costs["full"]
    accepted = cost.by_family["mix"].accepted
    assert cost.now_bytes is not None
    assert accepted.slab_bytes is not None
    # A sock, the blob that security modules hang on it, and a vector of the sock's slab are there without a file.
    own = [name for name in ("TCP", "TCPv6") if any(part.cache == name for part in accepted.parts)]
    kept = sum(part.slab_bytes or 0 for part in accepted.parts if part.cache in own or part.object == "LSM socket blob")
    vectors_kept = min(sum(by_hand(kernel, (name,)).values()) for name in own) if value else 0.0
    lack = (1 - with_a_file(kernel, phase)) * (accepted.slab_bytes - kept - vectors_kept)
    assert 0 <= lack <= accepted.slab_bytes / 2
    assert cost.now_bytes >= accepted.slab_bytes - lack - 0.1
    if phase == "unaccepted":
        assert lack > 300
    charges = [each for each in cost.now_slices if each.label == "memcg"]
    assert bool(charges) == bool(value)


@pytest.mark.parametrize("kernel", [kernel for kernel in BEFORE_7 if "timewait" in RECORDINGS[kernel]])
def test_a_mini_socket_is_now_no_less_than_the_next(kernel: str) -> None:
    cost = account(charged(snapshot(kernel, "timewait"), True)).costs["time_wait"]
    accepted = cost.by_family["mix"].accepted.slab_bytes
    assert accepted is not None
    if cost.now_bytes is not None:
        assert cost.now_bytes >= accepted - 0.1
        assert [each.label for each in cost.now_slices if each.label == "memcg"] == ["memcg"]


# A lab result.

BUILD = "00112233445566778899aabbccddeeff00112233"


def built(of: Snapshot, build_id: str | None) -> Snapshot:
    assert of.sysctls.value is not None
    return of._replace(sysctls=of.sysctls._replace(value=of.sysctls.value._replace(build_id=build_id)))


def result(
    *rows: tuple[str, float],
    vector_bytes: float = 0.0,
    kernel_release: str | None = "6.1.0-56-amd64",
    build_id: str | None = BUILD,
    page_size_bytes: int | None = 4096,
    state: str = "established/accepted",
) -> LabMeasurement:
    """What a lab measured of one accepted socket on the recorded 6.1."""
    measured_rows = tuple(MeasuredRow(row, objects, objects * 16, None) for row, objects in rows)
    states = {state: MeasuredState(measured_rows, vector_bytes)}
    return LabMeasurement("lab.json", kernel_release, build_id, page_size_bytes, False, states)


def measured(lab: LabMeasurement | None, of: Snapshot | None = None) -> Ledger:
    return account((of or built(snapshot("6.1-4n", "established"), BUILD))._replace(lab_measurement=lab))


def blobs(figures: Ledger) -> list[ObjectCost]:
    return [part for part in side(figures, "full", "accepted").parts if part.object == "LSM socket blob"]


def test_a_result_of_this_kernel_is_used() -> None:
    figures = measured(result(("kmalloc-16", 1.0)))
    assert figures.lab is not None
    assert (figures.lab.path, figures.lab.unused_because) == ("lab.json", None)
    assert measured(None).lab is None


@pytest.mark.parametrize("row", ["kmalloc-16", "kmalloc-32", "kmalloc-96"])
def test_the_blob_lies_where_each_socket_had_one_object_more(row: str) -> None:
    figures = measured(result(("TCP", 1.0), ("kmalloc-8", 0.3), (row, 1.02), ("kmalloc-256", 0.04)))
    [part] = blobs(figures)
    assert (part.cache, part.count, part.estimated) == (row, 1.0, False)
    share = slab_rows(text("6.1-4n", "established", "proc/slabinfo"))[row].share(4096)
    assert part.slab_bytes == part.high_slab_bytes == pytest.approx(share, abs=0.01)
    [guess] = blobs(measured(None))
    assert (guess.cache, guess.estimated) == ("kmalloc-16", True)


def of_modules(*names: str, of: Snapshot | None = None) -> Snapshot:
    """The recorded 6.1 with other security modules."""
    reading = Reading("ok", SecurityModules(names), None, 0.0, 1, None, None, None)
    return (of or built(snapshot("6.1-4n", "established"), BUILD))._replace(security_modules=reading)


def unlisted(of: Snapshot | None = None) -> Snapshot:
    """The recorded 6.1 where neither a list nor a trace tells of security modules."""
    hidden: Reading[SecurityModules] = Reading("missing", None, "why", 0.0, 1, None, None, None)
    return (of or built(snapshot("6.1-4n", "established"), BUILD))._replace(security_modules=hidden)


@pytest.mark.parametrize("objects", [0.0, 0.4, 1.9])
def test_a_lab_that_saw_no_object_for_each_socket_does_not_remove_the_blob_of_a_listed_module(objects: float) -> None:
    """A module may hang its blob on some sockets only, or on none that the lab made."""
    figures = measured(result(("TCP", 1.0), ("kmalloc-16", objects)))
    assert blobs(figures) == blobs(measured(None))
    [guess] = blobs(figures)
    assert (guess.cache, guess.estimated) == ("kmalloc-16", True)


@pytest.mark.parametrize("objects", [0.0, 0.4, 1.9])
def test_where_no_module_is_listed_a_lab_that_saw_none_says_that_there_is_no_blob(objects: float) -> None:
    figures = measured(result(("TCP", 1.0), ("kmalloc-16", objects)), unlisted())
    assert blobs(figures) == []
    assert side(figures, "full", "accepted").missing == ()
    without = side(measured(None, unlisted()), "full", "accepted")
    assert any(name.startswith("LSM socket blob") for name in without.missing)


def test_where_no_module_is_listed_a_lab_that_saw_one_says_where_it_lies() -> None:
    [part] = blobs(measured(result(("kmalloc-32", 1.01)), unlisted()))
    assert (part.cache, part.estimated) == ("kmalloc-32", False)


@pytest.mark.parametrize("names", [(), ("lockdown", "capability", "landlock", "yama", "bpf")])
def test_modules_that_hang_nothing_on_a_socket_stand_against_a_lab(names: tuple[str, ...]) -> None:
    """What the lab saw once for each socket is then something else's."""
    figures = measured(result(("kmalloc-16", 1.0)), of_modules(*names))
    assert blobs(figures) == []
    assert side(figures, "full", "accepted").complete


def test_btf_comes_before_a_lab() -> None:
    layout = StructLayout("aa_sk_ctx", 24, (), has_free_pointer=False)
    btf = Reading("ok", Btf({"aa_sk_ctx": layout}), None, 0.0, 1, None, None, None)
    of = of_modules("apparmor")._replace(btf=btf)
    [part] = blobs(measured(result(("kmalloc-96", 1.0)), of))
    assert (part.cache, part.estimated) == ("kmalloc-32", False)
    # Of two modules BTF must know both structs.
    [other] = blobs(measured(result(("kmalloc-96", 1.0)), of_modules("apparmor", "smack")._replace(btf=btf)))
    assert other.cache == "kmalloc-96"


def test_of_several_rows_with_one_object_for_each_socket_the_smallest_has_the_blob() -> None:
    rows = (("kmalloc-256", 1.0), ("kmalloc-8", 0.5), ("kmalloc-32", 1.2), ("kmalloc-64", 0.9))
    assert [part.cache for part in blobs(measured(result(*rows)))] == ["kmalloc-32"]


def test_a_kmalloc_row_that_has_objects_of_the_catalogue_is_passed_over() -> None:
    """filp was merged into kmalloc-256 on old kernels: one object of it for each socket is the file."""
    kernel = built(snapshot("6.1-4n", "established"), BUILD)
    links = kernel.slab_links.value
    assert links is not None
    group_of = {**links.group_of, "filp": ":0000256", "kmalloc-256": ":0000256"}
    names_of = {**links.names_of, ":0000256": ("filp", "kmalloc-256")}
    merged = links._replace(group_of=group_of, names_of=names_of)
    of = kernel._replace(slab_links=kernel.slab_links._replace(value=merged))
    both = result(("kmalloc-256", 1.0), ("kmalloc-512", 1.0))
    assert [part.cache for part in blobs(measured(both, of))] == ["kmalloc-512"]
    assert [part.cache for part in blobs(measured(both, kernel))] == ["kmalloc-256"]


def test_before_5_3_one_object_of_kmalloc_64_is_the_wait_queue() -> None:
    of = unlisted(released(built(snapshot("6.1-4n", "established"), BUILD), "5.2.21"))
    lab = result(("kmalloc-64", 1.0), kernel_release="5.2.21")
    assert blobs(measured(lab, of)) == []
    two = result(("kmalloc-64", 2.0), kernel_release="5.2.21")
    assert [part.cache for part in blobs(measured(two, of))] == ["kmalloc-64"]


@pytest.mark.parametrize(("vector_bytes", "there"), [(0.0, False), (1.5, False), (34.0, True)])
@pytest.mark.parametrize("cgroups", [True, False, None])
def test_whether_there_are_vectors_is_as_the_files_say_and_where_they_do_not_as_measured(
    vector_bytes: float, there: bool, cgroups: bool | None
) -> None:
    of = charged(built(snapshot("6.1-4n", "established"), BUILD), cgroups)
    parts = vectors(side(measured(result(("kmalloc-16", 1.0), vector_bytes=vector_bytes), of), "full", "accepted"))
    wanted = sum(by_hand("6.1-4n", WITH_FILE).values()) if (there if cgroups is None else cgroups) else 0.0
    assert low(parts) == high(parts) == pytest.approx(wanted, abs=0.1)


@pytest.mark.parametrize(("vector_bytes", "there"), [(30.0, True), (0.0, False)])
def test_on_7_x_a_measurement_says_what_the_files_cannot(vector_bytes: float, there: bool) -> None:
    of = charged(snapshot("7.3-4n", "established"), True)
    lab = result(("kmalloc-32", 1.0), vector_bytes=vector_bytes, kernel_release="7.3.4+deb13-amd64", build_id=None)
    parts = vectors(side(measured(lab, of), "full", "accepted"))
    wanted = sum(by_hand("7.3-4n", WITH_FILE).values()) if there else 0.0
    assert low(parts) == high(parts) == pytest.approx(wanted, abs=0.1)
    # What is not charged has no vectors wherever they lie.
    none = vectors(side(measured(lab, charged(of, False)), "full", "accepted"))
    assert none == []


@pytest.mark.parametrize(
    ("lab", "words"),
    [
        (result(("kmalloc-96", 1.0), vector_bytes=34.0, kernel_release="6.1.0-55-amd64"), "6.1.0-55-amd64"),
        (result(("kmalloc-96", 1.0), vector_bytes=34.0, kernel_release=None), "kernel"),
        (result(("kmalloc-96", 1.0), vector_bytes=34.0, build_id="ff" * 20), "build"),
        (result(("kmalloc-96", 1.0), vector_bytes=34.0, page_size_bytes=65536), "page size"),
        (result(("kmalloc-96", 1.0), vector_bytes=34.0, state="close_wait/"), "established"),
    ],
    ids=["release", "no release", "build", "page size", "state"],
)
def test_a_result_of_another_kernel_is_not_used_and_says_why(lab: LabMeasurement, words: str) -> None:
    figures = measured(lab)
    assert figures.lab is not None
    assert words in (figures.lab.unused_because or "")
    without = measured(None)
    assert figures.costs == without.costs
    assert figures.tcp_memory == without.tcp_memory
    assert figures.states == without.states


@pytest.mark.parametrize(("here", "there"), [(None, BUILD), (BUILD, None)])
def test_a_build_that_is_not_known_is_no_reason(here: str | None, there: str | None) -> None:
    of = built(snapshot("6.1-4n", "established"), here)
    figures = measured(result(("kmalloc-96", 1.0), build_id=there), of)
    assert figures.lab is not None
    assert figures.lab.unused_because is None
    assert [part.cache for part in blobs(figures)] == ["kmalloc-96"]


def test_a_release_that_cannot_be_read_here_is_a_reason() -> None:
    of = snapshot("6.1-4n", "established")
    hidden = of._replace(sysctls=Reading("missing", None, "why", 0.0, 1, None, None, None))
    figures = measured(result(("kmalloc-96", 1.0)), hidden)
    assert figures.lab is not None
    assert figures.lab.unused_because
    assert [part.cache for part in blobs(figures)] == ["kmalloc-16"]
