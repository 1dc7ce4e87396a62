"""How many more sockets fit: each wall from files of which the answer can be worked out by hand."""

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
"""fs.file-max as every 64-bit kernel since 5.2 or so starts with it."""

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


def limit(capacity: Limits, name: str) -> Limit:
    [found] = [each for each in capacity.rows if each.name == name]
    return found


def set_mem(root: Path, units: int, sockets: int) -> Snapshot:
    """A tree whose sockstat says that so many sockets are charged so many units of buffers."""
    sockstat = root / "proc/net/sockstat"
    lines = [line for line in sockstat.read_text().splitlines() if not line.startswith("TCP:")]
    lines.append(f"TCP: inuse {sockets} orphan 0 tw 0 alloc {sockets} mem {units}")
    sockstat.write_text("\n".join(lines) + "\n")
    return snapshot_of(root)


TCP_MEM_MAX = int(text("6.1-4n", "established", "proc/sys/net/ipv4/tcp_mem").split()[2])
RESERVES = 8 * 256
"""In pages: each of the 8 CPUs may hold back 256 (mem_pcpu_rsv)."""


def test_the_recorded_reserve_is_what_these_tests_take_it_for() -> None:
    assert text("6.1-4n", "established", "proc/sys/net/core/mem_pcpu_rsv").strip() == "256"
    assert text("6.1-4n", "established", "sys/devices/system/cpu/online").strip() == "0-7"


@pytest.mark.parametrize("units", [RESERVES + 1, 16_000, 100_000])
def test_tcp_mem_ends_where_more_sockets_like_these_would_fill_it(tmp_path: Path, units: int) -> None:
    of = set_mem(copy_recording("6.1-4n", "established", tmp_path), units, 16_000)
    found = limit(account(of).limits, "tcp_mem")
    room = (TCP_MEM_MAX - units) * 16_000 / units
    assert found.headroom_sockets is not None
    assert found.headroom_sockets == pytest.approx(room, rel=1e-3)
    assert (found.used, found.maximum, found.unit) == (units * 4096, TCP_MEM_MAX * 4096, "bytes")
    assert (found.concerns, found.scope) == ("every socket", "machine")
    assert f"{round(units * 4096 / 16_000):,} B of buffers".replace(",", " ") in found.note


@pytest.mark.parametrize("units", [0, 1, RESERVES])
def test_tcp_mem_has_no_room_to_tell_while_all_buffers_may_be_the_counters_error(tmp_path: Path, units: int) -> None:
    of = set_mem(copy_recording("6.1-4n", "established", tmp_path), units, 16_000)
    found = limit(account(of).limits, "tcp_mem")
    assert found.headroom_sockets is None
    assert (found.used, found.maximum) == (units * 4096, TCP_MEM_MAX * 4096)
    assert "error" in found.note
    assert "tcp_mem" not in account(of).limits.missing


def test_tcp_mem_that_is_full_has_no_room(tmp_path: Path) -> None:
    of = set_mem(copy_recording("6.1-4n", "established", tmp_path), TCP_MEM_MAX + 5, 16_000)
    capacity = account(of).limits
    assert limit(capacity, "tcp_mem").headroom_sockets == 0
    assert capacity.first is limit(capacity, "tcp_mem")


def test_tcp_mem_without_an_error_takes_idle_sockets_for_what_they_are(tmp_path: Path) -> None:
    """Before 6.0 nothing is held back: 0 is 0, and one page more is one page more."""
    root = copy_recording("5.10-4n", "established", tmp_path)
    idle = limit(account(set_mem(root, 0, 16_000)).limits, "tcp_mem")
    assert (idle.used, idle.headroom_sockets) == (0, None)
    assert "idle" in idle.note
    most = int(text("5.10-4n", "established", "proc/sys/net/ipv4/tcp_mem").split()[2])
    some = limit(account(set_mem(root, 16_000, 16_000)).limits, "tcp_mem")
    assert some.headroom_sockets == most - 16_000


def test_tcp_mem_that_cannot_be_read_is_missing(tmp_path: Path) -> None:
    root = copy_recording("6.1-4n", "established", tmp_path)
    (root / "proc/sys/net/ipv4/tcp_mem").unlink()
    capacity = ledger_of(root).limits
    found = limit(capacity, "tcp_mem")
    assert (found.maximum, found.headroom_sockets) == (None, None)
    assert "not known" in found.note
    assert "tcp_mem" in capacity.missing


def test_tcp_mem_without_sockstat_has_no_room_to_tell(tmp_path: Path) -> None:
    root = copy_recording("6.1-4n", "established", tmp_path)
    (root / "proc/net/sockstat").unlink()
    found = limit(ledger_of(root).limits, "tcp_mem")
    assert (found.used, found.headroom_sockets) == (None, None)


