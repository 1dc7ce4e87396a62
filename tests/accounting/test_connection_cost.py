"""Bytes per connection: examples computed by hand, the growth in the recordings, and the sums."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
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
    link_caches,
    row_of,
    slab_rows,
    snapshot,
    text,
    without_security_caches,
    write_tree,
)

from tcptop.accounting import account
from tcptop.ledger import AccountingMode, ConnectionCost, Ledger, SocketCost
from tcptop.report.as_text import as_text

LSM_KMALLOC = {
    kernel: None if kernel == "6.18-1n" else "kmalloc-32" if kernel == "7.3-4n" else "kmalloc-16"
    for kernel in RECORDINGS
}
"""The kmalloc cache of AppArmor's socket blob in the recordings; 6.18-1n runs without AppArmor."""

WITH_FILE = ("sock_inode_cache", "dentry", "filp", "lsm_file_cache", "lsm_inode_cache")
BUCKETS = ("tcp_bind_bucket", "tcp_bind2_bucket")


def sides(figures: Ledger) -> Iterator[tuple[str, SocketCost]]:
    for mode, cost in figures.costs.items():
        for family, figure in cost.by_family.items():
            yield f"{mode} {family} accepted", figure.accepted
            yield f"{mode} {family} outgoing", figure.outgoing


def blob_row(kernel: str, phase: str) -> list[str]:
    """The smallest kmalloc cache that can hold AppArmor's blobs: a cache with at least as many objects as sockets."""
    if LSM_KMALLOC[kernel] is None:
        return []
    words = text(kernel, phase, "proc/net/sockstat").split()
    sockets = int(words[words.index("alloc") + 1])
    rows = slab_rows(text(kernel, phase, "proc/slabinfo"))
    return [next(name for name in ("kmalloc-16", "kmalloc-32") if rows[name].active >= sockets)]


def known(value: float | None) -> float:
    assert value is not None
    return value


# Examples computed by hand from the sizes in BTF and slabinfo: (object bytes, slab bytes).


@pytest.mark.parametrize(
    ("kernel", "family", "accepted", "outgoing"),
    [
        ("6.1-4n", "ipv4", (3656, 3704), (3848, 3896)),
        ("6.1-4n", "ipv6", (3848, 3884), (4040, 4076)),
        ("6.1-4n-nomerge", "ipv4", (3656, 3704), (3848, 3896)),
        ("6.18-1n", "ipv4", (3640, 3829), (3896, 4085)),
        ("6.18-1n", "ipv6", (3768, 3829), (4024, 4085)),
    ],
)
def test_worked_examples_of_a_whole_socket(
    kernel: str, family: str, accepted: tuple[int, int], outgoing: tuple[int, int]
) -> None:
    for phase in RECORDINGS[kernel]:
        figure = {**ledger(kernel, phase).costs["full"].by_family}[family]  # type: ignore[index] # a family's name
        assert (figure.accepted.object_bytes, round(known(figure.accepted.slab_bytes))) == accepted
        assert (figure.outgoing.object_bytes, round(known(figure.outgoing.slab_bytes))) == outgoing
        assert figure.accepted.complete
        assert figure.outgoing.complete


@pytest.mark.parametrize(
    ("kernel", "accepted", "outgoing"),
    [("6.1-4n", (272, 273), (464, 465)), ("6.18-1n", (256, 256), (512, 512))],
)
def test_worked_examples_of_time_wait(kernel: str, accepted: tuple[int, int], outgoing: tuple[int, int]) -> None:
    figure = ledger(kernel, "base").costs["time_wait"].by_family["ipv4"]
    assert (figure.accepted.object_bytes, round(known(figure.accepted.slab_bytes))) == accepted
    assert (figure.outgoing.object_bytes, round(known(figure.outgoing.slab_bytes))) == outgoing


SLABINFO = "slabinfo - version: 2.1\n# name\n"


