"""Limits on sockets and their headroom, from files whose figures can be worked out by hand."""

from __future__ import annotations

from pathlib import Path

import pytest
from recorded import (
    RECORDINGS,
    copy_recording,
    each_recording,
    ledger,
    ledger_of,
    snapshot,
    snapshot_of,
    text,
    write_tree,
)

from tcptop.accounting import account
from tcptop.ledger import Ledger, Limit, Limits
from tcptop.snapshot import Reading, Snapshot, SocketLimits

LONG_MAX = (1 << 63) - 1
"""The default fs.file-max of 64-bit kernels since about 5.2."""

LIMITS = SocketLimits(
    open_files=1_200,
    max_open_files=100_000,
    max_orphans=32_768,
    max_time_wait=16_384,
    local_ports=(32_768, 60_999),
    conntrack_entries=250,
    max_conntrack_entries=65_536,
)


def with_limits(of: Snapshot, limits: SocketLimits) -> Ledger:
    return account(of._replace(socket_limits=Reading("ok", limits, None, 0.0, 1, None, None, None)))


def without_limits(of: Snapshot) -> Ledger:
    return account(of._replace(socket_limits=Reading("missing", None, "why", 0.0, 1, None, None, None)))


def limit(limits: Limits, name: str) -> Limit:
    [found] = [each for each in limits.rows if each.name == name]
    return found


def set_mem(root: Path, units: int, sockets: int) -> Snapshot:
    """The snapshot of a tree after its sockstat is set to a number of sockets and of buffer units."""
    sockstat = root / "proc/net/sockstat"
    lines = [line for line in sockstat.read_text().splitlines() if not line.startswith("TCP:")]
    lines.append(f"TCP: inuse {sockets} orphan 0 tw 0 alloc {sockets} mem {units}")
    sockstat.write_text("\n".join(lines) + "\n")
    return snapshot_of(root)


TCP_MEM_MAX = int(text("6.1-4n", "established", "proc/sys/net/ipv4/tcp_mem").split()[2])
RESERVES = 8 * 256
"""In pages: each of the 8 CPUs may hold 256 uncounted (mem_pcpu_rsv)."""


def test_the_recording_has_the_reserve_that_these_tests_assume() -> None:
    assert text("6.1-4n", "established", "proc/sys/net/core/mem_pcpu_rsv").strip() == "256"
    assert text("6.1-4n", "established", "sys/devices/system/cpu/online").strip() == "0-7"


@pytest.mark.parametrize("units", [RESERVES + 1, 16_000, 100_000])
def test_headroom_of_tcp_mem_assumes_the_present_buffers_per_socket(tmp_path: Path, units: int) -> None:
    of = set_mem(copy_recording("6.1-4n", "established", tmp_path), units, 16_000)
    found = limit(account(of).limits, "tcp_mem")
    headroom = (TCP_MEM_MAX - units) * 16_000 / units
    assert found.headroom_sockets is not None
    assert found.headroom_sockets == pytest.approx(headroom, rel=1e-3)
    assert (found.used, found.maximum, found.unit) == (units * 4096, TCP_MEM_MAX * 4096, "bytes")
    assert (found.concerns, found.scope) == ("every socket", "machine")
    assert f"{round(units * 4096 / 16_000):,} B of buffers".replace(",", " ") in found.note


@pytest.mark.parametrize("units", [0, 1, RESERVES])
def test_headroom_of_tcp_mem_is_unknown_if_the_counter_is_within_its_error(tmp_path: Path, units: int) -> None:
    of = set_mem(copy_recording("6.1-4n", "established", tmp_path), units, 16_000)
    found = limit(account(of).limits, "tcp_mem")
    assert found.headroom_sockets is None
    assert (found.used, found.maximum) == (units * 4096, TCP_MEM_MAX * 4096)
    assert "error" in found.note
    assert "tcp_mem" not in account(of).limits.missing


def test_a_full_tcp_mem_has_no_headroom(tmp_path: Path) -> None:
    of = set_mem(copy_recording("6.1-4n", "established", tmp_path), TCP_MEM_MAX + 5, 16_000)
    limits = account(of).limits
    assert limit(limits, "tcp_mem").headroom_sockets == 0
    assert limits.first is limit(limits, "tcp_mem")