def test_open_files_end_at_file_max() -> None:
    found = limit(with_limits(snapshot("6.1-4n", "established"), LIMITS).limits, "file-max")
    assert (found.used, found.maximum, found.headroom_sockets) == (1_200, 100_000, 98_800)
    assert (found.unit, found.scope, found.concerns) == ("files", "machine", "every socket")


def test_more_open_files_than_file_max_leave_none() -> None:
    """Root may go beyond it (fs/file_table.c, alloc_empty_file)."""
    over = LIMITS._replace(open_files=100_007)
    assert limit(with_limits(snapshot("6.1-4n", "established"), over).limits, "file-max").headroom_sockets == 0


@pytest.mark.parametrize("most", [LONG_MAX, 1 << 62])
@pytest.mark.parametrize("used", [1_200, None])
def test_a_file_max_that_nobody_set_is_no_wall(most: int, used: int | None) -> None:
    unbounded = LIMITS._replace(open_files=used, max_open_files=most)
    capacity = with_limits(snapshot("6.1-4n", "established"), unbounded).limits
    assert not [each for each in capacity.rows if each.name == "file-max"]
    first = capacity.first
    assert first is not None
    assert first.name.startswith("memory of node")
    assert capacity.missing == ()


def test_a_file_max_that_somebody_set_is_a_wall_however_far() -> None:
    far = LIMITS._replace(max_open_files=(1 << 62) - 1)
    found = limit(with_limits(snapshot("6.1-4n", "established"), far).limits, "file-max")
    assert found.headroom_sockets == (1 << 62) - 1 - 1_200


@pytest.mark.parametrize("limits", [LIMITS._replace(max_open_files=None), LIMITS._replace(open_files=None), None])
def test_a_file_max_that_cannot_be_read_is_missing(limits: SocketLimits | None) -> None:
    of = snapshot("6.1-4n", "established")
    capacity = (without_limits(of) if limits is None else with_limits(of, limits)).limits
    assert limit(capacity, "file-max").headroom_sockets is None
    if limits is None or limits.max_open_files is None:
        assert "file-max" in capacity.missing


@pytest.mark.parametrize(
    ("name", "concerns", "used", "most", "room", "unit", "scope"),
    [
        ("ports", "outgoing", None, 28_232, 28_232, "ports", "here"),
        ("tcp_max_tw_buckets", "TIME_WAIT", 8_000, 16_384, 8_384, "sockets", "here"),
        ("tcp_max_orphans", "orphans", 0, 32_768, 32_768, "sockets", "machine"),
        ("nf_conntrack_max", "tracked flows", 250, 65_536, 65_286, "flows", "here"),
    ],
)
def test_walls_of_some_sockets(
    name: str, concerns: str, used: int | None, most: int, room: int, unit: str, scope: str
) -> None:
    """The recording has 8 000 sockets in TIME_WAIT and no orphan."""
    found = limit(with_limits(snapshot("6.1-4n", "timewait"), LIMITS).limits, name)
    assert (found.concerns, found.unit, found.scope) == (concerns, unit, scope)
    assert (found.used, found.maximum, found.headroom_sockets) == (used, most, room)
    assert found.note


def test_walls_of_some_sockets_that_are_reached() -> None:
    tight = LIMITS._replace(max_time_wait=100, conntrack_entries=70_000, local_ports=(1024, 1024))
    capacity = with_limits(snapshot("6.1-4n", "timewait"), tight).limits
    assert limit(capacity, "tcp_max_tw_buckets").headroom_sockets == 0
    assert limit(capacity, "nf_conntrack_max").headroom_sockets == 0
    assert limit(capacity, "ports").headroom_sockets == 1


def test_where_no_flow_is_tracked_there_is_no_such_wall() -> None:
    none = LIMITS._replace(conntrack_entries=None, max_conntrack_entries=None)
    names = [each.name for each in with_limits(snapshot("6.1-4n", "established"), none).limits.rows]
    assert "nf_conntrack_max" not in names
    assert "ports" in names


def test_walls_of_some_sockets_that_cannot_be_read_are_not_zero() -> None:
    capacity = without_limits(snapshot("6.1-4n", "established")).limits
    for name in ("ports", "tcp_max_tw_buckets", "tcp_max_orphans"):
        found = limit(capacity, name)
        assert (found.maximum, found.headroom_sockets) == (None, None)
        assert found.note == "not known"
    assert "nf_conntrack_max" not in [each.name for each in capacity.rows]