def row(name: str, size: int, per_slab: int, pages: int, objects: int = 0) -> str:
    slabs = -(-objects // per_slab)
    return (
        f"{name:<17} {objects:6} {slabs * per_slab:6} {size:6} {per_slab:4} {pages:4}"
        f" : tunables    0    0    0 : slabdata {slabs:6} {slabs:6}      0\n"
    )


def old_tree(root: Path, release: str, tcp: str, tw: str) -> Path:
    """A kernel before 5.3: separate socket_wq, filp in kmalloc-256, bind buckets in kmalloc-64, as on RHEL 7."""
    rows = [
        tcp,
        tw,
        row("request_sock_TCP", 304, 13, 1),
        row("sock_inode_cache", 640, 25, 4),
        row("dentry", 192, 21, 1),
        row("kmalloc-256", 256, 16, 1),
        row("kmalloc-512", 512, 8, 1),
        row("kmalloc-64", 64, 64, 1),
        row("kmem_cache", 256, 16, 1),
    ]
    write_tree(
        root,
        {
            "proc/slabinfo": SLABINFO + "".join(rows),
            "proc/sys/kernel/osrelease": release + "\n",
            "proc/net/sockstat": "TCP: inuse 1 orphan 0 tw 0 alloc 1 mem 0\n",
            "sys/devices/system/cpu/online": "0-7\n",
            "sys/kernel/security/lsm": "capability",
        },
    )
    link_caches(
        root,
        {
            "TCP": (),
            "tw_sock_TCP": (),
            "sock_inode_cache": (),
            "dentry": (),
            ":0000256": ("kmalloc-256", "filp", "skbuff_head_cache"),
            ":0000064": ("kmalloc-64", "tcp_bind_bucket"),
            ":0000304": ("request_sock_TCP",),
            ":0000512": ("kmalloc-512", "skbuff_fclone_cache"),
        },
    )
    return root


@pytest.mark.parametrize(
    ("release", "tcp", "tw", "accepted", "outgoing", "time_wait"),
    [
        (
            "4.8.15",
            row("TCP", 1856, 17, 8),
            row("tw_sock_TCP", 248, 16, 1),
            (3008, 3098),
            (3072, 3162),
            (248, 312),
        ),
        (
            "3.10.0-1160.el7.x86_64",
            row("TCP", 1984, 16, 8),
            row("tw_sock_TCP", 256, 16, 1),
            (3136, 3218),
            (3200, 3282),
            (256, 320),
        ),
    ],
)
def test_worked_examples_of_kernels_with_a_separate_socket_wq(
    tmp_path: Path,
    release: str,
    tcp: str,
    tw: str,
    accepted: tuple[int, int],
    outgoing: tuple[int, int],
    time_wait: tuple[int, int],
) -> None:
    figures = ledger_of(old_tree(tmp_path, release, tcp, tw))
    figure = figures.costs["full"].by_family["ipv4"]
    assert (figure.accepted.object_bytes, round(known(figure.accepted.slab_bytes))) == accepted
    assert (figure.outgoing.object_bytes, round(known(figure.outgoing.slab_bytes))) == outgoing
    assert figure.outgoing.complete
    small = figures.costs["time_wait"].by_family["ipv4"]
    assert (small.accepted.object_bytes, small.outgoing.object_bytes) == time_wait


def wq_parts(side: SocketCost) -> list[tuple[str, float, bool]]:
    return [(part.cache, part.object_bytes, part.estimated) for part in side.parts if "socket_wq" in part.object]


def test_socket_wq_is_a_separate_part_only_before_5_3(tmp_path: Path) -> None:
    tcp, tw = row("TCP", 1984, 16, 8), row("tw_sock_TCP", 256, 16, 1)
    before = ledger_of(old_tree(tmp_path / "5.2", "5.2.21", tcp, tw)).costs["full"].by_family["ipv4"].accepted
    assert wq_parts(before) == [("kmalloc-64", 64, False)]
    root = old_tree(tmp_path / "5.3", "5.3.0", tcp, tw)
    slabinfo = root / "proc/slabinfo"
    slabinfo.write_text(
        slabinfo.read_text().replace(row("sock_inode_cache", 640, 25, 4), row("sock_inode_cache", 832, 19, 4))
    )
    after = ledger_of(root).costs["full"].by_family["ipv4"].accepted
    assert wq_parts(after) == []
    assert after.complete


def test_without_a_release_a_small_inode_alone_adds_nothing_to_the_lower_bound(tmp_path: Path) -> None:
    """A 32-bit kernel of any release has an inode as small as a 64-bit one with a separate socket_wq."""
    tcp, tw = row("TCP", 1984, 16, 8), row("tw_sock_TCP", 256, 16, 1)
    with_release = ledger_of(old_tree(tmp_path / "a", "5.2.21", tcp, tw)).costs["full"].by_family["ipv4"].accepted
    root = old_tree(tmp_path / "b", "5.2.21", tcp, tw)
    (root / "proc/sys/kernel/osrelease").unlink()
    without = ledger_of(root).costs["full"].by_family["ipv4"].accepted
    assert (without.slab_bytes or 0) == pytest.approx((with_release.slab_bytes or 0) - 64, abs=1)
    assert (without.high_slab_bytes or 0) >= (with_release.high_slab_bytes or 0)
    slabinfo = root / "proc/slabinfo"
    slabinfo.write_text(slabinfo.read_text() + row("tcp_bind2_bucket", 128, 32, 1))
    (root / "sys/kernel/slab/tcp_bind2_bucket").mkdir()
    assert wq_parts(ledger_of(root).costs["full"].by_family["ipv4"].accepted) == []


@pytest.mark.parametrize(("folder", "is_whole"), [("sys/kernel/security", False), (None, True)])
def test_an_incomplete_sum_has_no_upper_bound_in_the_text(tmp_path: Path, folder: str | None, is_whole: bool) -> None:
    root = copy_recording("6.1-4n", "established", tmp_path)
    if folder is not None:
        shutil.rmtree(root / folder)
    report = as_text(ledger_of(root))
    # The first section is of open sockets.
    line = re.findall(r"(?m)^  one more server side, IPv4 .*\n.*$", report)[0]
    assert (">=" in line, "up to" in line) == (not is_whole, is_whole)


def test_no_recorded_kernel_has_a_separate_socket_wq() -> None:
    for kernel, phase in ALL:
        for name, side in sides(ledger(kernel, phase)):
            assert wq_parts(side) == [], (kernel, phase, name)


# Growth in the recordings; test_growth.py has further tests of growth.


@each_kernel
def test_the_growth_of_the_lsm_blobs_cache_is_within_the_estimate(kernel: str) -> None:
    name = LSM_KMALLOC[kernel]
    accepted = ledger(kernel, "established").costs["full"].by_family["mix"].accepted
    blobs = [part for part in accepted.parts if part.object == "LSM socket blob"]
    if name is None:
        assert blobs == []
        assert accepted.complete
        return
    [blob] = blobs
    rows = [slab_rows(text(kernel, phase, "proc/slabinfo"))[name] for phase in ("base", "established")]
    assert rows[1].active - rows[0].active == pytest.approx(16_000, rel=0.1)
    assert blob.estimated
    assert known(blob.slab_bytes) <= rows[0].share(PAGE_BYTES[kernel]) <= known(blob.high_slab_bytes)


# Sums.


@each_recording
def test_the_next_socket_is_the_sum_of_its_rows_shares(kernel: str, phase: str) -> None:
    rows = slab_rows(text(kernel, phase, "proc/slabinfo"))
    page = PAGE_BYTES[kernel]
    blob = blob_row(kernel, phase)
    for family, sock, small in (("ipv4", "TCP", "tw_sock_TCP"), ("ipv6", "TCPv6", "tw_sock_TCPv6")):
        for mode, own in (("full", [sock, *WITH_FILE]), ("time_wait", [small])):
            figure = {**{**ledger(kernel, phase).costs}[mode].by_family}[family]  # type: ignore[index] # names of both
            for side, caches in ((figure.accepted, own), (figure.outgoing, [*own, *BUCKETS])):
                found = [row_of(kernel, phase, cache) for cache in caches]
                expected = [rows[name] for name in [*found, *(blob if mode == "full" else [])] if name is not None]
                assert side.slab_bytes == pytest.approx(sum(each.share(page) for each in expected), abs=0.05)
                assert side.object_bytes == sum(each.size for each in expected)
                assert side.missing == ()


@each_recording
def test_every_cost_is_the_sum_of_its_parts_and_of_its_slices(kernel: str, phase: str) -> None:
    for name, side in sides(ledger(kernel, phase)):
        assert side.parts, name
        assert side.object_bytes == pytest.approx(sum(part.object_bytes for part in side.parts), abs=0.005), name
        assert side.slab_bytes == pytest.approx(sum(known(part.slab_bytes) for part in side.parts), abs=0.005), name
        slices = sum(each.bytes for each in side.slices)
        assert side.slab_bytes == pytest.approx(slices, abs=0.005 * len(side.slices)), name


def test_the_objects_of_both_families_are_one_slice_with_the_average_of_their_sizes() -> None:
    """Half of 8 000 mini-sockets of each family: a mini-socket has one of the two objects, and the bar one part."""
    recorded = snapshot("6.1-4n-ipv6", "timewait")
    slabinfo = recorded.slabinfo.value
    assert slabinfo is not None
    rows = {row.name: row for row in slabinfo.rows}
    of_ipv6 = rows["tw_sock_TCPv6"]
    half = of_ipv6._replace(active_objects=of_ipv6.active_objects // 2, objects=of_ipv6.objects // 2)
    halves = {"tw_sock_TCPv6": half, "tw_sock_TCP": half._replace(name="tw_sock_TCP")}
    mixed = slabinfo._replace(rows=tuple(halves.get(row.name, row) for row in slabinfo.rows))
    cost = account(recorded._replace(slabinfo=recorded.slabinfo._replace(value=mixed))).costs["time_wait"]
    accepted = cost.by_family["mix"].accepted
    both = [part for part in accepted.parts if part.object.endswith("_timewait_sock")]
    assert [part.count for part in both] == [0.5, 0.5]
    [part] = [part for part in accepted.slices if part.label.startswith("tw_sock")]
    assert part.label == "tw_sock v4/v6 average"
    assert part.bytes == pytest.approx(sum(known(each.slab_bytes) for each in both))
    sizes = [known(cost.by_family[family].accepted.parts[0].slab_bytes) for family in ("ipv4", "ipv6")]
    assert part.bytes == pytest.approx(sum(sizes) / 2)


@each_recording
def test_an_outgoing_socket_costs_an_accepted_one_plus_its_port(kernel: str, phase: str) -> None:
    rows = slab_rows(text(kernel, phase, "proc/slabinfo"))
    ports = [rows[name] for cache in BUCKETS if (name := row_of(kernel, phase, cache)) is not None]
    assert len(ports) == (1 if kernel == "5.10-4n" else 2)
    share = sum(each.share(PAGE_BYTES[kernel]) for each in ports)
    for cost in ledger(kernel, phase).costs.values():
        for figure in cost.by_family.values():
            more = known(figure.outgoing.slab_bytes) - known(figure.accepted.slab_bytes)
            assert more == pytest.approx(share, abs=0.05)


@each_recording
def test_the_mix_lies_between_the_families_and_follows_the_sockets(kernel: str, phase: str) -> None:
    figures = ledger(kernel, phase).costs["full"].by_family
    expected = figures["ipv6"] if kernel == "6.1-4n-ipv6" and phase != "timewait" else figures["ipv4"]
    mix = known(figures["mix"].accepted.slab_bytes)
    four, six = (known(figures[family].accepted.slab_bytes) for family in ("ipv4", "ipv6"))
    assert min(four, six) - 0.05 <= mix <= max(four, six) + 0.05
    if phase != "timewait":
        assert mix == pytest.approx(known(expected.accepted.slab_bytes), rel=0.005)


# The present average.


@pytest.mark.parametrize("path", ["proc/net/sockstat6", "proc/net/sockstat"])
def test_where_the_sockets_of_a_family_are_not_counted_the_mix_is_a_lower_bound(path: str, tmp_path: Path) -> None:
    root = copy_recording("6.1-4n", "base", tmp_path)
    assert not ledger_of(root).headroom["full"].is_at_most
    (root / path).unlink()
    found = ledger_of(root)
    costs = found.costs["full"].by_family
    assert costs["mix"].accepted.slab_bytes == costs["ipv4"].accepted.slab_bytes
    assert not costs["ipv4"].accepted.missing
    [missing] = costs["mix"].accepted.missing
    assert missing.startswith("IPv6's share")
    assert found.headroom["full"].is_at_most


@each_recording
def test_the_average_is_tcps_caches_per_socket_plus_the_shared_parts_of_sockets_with_a_file(
    kernel: str, phase: str
) -> None:
    cost = ledger(kernel, phase).costs["full"]
    sockets = counters(kernel, phase)
    if sockets["alloc"] < 100 * CPUS[kernel]:
        assert_unknown(cost)
        return
    rows, page = slab_rows(text(kernel, phase, "proc/slabinfo")), PAGE_BYTES[kernel]
    held = sum(rows[name].slabs * rows[name].pages * page for name in ("TCP", "TCPv6"))
    with_file = min(sockets["alloc"] - sockets["orphan"], rows["sock_inode_cache"].active)
    shared = [row_of(kernel, phase, cache) for cache in WITH_FILE]
    blob = sum(rows[name].share(page) for name in blob_row(kernel, phase))
    each_file = sum(rows[name].share(page) for name in shared if name is not None)
    # The LSM socket blob belongs to the sock, which exists before accept(2) gives it a file.
    expected = held / sockets["alloc"] + blob + each_file * with_file / sockets["alloc"]
    assert cost.now_bytes == pytest.approx(expected, abs=0.1)


def assert_unknown(cost: ConnectionCost) -> None:
    assert cost.now_bytes is None
    assert cost.now_slices == ()
    assert cost.now_unknown_because is not None


@each_recording
def test_the_average_is_the_sum_of_its_slices_one_of_which_is_idle_slab(kernel: str, phase: str) -> None:
    for mode, cost in ledger(kernel, phase).costs.items():
        if cost.now_bytes is None:
            assert_unknown(cost)
            continue
        assert cost.now_unknown_because is None
        assert sum(each.bytes for each in cost.now_slices) == pytest.approx(cost.now_bytes, abs=0.006)
        assert all(each.bytes > 0 for each in cost.now_slices)
        idle = sum(each.bytes for each in cost.now_slices if each.label == "idle")
        assert idle == pytest.approx(known(cost.idle_bytes_per_socket), abs=0.02), mode


@each_recording
def test_idle_slab_is_tcps_caches_less_the_shares_of_their_sockets(kernel: str, phase: str) -> None:
    sockets = counters(kernel, phase)
    if sockets["alloc"] < 100 * CPUS[kernel]:
        return
    rows, page = slab_rows(text(kernel, phase, "proc/slabinfo")), PAGE_BYTES[kernel]
    four, six = rows["TCP"], rows["TCPv6"]
    # Without a socket of IPv4, the active objects of its cache are free ones on CPUs' slabs.
    of_six = 1.0 if kernel == "6.1-4n-ipv6" else six.active / (four.active + six.active)
    used = sockets["alloc"] * ((1 - of_six) * four.share(page) + of_six * six.share(page))
    held = (four.slabs * four.pages + six.slabs * six.pages) * page
    idle = ledger(kernel, phase).costs["full"].idle_bytes_per_socket
    assert idle == pytest.approx(max(0.0, held - used) / sockets["alloc"], abs=0.01)


def test_after_half_of_the_sockets_closed_the_average_includes_the_slabs_that_remain() -> None:
    before, after = (ledger("6.1-4n", phase).costs["full"] for phase in ("established", "halfclosed"))
    assert known(before.idle_bytes_per_socket) < 10
    assert known(after.idle_bytes_per_socket) == pytest.approx(2340, rel=0.01)
    assert known(after.now_bytes) > known(before.now_bytes) + 2000


def test_sockets_in_an_accept_queue_are_averaged_without_a_file() -> None:
    waiting, accepted = (ledger("6.1-4n", phase).costs["full"] for phase in ("unaccepted", "established"))
    file = 3704 - 2340.6
    assert known(accepted.now_bytes) - known(waiting.now_bytes) == pytest.approx(file / 2, rel=0.04)


@pytest.mark.parametrize("sockets", [1, 799])
def test_an_average_of_few_sockets_is_not_shown(tmp_path: Path, sockets: int) -> None:
    root = copy_recording("6.1-4n", "established", tmp_path)
    (root / "proc/net/sockstat").write_text(f"TCP: inuse {sockets} orphan 0 tw 0 alloc {sockets} mem 0\n")
    assert_unknown(ledger_of(root).costs["full"])


def test_an_average_is_shown_from_100_sockets_per_cpu(tmp_path: Path) -> None:
    root = copy_recording("6.1-4n", "established", tmp_path)
    (root / "proc/net/sockstat").write_text("TCP: inuse 800 orphan 0 tw 0 alloc 800 mem 0\n")
    (root / "proc/net/snmp").unlink()  # it shows 16 000 established sockets
    assert ledger_of(root).costs["full"].now_bytes is not None


# TIME_WAIT.


@each_kernel
def test_the_average_mini_socket_is_the_rows_size_divided_by_the_least_number_of_mini_sockets(kernel: str) -> None:
    if "timewait" not in RECORDINGS[kernel]:
        return
    rows, page = slab_rows(text(kernel, "timewait", "proc/slabinfo")), PAGE_BYTES[kernel]
    small = [rows[name] for name in ("tw_sock_TCP", "tw_sock_TCPv6")]
    held = sum(each.slabs * each.pages * page for each in small)
    active = sum(each.active for each in small)
    time_wait = counters(kernel, "timewait")["tw"]
    assert active >= time_wait >= 8000
    cost = ledger(kernel, "timewait").costs["time_wait"]
    assert cost.now_bytes == pytest.approx(held / time_wait, abs=0.02)
    assert cost.now_is_at_most == (active > time_wait)
    assert ledger(kernel, "timewait").sockets.time_wait_machine_max == active


@pytest.mark.parametrize("count", [0, 1, 250, 9_000])
def test_the_time_wait_count_of_one_namespace_is_only_a_bound(tmp_path: Path, count: int) -> None:
    """Most of the machine's mini-sockets may be in other network namespaces."""
    root = copy_recording("6.1-4n", "timewait", tmp_path)
    sockstat = root / "proc/net/sockstat"
    sockstat.write_text(re.sub(r"tw \d+", f"tw {count}", sockstat.read_text()))
    changed, whole = ledger_of(root), ledger("6.1-4n", "timewait")
    assert changed.sockets.time_wait == count
    assert changed.costs["full"] == whole.costs["full"]
    assert changed.tcp_memory == whole.tcp_memory._replace(counted_time_wait=count)
    row = slab_rows(text("6.1-4n", "timewait", "proc/slabinfo"))["tw_sock_TCP"]
    now = known(changed.costs["time_wait"].now_bytes)
    idle = known(changed.caches[[line.name for line in changed.caches].index("tw_sock_TCP")].idle_error_objects)
    assert now == pytest.approx(row.slabs * row.pages * 4096 / (row.active if count > 8000 else row.active - idle))
    assert changed.costs["time_wait"].now_is_at_most == (count < 8000)


def test_time_wait_is_not_averaged_over_a_few_idle_objects() -> None:
    assert_unknown(ledger("6.1-4n", "base").costs["time_wait"])


def test_a_mini_socket_has_no_buffers() -> None:
    assert ledger("6.1-4n", "timewait").costs["time_wait"].buffer_bytes_per_socket == 0


# Unknown parts.


def test_without_a_list_of_security_modules_the_blob_is_missing_from_the_sum(tmp_path: Path) -> None:
    root = copy_recording("6.1-4n", "established", tmp_path)
    (root / "sys/kernel/security/lsm").unlink()
    accepted = ledger_of(root).costs["full"].by_family["ipv4"].accepted
    assert accepted.object_bytes == 3656 - 16
    assert not accepted.complete
    assert ["LSM" in name for name in accepted.missing] == [True]


def test_security_modules_without_a_blob_make_no_part(tmp_path: Path) -> None:
    root = copy_recording("6.1-4n", "established", tmp_path)
    (root / "sys/kernel/security/lsm").write_text("lockdown,capability,landlock,yama,bpf")
    without_security_caches(root, "lsm_file_cache")
    accepted = ledger_of(root).costs["full"].by_family["ipv4"].accepted
    assert accepted.object_bytes == 3656 - 16 - 24
    assert accepted.complete


def test_without_links_a_cache_that_may_be_merged_is_missing(tmp_path: Path) -> None:
    """Without /sys/kernel/slab it is unknown whether filp is merged into another row or absent."""
    root = old_tree(tmp_path, "4.8.15", row("TCP", 1856, 17, 8), row("tw_sock_TCP", 248, 16, 1))
    slab = root / "sys/kernel/slab"
    slab.rename(root / "elsewhere")
    outgoing = ledger_of(root).costs["full"].by_family["ipv4"].outgoing
    assert not outgoing.complete
    assert any("filp" in name for name in outgoing.missing)
    assert any("tcp_bind_bucket" in name for name in outgoing.missing)
    assert not any("bind2" in name for name in outgoing.missing), "4.8 has none"
    assert outgoing.object_bytes == 3008 - 256


def test_an_object_that_is_absent_by_the_links_is_neither_a_part_nor_missing() -> None:
    outgoing = ledger("5.10-4n", "base").costs["full"].by_family["ipv4"].outgoing
    assert [part.cache for part in outgoing.parts if "bind" in part.object] == ["tcp_bind_bucket"]
    assert outgoing.complete


def test_without_a_page_size_there_are_object_bytes_and_no_slab_bytes(tmp_path: Path) -> None:
    root = write_tree(
        tmp_path,
        {
            "proc/slabinfo": SLABINFO
            + "TCP 5 15 1536 5 2 : tunables 24 12 8 : slabdata 3 3 0\n"
            + "kmem_cache 83 93 128 31 1 : tunables 24 12 8 : slabdata 3 3 0\n",
            "proc/sys/kernel/osrelease": "2.6.32\n",
        },
    )
    accepted = ledger_of(root).costs["full"].by_family["ipv4"].accepted
    assert accepted.object_bytes == 1536
    assert accepted.slab_bytes is None
    assert not accepted.complete


def test_buffers_per_socket_are_unknown_if_the_counter_is_within_its_error() -> None:
    """16,000 queued FINs: 8 192 pages, with an error of 8 CPUs × 1 MiB."""
    assert ledger("6.18-1n", "established").costs["full"].buffer_bytes_per_socket is None
    halfclosed = ledger("6.1-4n", "halfclosed").costs["full"]
    assert halfclosed.buffer_bytes_per_socket == pytest.approx(8192 * 4096 / 8001, abs=0.01)


def test_buffers_per_socket_are_0_rather_than_unknown_if_the_counter_is_exact() -> None:
    assert ledger("5.10-4n", "established").costs["full"].buffer_bytes_per_socket == 0


def test_an_average_does_not_combine_newer_bytes_with_older_counts_of_slabinfo() -> None:
    """If sysfs replaces slabinfo, the total in sysfs is the upper bound on the objects in use: 16 001, not the 28
    active objects of the old slabinfo.
    """
    old, new = snapshot("6.1-4n", "base").slabinfo, snapshot("6.1-4n", "established")
    resting = new._replace(slabinfo=old._replace(taken_at_s=1.0), slab_counts=new.slab_counts._replace(taken_at_s=40.0))
    cost = account(resting).costs["full"]
    assert cost.now_bytes == pytest.approx(known(account(new).costs["full"].now_bytes), rel=0.005)


def test_an_average_goes_with_slabinfo_while_slabinfo_is_not_old() -> None:
    """The slabs of 28 sockets are not divided by 16 001 sockets."""
    old, new = snapshot("6.1-4n", "base").slabinfo, snapshot("6.1-4n", "established")
    earlier = new._replace(
        live=True, slabinfo=old._replace(taken_at_s=1.0), slab_counts=new.slab_counts._replace(taken_at_s=9.0)
    )
    ledger = account(earlier)
    assert ledger.sources["sockstat"].state == "ok", "sockets were opened after slabinfo was read"
    cost = ledger.costs["full"]
    assert cost.now_bytes is None
    assert (cost.now_unknown_because or "").startswith("an average needs 800 sockets")


@pytest.mark.parametrize("phase", ["established", "halfclosed"])
@pytest.mark.parametrize("mode", ["full", "time_wait"])
def test_where_all_sockets_are_ipv6_the_mix_has_no_object_of_ipv4(phase: str, mode: AccountingMode) -> None:
    """The row TCP has 14 active objects, all free ones on per-CPU slabs: sockstat counts no socket of IPv4."""
    assert slab_rows(text("6.1-4n-ipv6", phase, "proc/slabinfo"))["TCP"].active == 14
    costs = ledger("6.1-4n-ipv6", phase).costs[mode].by_family
    assert costs["mix"] == costs["ipv6"]