def test_with_an_exact_counter_idle_sockets_are_charged_nothing(tmp_path: Path) -> None:
    """Before 6.0 the counter is exact."""
    root = copy_recording("5.10-4n", "established", tmp_path)
    idle = limit(account(set_mem(root, 0, 16_000)).limits, "tcp_mem")
    assert (idle.used, idle.headroom_sockets) == (0, None)
    assert "idle" in idle.note
    most = int(text("5.10-4n", "established", "proc/sys/net/ipv4/tcp_mem").split()[2])
    some = limit(account(set_mem(root, 16_000, 16_000)).limits, "tcp_mem")
    assert some.headroom_sockets == most - 16_000


def test_an_unreadable_tcp_mem_is_missing(tmp_path: Path) -> None:
    root = copy_recording("6.1-4n", "established", tmp_path)
    (root / "proc/sys/net/ipv4/tcp_mem").unlink()
    limits = ledger_of(root).limits
    found = limit(limits, "tcp_mem")
    assert (found.maximum, found.headroom_sockets) == (None, None)
    assert "not known" in found.note
    assert "tcp_mem" in limits.missing


def test_headroom_of_tcp_mem_is_unknown_without_sockstat(tmp_path: Path) -> None:
    root = copy_recording("6.1-4n", "established", tmp_path)
    (root / "proc/net/sockstat").unlink()
    found = limit(ledger_of(root).limits, "tcp_mem")
    assert (found.used, found.headroom_sockets) == (None, None)


def test_open_files_are_limited_by_file_max() -> None:
    found = limit(with_limits(snapshot("6.1-4n", "established"), LIMITS).limits, "file-max")
    assert (found.used, found.maximum, found.headroom_sockets) == (1_200, 100_000, 98_800)
    assert (found.unit, found.scope, found.concerns) == ("files", "machine", "every socket")


def test_more_open_files_than_file_max_leave_no_headroom() -> None:
    """Root may exceed file-max (fs/file_table.c, alloc_empty_file)."""
    over = LIMITS._replace(open_files=100_007)
    assert limit(with_limits(snapshot("6.1-4n", "established"), over).limits, "file-max").headroom_sockets == 0


@pytest.mark.parametrize("most", [LONG_MAX, 1 << 62])
@pytest.mark.parametrize("used", [1_200, None])
def test_the_default_file_max_is_no_limit(most: int, used: int | None) -> None:
    unbounded = LIMITS._replace(open_files=used, max_open_files=most)
    limits = with_limits(snapshot("6.1-4n", "established"), unbounded).limits
    assert not [each for each in limits.rows if each.name == "file-max"]
    first = limits.first
    assert first is not None
    assert first.name.startswith("memory of node")
    assert limits.missing == ()


def test_any_lower_file_max_is_a_limit() -> None:
    far = LIMITS._replace(max_open_files=(1 << 62) - 1)
    found = limit(with_limits(snapshot("6.1-4n", "established"), far).limits, "file-max")
    assert found.headroom_sockets == (1 << 62) - 1 - 1_200


@pytest.mark.parametrize(
    "socket_limits", [LIMITS._replace(max_open_files=None), LIMITS._replace(open_files=None), None]
)
def test_an_unreadable_file_max_is_missing(socket_limits: SocketLimits | None) -> None:
    of = snapshot("6.1-4n", "established")
    limits = (without_limits(of) if socket_limits is None else with_limits(of, socket_limits)).limits
    assert limit(limits, "file-max").headroom_sockets is None
    if socket_limits is None or socket_limits.max_open_files is None:
        assert "file-max" in limits.missing


@pytest.mark.parametrize(
    ("name", "concerns", "used", "most", "headroom", "unit", "scope"),
    [
        ("ports", "outgoing", None, 28_232, 28_232, "ports", "here"),
        ("tcp_max_tw_buckets", "TIME_WAIT", 8_000, 16_384, 8_384, "sockets", "here"),
        ("tcp_max_orphans", "orphans", 0, 32_768, 8_192, "sockets", "machine"),
        ("nf_conntrack_max", "tracked flows", 250, 65_536, 65_286, "flows", "here"),
    ],
)
def test_limits_of_some_sockets(
    name: str, concerns: str, used: int | None, most: int, headroom: int, unit: str, scope: str
) -> None:
    """The recording has 8 000 sockets in TIME_WAIT and no orphan."""
    found = limit(with_limits(snapshot("6.1-4n", "timewait"), LIMITS).limits, name)
    assert (found.concerns, found.unit, found.scope) == (concerns, unit, scope)
    assert (found.used, found.maximum, found.headroom_sockets) == (used, most, headroom)
    assert found.note