@pytest.mark.parametrize("kernel", [kernel for kernel in RECORDINGS if kernel != "6.18-1n"])
def test_walls_of_files_and_ports_are_those_of_the_recorded_files(kernel: str) -> None:
    capacity = ledger(kernel, "established").limits
    used, _, most = map(int, text(kernel, "established", "proc/sys/fs/file-nr").split())
    found = limit(capacity, "file-max")
    assert (found.used, found.maximum, found.headroom_sockets) == (used, most, most - used)
    least, last = map(int, text(kernel, "established", "proc/sys/net/ipv4/ip_local_port_range").split())
    assert limit(capacity, "ports").headroom_sockets == last - least + 1


@pytest.mark.parametrize(("beyond", "first"), [(-1, "file-max"), (1, "memory of node")])
def test_the_first_wall_is_the_nearest_of_those_of_every_socket(beyond: int, first: str) -> None:
    of = snapshot("6.1-4n", "established")
    rooms = [each.headroom_sockets or 0 for each in account(of).limits.rows if each.name.startswith("memory")]
    assert min(rooms) > 100_000
    # Walls that only some sockets come to are nearer, and do not count.
    limits = LIMITS._replace(open_files=0, max_open_files=min(rooms) + beyond, local_ports=(1, 2), max_orphans=0)
    found = with_limits(of, limits).limits.first
    assert found is not None
    assert found.name.startswith(first)
    assert found.headroom_sockets == min(rooms) + min(0, beyond)


@each_recording
def test_memory_walls_are_the_rooms_of_the_nodes(kernel: str, phase: str) -> None:
    """Each populated node has one, also the node that has none left; a memoryless node has none."""
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
        room = limits[f"memory of node {node}"].headroom_sockets
        assert room is not None
        # A socket takes a good 3 600 bytes of slab; what the watermarks keep is left out here.
        assert 0 < room <= free * page / 3600


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
    """A machine with one node of these zones, each with 1 000 blocks of order 3 and 10 of order 10."""
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


def test_a_node_holds_so_many_sockets_as_its_free_blocks_above_the_low_watermark(tmp_path: Path) -> None:
    figures = ledger_of(zoned(tmp_path, "Normal"))
    found = limit(figures.limits, "memory of node 0")
    socket = figures.costs["full"].by_family["mix"].accepted.slab_bytes
    assert socket is not None
    slabs = 1000 + 10 * (1 << 7)
    per_slab = 14  # of TCP on 6.1
    room = min(slabs * per_slab, (18240 - 200) * 4096 / socket)
    assert found.headroom_sockets == pytest.approx(room, abs=per_slab)
    assert (found.scope, found.concerns, found.unit) == ("node", "every socket", "sockets")


@pytest.mark.parametrize("names", [("Movable",), ("Device",), ("Movable", "Device")], ids="+".join)
def test_a_node_that_slabs_cannot_come_from_is_no_wall(tmp_path: Path, names: tuple[str, ...]) -> None:
    capacity = with_limits(snapshot_of(zoned(tmp_path, *names)), LIMITS).limits
    [found] = [each for each in capacity.rows if each.name.startswith("memory")]
    assert (found.name, found.maximum, found.headroom_sockets) == ("memory", None, None)
    assert capacity.missing == ("memory",)
    assert capacity.first is limit(capacity, "file-max")


def test_a_node_that_slabs_cannot_come_from_is_no_wall_beside_one_that_they_can(tmp_path: Path) -> None:
    root = zoned(tmp_path, "Normal")
    zone = ZONE.format(node=1, zone="Movable", free=18240, managed=100_000)
    blocks = "Node 1, zone  Movable " + " 0" * 10 + " 10\n"
    for path, more in (("proc/zoneinfo", zone), ("proc/buddyinfo", blocks)):
        (root / path).write_text((root / path).read_text() + more)
    capacity = ledger_of(root).limits
    assert [each.name for each in capacity.rows if each.name.startswith("memory")] == ["memory of node 0"]
    assert capacity.missing == ()


def test_a_node_without_zones_is_no_wall() -> None:
    figures = ledger("6.1-4n-memoryless", "established")
    assert [node.node for node in figures.nodes if node.zones] == [0, 1, 2]
    assert [each.name for each in figures.limits.rows if each.name.startswith("memory")] == [
        *("memory of node 0", "memory of node 1", "memory of node 2"),
    ]


def test_a_node_without_cpus_serves_others_and_is_no_wall(tmp_path: Path) -> None:
    """As memory that is attached over CXL: nothing is allocated there first."""
    root = copy_recording("6.1-4n", "established", tmp_path)
    (root / "sys/devices/system/node/node2/cpulist").write_text("\n")
    before, after = ledger("6.1-4n", "established").limits, ledger_of(root).limits
    assert [each for each in before.rows if each.name != "memory of node 2"] == list(after.rows)
    assert after.missing == ()


def test_a_node_of_which_no_cpus_are_known_is_a_wall_all_the_same(tmp_path: Path) -> None:
    root = copy_recording("6.1-4n", "established", tmp_path)
    (root / "sys/devices/system/node/node2/cpulist").unlink()
    assert ledger_of(root).limits.rows == ledger("6.1-4n", "established").limits.rows


# Sockets with data.


@pytest.mark.parametrize("units", [0, 1, RESERVES, RESERVES + 1, 16_000, 100_000])
def test_memory_walls_are_nearer_by_what_the_buffers_of_a_socket_take(tmp_path: Path, units: int) -> None:
    """Free blocks hold slabs and buffers in the proportion of now; what may be the counter's error is no buffer."""
    idle = ledger("6.1-4n", "established")
    slab = idle.costs["full"].by_family["mix"].accepted.slab_bytes
    assert slab is not None
    buffers = units * 4096 / 16_000 if units > RESERVES else 0.0
    capacity = account(set_mem(copy_recording("6.1-4n", "established", tmp_path), units, 16_000)).limits
    for node in range(4):
        before, after = (limit(each, f"memory of node {node}").headroom_sockets for each in (idle.limits, capacity))
        assert before is not None
        assert after is not None
        assert after == pytest.approx(before * slab / (slab + buffers), abs=1)
        assert (after < before) == (units > RESERVES)


@pytest.mark.parametrize(("sockets", "known"), [(799, False), (800, True)])
def test_buffers_per_socket_need_100_sockets_for_each_cpu(tmp_path: Path, sockets: int, known: bool) -> None:
    """With fewer, one socket with a full queue would be all of the average. The recording has 8 CPUs."""
    figures = account(set_mem(copy_recording("6.1-4n", "established", tmp_path), 40_000, sockets))
    found = limit(figures.limits, "tcp_mem")
    cost = figures.costs["full"].buffer_bytes_per_socket
    room = limit(figures.limits, "memory of node 0").headroom_sockets
    idle = limit(ledger("6.1-4n", "established").limits, "memory of node 0").headroom_sockets
    assert found.used == 40_000 * 4096
    if known:
        assert cost == pytest.approx(40_000 * 4096 / sockets, abs=0.01)
        assert found.headroom_sockets == pytest.approx((TCP_MEM_MAX - 40_000) * sockets / 40_000, abs=1)
        assert room != idle
    else:
        assert (cost, found.headroom_sockets, room) == (None, None, idle)
        assert found.note
    assert "tcp_mem" not in figures.limits.missing


# What is not known.


def test_where_nothing_can_be_read_no_room_is_known(tmp_path: Path) -> None:
    capacity = ledger_of(write_tree(tmp_path, {})).limits
    assert capacity.first is None
    assert capacity.missing == ("memory", "tcp_mem", "file-max")
    for found in capacity.rows:
        assert (found.used, found.maximum, found.headroom_sockets) == (None, None, None), found.name
        assert found.note, found.name


def test_memory_that_is_not_known_may_be_the_nearer_wall(tmp_path: Path) -> None:
    root = copy_recording("6.1-4n", "established", tmp_path)
    (root / "proc/zoneinfo").unlink()
    capacity = with_limits(snapshot_of(root), LIMITS).limits
    assert capacity.first is limit(capacity, "file-max")
    assert capacity.missing == ("memory of the nodes",)
    assert [each.headroom_sockets for each in capacity.rows if each.scope == "node"] == [None] * 4


def test_the_memory_of_one_node_that_is_not_known_goes_by_its_name(tmp_path: Path) -> None:
    root = copy_recording("6.1-4n", "established", tmp_path)
    buddyinfo = root / "proc/buddyinfo"
    lines = [line for line in buddyinfo.read_text().splitlines(keepends=True) if not line.startswith("Node 2,")]
    buddyinfo.write_text("".join(lines))
    capacity = ledger_of(root).limits
    assert capacity.missing == ("memory of node 2",)
    assert capacity.first is not None
    assert capacity.first.name in {f"memory of node {node}" for node in (0, 1, 3)}


def test_memory_of_which_no_zone_is_known_is_missing_too(tmp_path: Path) -> None:
    root = copy_recording("6.1-4n", "established", tmp_path)
    for name in ("zoneinfo", "buddyinfo", "pagetypeinfo"):
        (root / "proc" / name).unlink()
    capacity = with_limits(snapshot_of(root), LIMITS).limits
    assert capacity.missing == ("memory",)
    assert limit(capacity, "memory").note == "no file tells of the nodes' free memory"
    assert capacity.first is limit(capacity, "file-max")