def test_limits_of_some_sockets_that_are_reached() -> None:
    tight = LIMITS._replace(max_time_wait=100, conntrack_entries=70_000, local_ports=(1024, 1024))
    limits = with_limits(snapshot("6.1-4n", "timewait"), tight).limits
    assert limit(limits, "tcp_max_tw_buckets").headroom_sockets == 0
    assert limit(limits, "nf_conntrack_max").headroom_sockets == 0
    assert limit(limits, "ports").headroom_sockets == 1


def test_conntrack_is_no_limit_if_it_is_not_loaded() -> None:
    none = LIMITS._replace(conntrack_entries=None, max_conntrack_entries=None)
    names = [each.name for each in with_limits(snapshot("6.1-4n", "established"), none).limits.rows]
    assert "nf_conntrack_max" not in names
    assert "ports" in names


def test_unreadable_limits_of_some_sockets_are_unknown_and_not_zero() -> None:
    limits = without_limits(snapshot("6.1-4n", "established")).limits
    for name in ("ports", "tcp_max_tw_buckets", "tcp_max_orphans"):
        found = limit(limits, name)
        assert (found.maximum, found.headroom_sockets) == (None, None)
        assert found.note == "not known"
    assert "nf_conntrack_max" not in [each.name for each in limits.rows]


@pytest.mark.parametrize("kernel", [kernel for kernel in RECORDINGS if kernel != "6.18-1n"])
def test_limits_of_files_and_ports_are_those_of_the_recorded_files(kernel: str) -> None:
    limits = ledger(kernel, "established").limits
    used, _, most = map(int, text(kernel, "established", "proc/sys/fs/file-nr").split())
    found = limit(limits, "file-max")
    assert (found.used, found.maximum, found.headroom_sockets) == (used, most, most - used)
    least, last = map(int, text(kernel, "established", "proc/sys/net/ipv4/ip_local_port_range").split())
    assert limit(limits, "ports").headroom_sockets == last - least + 1


@pytest.mark.parametrize(("beyond", "first"), [(-1, "file-max"), (1, "memory of node")])
def test_the_first_limit_is_the_nearest_of_those_on_every_socket(beyond: int, first: str) -> None:
    of = snapshot("6.1-4n", "established")
    headrooms = [each.headroom_sockets or 0 for each in account(of).limits.rows if each.name.startswith("memory")]
    assert min(headrooms) > 100_000
    # Limits that only some sockets reach are nearer, and do not count.
    limits = LIMITS._replace(open_files=0, max_open_files=min(headrooms) + beyond, local_ports=(1, 2), max_orphans=0)
    found = with_limits(of, limits).limits.first
    assert found is not None
    assert found.name.startswith(first)
    assert found.headroom_sockets == min(headrooms) + min(0, beyond)


@each_recording
def test_every_populated_node_has_a_memory_limit(kernel: str, phase: str) -> None:
    """Even a node without free memory has one; a memoryless node has none."""
    figures = ledger(kernel, phase)
    limits = {each.name: each for each in figures.limits.rows if each.name.startswith("memory of node ")}
    buddyinfo = text(kernel, phase, "proc/buddyinfo")
    nodes = {int(line.split()[1].rstrip(",")) for line in buddyinfo.splitlines()}
    assert set(limits) == {f"memory of node {node}" for node in nodes}
    page = 16384 if "16k" in kernel else 4096
    for node in nodes:
        free = sum(
            int(count) << order
            for line in buddyinfo.splitlines()
            if line.startswith(f"Node {node},")
            for order, count in enumerate(line.split()[4:])
        )
        headroom = limits[f"memory of node {node}"].headroom_sockets
        assert headroom is not None
        # A socket takes more than 3 600 bytes of slab; this bound ignores the watermarks.
        assert 0 < headroom <= free * page / 3600


ZONE = """Node {node}, zone {zone:>8}
  pages free     {free}
        min      100
        low      200
        high     300
        spanned  {managed}
        present  {managed}
        managed  {managed}
        protection: (0, 0, 0, 0)
  pagesets
    cpu: 0
              count: 0
              high:  0
              batch: 1
"""


def zones(*names: str) -> dict[str, str]:
    """Files of a machine with one node of these zones, each with 1 000 blocks of order 3 and 10 of order 10."""
    blocks = "      0      0      0   1000      0      0      0      0      0      0     10 "
    return {
        "proc/zoneinfo": "".join(ZONE.format(node=0, zone=name, free=18240, managed=100_000) for name in names),
        "proc/buddyinfo": "".join(f"Node 0, zone {name:>8} {blocks}\n" for name in names),
    }


def zoned(root: Path, *names: str) -> Path:
    tree = copy_recording("6.1-1n", "established", root)
    (tree / "proc/pagetypeinfo").unlink()
    total_kib = 4 * 100_000 * len(names)
    meminfo = tree / "proc/meminfo"
    lines = [line for line in meminfo.read_text().splitlines() if not line.startswith("MemTotal")]
    write_tree(tree, {**zones(*names), "proc/meminfo": "\n".join([f"MemTotal: {total_kib} kB", *lines]) + "\n"})
    return tree


def test_headroom_of_a_node_is_bounded_by_its_free_blocks_and_its_low_watermark(tmp_path: Path) -> None:
    figures = ledger_of(zoned(tmp_path, "Normal"))
    found = limit(figures.limits, "memory of node 0")
    socket = figures.costs["full"].by_family["mix"].accepted.slab_bytes
    assert socket is not None
    slabs = 1000 + 10 * (1 << 7)
    per_slab = 14  # of TCP on 6.1
    headroom = min(slabs * per_slab, (18240 - 200) * 4096 / socket)
    assert found.headroom_sockets == pytest.approx(headroom, abs=per_slab)
    assert (found.scope, found.concerns, found.unit) == ("node", "every socket", "sockets")


@pytest.mark.parametrize("names", [("Movable",), ("Device",), ("Movable", "Device")], ids="+".join)
def test_a_node_without_slab_zones_is_no_limit(tmp_path: Path, names: tuple[str, ...]) -> None:
    limits = with_limits(snapshot_of(zoned(tmp_path, *names)), LIMITS).limits
    [found] = [each for each in limits.rows if each.name.startswith("memory")]
    assert (found.name, found.maximum, found.headroom_sockets) == ("memory", None, None)
    assert limits.missing == ("memory",)
    assert limits.first is limit(limits, "file-max")


def test_a_node_without_slab_zones_is_no_limit_beside_one_with_them(tmp_path: Path) -> None:
    root = zoned(tmp_path, "Normal")
    zone = ZONE.format(node=1, zone="Movable", free=18240, managed=100_000)
    blocks = "Node 1, zone  Movable " + " 0" * 10 + " 10\n"
    for path, more in (("proc/zoneinfo", zone), ("proc/buddyinfo", blocks)):
        (root / path).write_text((root / path).read_text() + more)
    limits = ledger_of(root).limits
    assert [each.name for each in limits.rows if each.name.startswith("memory")] == ["memory of node 0"]
    assert limits.missing == ()


def test_a_node_without_zones_is_no_limit() -> None:
    figures = ledger("6.1-4n-memoryless", "established")
    assert [node.node for node in figures.nodes if node.zones] == [0, 1, 2]
    assert [each.name for each in figures.limits.rows if each.name.startswith("memory")] == [
        *("memory of node 0", "memory of node 1", "memory of node 2"),
    ]


def test_a_node_without_cpus_is_no_limit(tmp_path: Path) -> None:
    """Such as CXL memory: no allocation prefers it."""
    root = copy_recording("6.1-4n", "established", tmp_path)
    (root / "sys/devices/system/node/node2/cpulist").write_text("\n")
    before, after = ledger("6.1-4n", "established").limits, ledger_of(root).limits
    assert [each for each in before.rows if each.name != "memory of node 2"] == list(after.rows)
    assert after.missing == ()


def test_a_node_with_unknown_cpus_is_a_limit(tmp_path: Path) -> None:
    root = copy_recording("6.1-4n", "established", tmp_path)
    (root / "sys/devices/system/node/node2/cpulist").unlink()
    assert ledger_of(root).limits.rows == ledger("6.1-4n", "established").limits.rows


# Sockets with data.


@pytest.mark.parametrize("units", [0, 1, RESERVES, RESERVES + 1, 16_000, 100_000])
def test_memory_headroom_is_shared_between_slabs_and_socket_buffers(tmp_path: Path, units: int) -> None:
    """New sockets have slabs and buffers in the present proportion; a counter within its error counts as no buffers."""
    idle = ledger("6.1-4n", "established")
    slab = idle.costs["full"].by_family["mix"].accepted.slab_bytes
    assert slab is not None
    buffers = units * 4096 / 16_000 if units > RESERVES else 0.0
    limits = account(set_mem(copy_recording("6.1-4n", "established", tmp_path), units, 16_000)).limits
    for node in range(4):
        before, after = (limit(each, f"memory of node {node}").headroom_sockets for each in (idle.limits, limits))
        assert before is not None
        assert after is not None
        assert after == pytest.approx(before * slab / (slab + buffers), abs=1)
        assert (after < before) == (units > RESERVES)


@pytest.mark.parametrize(("sockets", "known"), [(799, False), (800, True)])
def test_buffers_per_socket_need_100_sockets_per_cpu(tmp_path: Path, sockets: int, known: bool) -> None:
    """With fewer, one socket with a full queue would dominate the average. The recording has 8 CPUs."""
    figures = account(set_mem(copy_recording("6.1-4n", "established", tmp_path), 40_000, sockets))
    found = limit(figures.limits, "tcp_mem")
    cost = figures.costs["full"].buffer_bytes_per_socket
    headroom = limit(figures.limits, "memory of node 0").headroom_sockets
    idle = limit(ledger("6.1-4n", "established").limits, "memory of node 0").headroom_sockets
    assert found.used == 40_000 * 4096
    if known:
        assert cost == pytest.approx(40_000 * 4096 / sockets, abs=0.01)
        assert found.headroom_sockets == pytest.approx((TCP_MEM_MAX - 40_000) * sockets / 40_000, abs=1)
        assert headroom != idle
    else:
        assert (cost, found.headroom_sockets, headroom) == (None, None, idle)
        assert found.note
    assert "tcp_mem" not in figures.limits.missing


# Unknown figures.


def test_no_headroom_is_known_if_nothing_is_readable(tmp_path: Path) -> None:
    limits = ledger_of(write_tree(tmp_path, {})).limits
    assert limits.first is None
    assert limits.missing == ("memory", "tcp_mem", "file-max")
    for found in limits.rows:
        assert (found.used, found.maximum, found.headroom_sockets) == (None, None, None), found.name
        assert found.note, found.name


def test_unknown_memory_of_several_nodes_is_one_missing_limit(tmp_path: Path) -> None:
    root = copy_recording("6.1-4n", "established", tmp_path)
    (root / "proc/zoneinfo").unlink()
    limits = with_limits(snapshot_of(root), LIMITS).limits
    assert limits.first is limit(limits, "file-max")
    assert limits.missing == ("memory of the nodes",)
    assert [each.headroom_sockets for each in limits.rows if each.scope == "node"] == [None] * 4


def test_unknown_memory_of_one_node_is_missing_by_its_name(tmp_path: Path) -> None:
    root = copy_recording("6.1-4n", "established", tmp_path)
    buddyinfo = root / "proc/buddyinfo"
    lines = [line for line in buddyinfo.read_text().splitlines(keepends=True) if not line.startswith("Node 2,")]
    buddyinfo.write_text("".join(lines))
    limits = ledger_of(root).limits
    assert limits.missing == ("memory of node 2",)
    assert limits.first is not None
    assert limits.first.name in {f"memory of node {node}" for node in (0, 1, 3)}


def test_memory_without_any_known_zone_is_missing(tmp_path: Path) -> None:
    root = copy_recording("6.1-4n", "established", tmp_path)
    for name in ("zoneinfo", "buddyinfo", "pagetypeinfo"):
        (root / "proc" / name).unlink()
    limits = with_limits(snapshot_of(root), LIMITS).limits
    assert limits.missing == ("memory",)
    assert limit(limits, "memory").note == "no file tells of the nodes' free memory"
    assert limits.first is limit(limits, "file-max")
