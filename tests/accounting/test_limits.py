"""Limits on sockets and their headroom, from files whose figures can be worked out by hand."""

from __future__ import annotations

from math import ceil
from pathlib import Path

import pytest
from recorded import (
    RECORDINGS,
    copy_recording,
    each_recording,
    ledger,
    ledger_of,
    release_files,
    snapshot,
    snapshot_of,
    text,
    write_buffers,
    write_tree,
)

from tcptop.accounting import account
from tcptop.accounting.limits import limit_state
from tcptop.ledger import Ledger, Limit, Limits, LimitState, Threshold
from tcptop.snapshot import Reading, Snapshot, SocketLimits

LONG_MAX = (1 << 63) - 1
"""The default fs.file-max of 64-bit kernels since about 5.2."""

LIMITS = SocketLimits(
    open_files=21_200,
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
    lines.append(f"TCP: inuse {sockets} orphan 0 tw 0 alloc {sockets} mem 0")
    sockstat.write_text("\n".join(lines) + "\n")
    write_buffers(root, units)
    (root / "proc/net/snmp").unlink(missing_ok=True)  # it shows 16 000 established sockets
    return snapshot_of(root)


TCP_MEM_MAX = int(text("6.1-4n", "established", "proc/sys/net/ipv4/tcp_mem").split()[2])
RESERVES = 8 * 256
"""The error of the average in pages: each of the 8 CPUs may hold 256 uncounted pages (mem_pcpu_rsv)."""


def test_the_recording_has_the_reserve_that_these_tests_assume() -> None:
    assert text("6.1-4n", "established", "proc/sys/net/core/mem_pcpu_rsv").strip() == "256"
    assert text("6.1-4n", "established", "sys/devices/system/cpu/online").strip() == "0-7"


@pytest.mark.parametrize("units", [RESERVES + 1, 4 * RESERVES, 16_000, 100_000])
def test_headroom_of_tcp_mem_assumes_the_present_buffers_per_socket(tmp_path: Path, units: int) -> None:
    of = set_mem(copy_recording("6.1-4n", "established", tmp_path), units, 16_000)
    found = limit(account(of).limits["full"], "tcp_mem")
    most = units + RESERVES
    assert found.headroom_is_at_least
    assert found.headroom_sockets == (TCP_MEM_MAX - units) * 16_000 // most
    assert (found.used, found.maximum, found.unit) == (units * 4096, TCP_MEM_MAX * 4096, "bytes")
    assert (found.concerns, found.scope) == ("every socket", "machine")
    assert f"at {ceil(most * 4096 / 16_000):,} B of buffers".replace(",", " ") in found.note


def test_headroom_of_tcp_mem_without_an_error_of_the_counter_is_exact(tmp_path: Path) -> None:
    """Kernels before 6.0 have no reserves of CPUs."""
    units = 16_000
    of = set_mem(copy_recording("5.10-4n", "established", tmp_path), units, 16_000)
    found = limit(account(of).limits["full"], "tcp_mem")
    assert not found.headroom_is_at_least
    assert found.maximum is not None
    assert found.headroom_sockets == (found.maximum - units * 4096) // 4096


@pytest.mark.parametrize("units", [0, 1, RESERVES])
def test_headroom_of_tcp_mem_is_unknown_if_the_counter_is_within_its_error(tmp_path: Path, units: int) -> None:
    of = set_mem(copy_recording("6.1-4n", "established", tmp_path), units, 16_000)
    found = limit(account(of).limits["full"], "tcp_mem")
    assert found.headroom_sockets is None
    assert (found.used, found.maximum) == (units * 4096, TCP_MEM_MAX * 4096)
    assert found.used_error == 0
    assert found.note == "average not known: counter ± 8.0 MiB"


@pytest.mark.parametrize("excess", [0, 1, 5])
@pytest.mark.parametrize("sockets", [100, 16_000])
def test_a_full_tcp_mem_has_no_headroom(tmp_path: Path, excess: int, sockets: int) -> None:
    """The kernel compares the counter of sockstat without the reserves of the CPUs (sk_memory_allocated)."""
    of = set_mem(copy_recording("6.1-4n", "established", tmp_path), TCP_MEM_MAX + excess, sockets)
    limits = account(of).limits["full"]
    found = limit(limits, "tcp_mem")
    assert (found.headroom_sockets, found.headroom_is_at_least, found.state) == (0, False, "full")
    assert limits.first is found


def test_a_tcp_mem_below_the_error_of_its_counter_can_be_full(tmp_path: Path) -> None:
    root = copy_recording("6.1-4n", "established", tmp_path)
    write_tree(root, {"proc/sys/net/ipv4/tcp_mem": "500\t800\t1000\n"})
    for units, state, fits in ((1001, "full", 0), (960, "full", None), (820, "near", None), (790, "ok", None)):
        found = limit(account(set_mem(root, units, 16_000)).limits["full"], "tcp_mem")
        assert (found.state, found.headroom_sockets, found.at_most_used) == (state, fits, None), units


def test_with_an_exact_counter_idle_sockets_are_charged_nothing(tmp_path: Path) -> None:
    """Before 6.0 the counter `mem` is exact."""
    root = copy_recording("5.10-4n", "established", tmp_path)
    idle = limit(account(set_mem(root, 0, 16_000)).limits["full"], "tcp_mem")
    assert (idle.used, idle.headroom_sockets) == (0, None)
    assert idle.note == "sockets have no buffers now"
    most = int(text("5.10-4n", "established", "proc/sys/net/ipv4/tcp_mem").split()[2])
    some = limit(account(set_mem(root, 16_000, 16_000)).limits["full"], "tcp_mem")
    assert some.headroom_sockets == most - 16_000


def test_an_unreadable_tcp_mem_is_missing(tmp_path: Path) -> None:
    root = copy_recording("6.1-4n", "established", tmp_path)
    (root / "proc/sys/net/ipv4/tcp_mem").unlink()
    limits = ledger_of(root).limits["full"]
    found = limit(limits, "tcp_mem")
    assert (found.maximum, found.headroom_sockets, found.state) == (None, None, "unknown")
    assert found.note


def test_headroom_of_tcp_mem_is_unknown_without_sockstat(tmp_path: Path) -> None:
    root = copy_recording("6.1-4n", "established", tmp_path)
    (root / "proc/net/sockstat").unlink()
    found = limit(ledger_of(root).limits["full"], "tcp_mem")
    assert (found.used, found.headroom_sockets) == (None, None)


def test_open_files_are_limited_by_file_max() -> None:
    found = limit(with_limits(snapshot("6.1-4n", "established"), LIMITS).limits["full"], "file_max")
    assert (found.used, found.maximum, found.headroom_sockets) == (21_200, 100_000, 78_800)
    assert (found.unit, found.scope, found.concerns) == ("files", "machine", "every socket")


def test_more_open_files_than_file_max_leave_no_headroom() -> None:
    """Root may exceed file-max (fs/file_table.c, alloc_empty_file)."""
    over = LIMITS._replace(max_open_files=21_193)
    assert limit(with_limits(snapshot("6.1-4n", "established"), over).limits["full"], "file_max").headroom_sockets == 0


@pytest.mark.parametrize("most", [LONG_MAX, 1 << 62])
@pytest.mark.parametrize("used", [21_200, None])
def test_the_default_file_max_is_no_limit(most: int, used: int | None) -> None:
    unbounded = LIMITS._replace(open_files=used, max_open_files=most, max_conntrack_entries=None)
    limits = with_limits(snapshot("6.1-4n", "established"), unbounded).limits["full"]
    assert not [each for each in limits.rows if each.name == "file_max"]
    first = limits.first
    assert first is not None
    assert first.name == "memory"


def test_any_lower_file_max_is_a_limit() -> None:
    far = LIMITS._replace(max_open_files=(1 << 62) - 1)
    found = limit(with_limits(snapshot("6.1-4n", "established"), far).limits["full"], "file_max")
    assert found.headroom_sockets == (1 << 62) - 1 - 21_200


@pytest.mark.parametrize(
    "socket_limits", [LIMITS._replace(max_open_files=None), LIMITS._replace(open_files=None), None]
)
def test_an_unreadable_file_max_is_missing(socket_limits: SocketLimits | None) -> None:
    of = snapshot("6.1-4n", "established")
    figures = without_limits(of) if socket_limits is None else with_limits(of, socket_limits)
    found = limit(figures.limits["full"], "file_max")
    assert (found.headroom_sockets, found.state) == (None, "unknown")


@pytest.mark.parametrize(
    ("name", "concerns", "used", "most", "headroom", "unit", "scope"),
    [
        ("ports", "outgoing", None, 28_232, None, "ports", "here"),
        ("tcp_max_tw_buckets", "TIME_WAIT", 8_000, 16_384, None, "sockets", "here"),
        ("tcp_max_orphans", "orphans", 0, 32_768, 8_192, "sockets", "machine"),
        ("nf_conntrack_max", "tracked flows", 250, 65_536, 65_286, "flows", "here"),
    ],
)
def test_limits_of_some_sockets(
    name: str, concerns: str, used: int | None, most: int, headroom: int, unit: str, scope: str
) -> None:
    """The recording has 8 000 sockets in TIME_WAIT and no orphan."""
    found = limit(with_limits(snapshot("6.1-4n", "timewait"), LIMITS).limits["full"], name)
    assert (found.concerns, found.unit, found.scope) == (concerns, unit, scope)
    assert (found.used, found.maximum, found.headroom_sockets) == (used, most, headroom)
    assert found.note


def test_limits_of_some_sockets_that_are_reached() -> None:
    tight = LIMITS._replace(max_time_wait=100, conntrack_entries=70_000, local_ports=(1024, 1024))
    limits = with_limits(snapshot("6.1-4n", "timewait"), tight).limits["full"]
    assert limit(limits, "nf_conntrack_max").headroom_sockets == 0
    assert limit(limits, "ports").maximum == 1
    figures = with_limits(snapshot("6.1-4n", "timewait"), tight)
    mini_sockets = limit(figures.limits["time_wait"], "tcp_max_tw_buckets")
    assert (mini_sockets.headroom_sockets, mini_sockets.state) == (0, "full")


def test_conntrack_is_no_limit_if_it_is_not_loaded() -> None:
    none = LIMITS._replace(conntrack_entries=None, max_conntrack_entries=None)
    names = [each.name for each in with_limits(snapshot("6.1-4n", "established"), none).limits["full"].rows]
    assert "nf_conntrack_max" not in names
    assert "ports" in names


def test_unreadable_limits_of_some_sockets_are_unknown_and_not_zero() -> None:
    limits = without_limits(snapshot("6.1-4n", "established")).limits["full"]
    for name in ("ports", "tcp_max_tw_buckets", "tcp_max_orphans"):
        found = limit(limits, name)
        assert (found.maximum, found.headroom_sockets) == (None, None)
        assert found.state == "unknown"
    assert "nf_conntrack_max" not in [each.name for each in limits.rows]


@pytest.mark.parametrize("kernel", [kernel for kernel in RECORDINGS if kernel != "6.18-1n"])
def test_limits_of_files_and_ports_are_those_of_the_recorded_files(kernel: str) -> None:
    limits = ledger(kernel, "established").limits["full"]
    used, _, most = map(int, text(kernel, "established", "proc/sys/fs/file-nr").split())
    found = limit(limits, "file_max")
    assert (found.used, found.maximum, found.headroom_sockets) == (used, most, most - used)
    least, last = map(int, text(kernel, "established", "proc/sys/net/ipv4/ip_local_port_range").split())
    assert limit(limits, "ports").maximum == last - least + 1


# Sockets with data.


@pytest.mark.parametrize(("sockets", "known"), [(799, False), (800, True)])
def test_buffers_per_socket_need_100_sockets_per_cpu(tmp_path: Path, sockets: int, known: bool) -> None:
    """With fewer sockets, one socket with a full queue would dominate the average. The recording has 8 CPUs."""
    figures = account(set_mem(copy_recording("6.1-4n", "established", tmp_path), 40_000, sockets))
    found = limit(figures.limits["full"], "tcp_mem")
    cost = figures.costs["full"].buffer_bytes_per_socket
    assert found.used == 40_000 * 4096
    if known:
        assert cost == pytest.approx(40_000 * 4096 / sockets, abs=0.01)
        most = 40_000 + RESERVES
        assert found.headroom_sockets == (TCP_MEM_MAX - 40_000) * sockets // most
    else:
        assert (cost, found.headroom_sockets) == (None, None)
        assert found.note


# States.


def state_of(
    percent: float, error_percent: float = 0.0, previous: LimitState = "ok", pressed: bool = False
) -> LimitState:
    """The state of a limit of 1 000 000 that warns at 80 % and is critical at 95 %."""
    row = Limit(
        name="tcp_mem",
        concerns="every socket",
        scope="machine",
        unit="pages",
        used=round(percent * 10_000),
        used_error=round(error_percent * 10_000),
        maximum=1_000_000,
        headroom_sockets=None,
        threshold=Threshold(80, 95),
        state="unknown",
        then="",
        note="",
    )
    return limit_state(row, pressed, previous)


@pytest.mark.parametrize(
    ("percent", "state"), [(0, "ok"), (79.9, "ok"), (80, "near"), (94.9, "near"), (95, "full"), (130, "full")]
)
def test_a_state_begins_at_its_threshold(percent: float, state: LimitState) -> None:
    assert state_of(percent) == state


@pytest.mark.parametrize(
    ("percent", "previous", "state"),
    [(75, "near", "near"), (74.9, "near", "ok"), (90, "full", "full"), (89.9, "full", "near"), (74.9, "full", "ok")],
)
def test_a_state_ends_five_points_below_its_threshold(percent: float, previous: LimitState, state: LimitState) -> None:
    assert state_of(percent, previous=previous) == state


@pytest.mark.parametrize(
    ("percent", "error", "state"), [(85, 6, "unknown"), (85, 4, "near"), (97, 3, "near"), (60, 30, "ok")]
)
def test_a_use_that_cannot_be_told_from_its_error_is_no_alarm(percent: float, error: float, state: LimitState) -> None:
    assert state_of(percent, error) == state


def test_the_kernels_own_word_of_pressure_is_an_alarm_below_the_threshold() -> None:
    assert state_of(50, pressed=True) == "pressure"
    assert state_of(85, pressed=True) == "pressure"
    assert state_of(96, pressed=True) == "full"


def test_the_pressure_of_net_protocols_is_shown(tmp_path: Path) -> None:
    root = copy_recording("6.1-4n", "established", tmp_path)
    protocols = root / "proc/net/protocols"
    lines = protocols.read_text().splitlines(keepends=True)
    changed = [line.replace("   no  ", "   yes ", 1) if line.startswith("TCP ") else line for line in lines]
    assert changed != lines
    protocols.write_text("".join(changed))
    limits = ledger_of(root).limits["full"]
    assert [each.name for each in limits.alarms] == ["tcp_mem"]
    assert limit(limits, "tcp_mem").state == "pressure"
    assert limits.rows[0].name == "tcp_mem"


@pytest.mark.parametrize(
    ("changes", "name", "state"),
    [
        ({"conntrack_entries": 62_260}, "nf_conntrack_max", "full"),
        ({"conntrack_entries": 55_000}, "nf_conntrack_max", "near"),
        ({"open_files": 900, "max_open_files": 600}, "file_max", "full"),
        ({"max_time_wait": 9_000}, "tcp_max_tw_buckets", "near"),
    ],
)
def test_a_limit_that_is_near_is_an_alarm_and_comes_first(changes: dict[str, int], name: str, state: str) -> None:
    figures = with_limits(snapshot("6.1-4n", "timewait"), LIMITS._replace(**changes))  # type: ignore[arg-type] # ints only
    limits = figures.limits["full"]
    assert [(each.name, each.state) for each in limits.alarms] == [(name, state)]
    if name == "tcp_max_tw_buckets":  # it stops no new socket
        names = [row.name for row in limits.rows if row.stops_new_sockets or row.name == name]
        assert names[1] == name
        assert names[0] == limits.first.name if limits.first else False
        return
    assert limits.rows[0].name == name


def test_orphans_are_near_at_a_quarter_and_full_at_half_of_the_limit(tmp_path: Path) -> None:
    root = copy_recording("6.1-4n", "established", tmp_path)
    sockstat = root / "proc/net/sockstat"
    sockstat.write_text("TCP: inuse 60 orphan 60 tw 0 alloc 70 mem 3\n")
    (root / "proc/net/protocols").unlink()
    for most, state in ((64, "full"), (200, "near"), (250, "ok")):
        (root / "proc/sys/net/ipv4/tcp_max_orphans").write_text(f"{most}\n")
        assert limit(ledger_of(root).limits["full"], "tcp_max_orphans").state == state
    assert ledger_of(root).sockets.apart == 0


def test_conntrack_competes_only_where_flows_are_tracked() -> None:
    of = snapshot("6.1-4n", "established")
    idle = with_limits(of, LIMITS._replace(conntrack_entries=0, max_conntrack_entries=100)).limits["full"]
    assert limit(idle, "nf_conntrack_max").headroom_sockets is None
    near = with_limits(of, LIMITS._replace(conntrack_entries=10, max_conntrack_entries=100)).limits["full"]
    assert near.first is limit(near, "nf_conntrack_max")
    none = with_limits(of, LIMITS._replace(max_conntrack_entries=0)).limits["full"]
    assert "nf_conntrack_max" not in [each.name for each in none.rows]


def test_a_second_network_namespace_does_not_show_limits_of_the_machine(tmp_path: Path) -> None:
    root = copy_recording("6.1-4n", "established", tmp_path)
    for name in ("tcp_mem", "tcp_max_orphans"):
        (root / "proc/sys/net/ipv4" / name).unlink()
    limits = ledger_of(root).limits["full"]
    for name in ("tcp_mem", "tcp_max_orphans"):
        assert limit(limits, name).note == "not visible from this network namespace"


RANGE = (32_768, 60_999)


@pytest.mark.parametrize(
    ("reserved", "left"),
    [
        ((), 28_232),
        (((8080, 8080),), 28_232),
        (((32_768, 60_900),), 99),
        (((1, 32_768), (40_000, 40_009), (60_999, 65_535)), 28_232 - 12),
        (((1, 65_535),), 0),
    ],
)
def test_reserved_ports_do_not_count(reserved: tuple[tuple[int, int], ...], left: int) -> None:
    files = LIMITS._replace(local_ports=RANGE, reserved_ports=reserved)
    found = limit(with_limits(snapshot("6.1-4n", "established"), files).limits["full"], "ports")
    assert (found.maximum, found.maximum_is_at_most) == (left, False)


def test_without_the_reserved_ports_the_limit_is_an_upper_bound() -> None:
    found = limit(with_limits(snapshot("6.1-4n", "established"), LIMITS).limits["full"], "ports")
    assert (found.maximum, found.maximum_is_at_most) == (28_232, True)
    assert found._replace(used=28_000, used_is_at_most=True, used_error=0).ratio is None


QUANTA = "5.15.0-105-generic-64k"
"""A kernel on which sockstat's `mem` is in units of 4096 bytes, and tcp_mem in pages."""


def large_pages(path: Path, release: str, units: int = 40_000) -> Path:
    """A machine of 6 GiB with pages of 16 KiB and its default tcp_mem."""
    root = copy_recording("6.12-arm64-16k-4n", "established", path)
    (root / "proc/sys/net/core/mem_pcpu_rsv").unlink()
    write_tree(root, {**release_files(release), "proc/sys/net/ipv4/tcp_mem": "16662\t22217\t33324\n"})
    return write_buffers(root, units)


@pytest.mark.parametrize(
    ("release", "unit", "state"), [("4.8.15", 16384, "full"), (QUANTA, 4096, "ok"), ("6.0.0", 16384, "full")]
)
def test_the_use_and_the_maximum_of_tcp_mem_have_units_of_their_own(
    release: str, unit: int, state: str, tmp_path: Path
) -> None:
    found = limit(ledger_of(large_pages(tmp_path, release)).limits["full"], "tcp_mem")
    assert (found.used, found.maximum, found.unit) == (40_000 * unit, 33_324 * 16384, "bytes")
    assert found.state == state
    assert not found.used_is_at_most


@pytest.mark.parametrize(("units", "state"), [(20_000, "ok"), (40_000, "unknown")])
def test_a_page_is_an_upper_bound_on_the_unit_of_buffers_of_a_vendors_kernel(
    units: int, state: str, tmp_path: Path
) -> None:
    root = large_pages(tmp_path, "5.14.0-503.11.1.el9_5.aarch64", units)
    found = limit(ledger_of(root).limits["full"], "tcp_mem")
    assert (found.used, found.used_error, found.used_is_at_most) == (units * 16384, 0, True)
    assert (found.maximum, found.state) == (33_324 * 16384, state)
    assert found.note == "headroom not known: the unit of mem, 4096 bytes or a page, is not known of this kernel"


@pytest.mark.parametrize("reserve", ["64\n", None])
def test_without_a_release_the_sysctl_of_reserves_tells_the_unit(reserve: str | None, tmp_path: Path) -> None:
    root = large_pages(tmp_path, "")
    if reserve is not None:
        write_tree(root, {"proc/sys/net/core/mem_pcpu_rsv": reserve})
    found = limit(ledger_of(root).limits["full"], "tcp_mem")
    assert (found.used, found.used_is_at_most) == (40_000 * 16384, reserve is None)
    assert ("the release of the kernel is not known" in found.note) is (reserve is None)


def test_rows_that_need_a_dump_say_so() -> None:
    limits = ledger("6.1-4n", "established").limits["full"]
    for name in ("ports", "nofile", "listen_queues"):
        assert limit(limits, name).used is None
        assert "look at the sockets" in limit(limits, name).note


@each_recording
def test_mini_sockets_have_neither_files_nor_buffers(kernel: str, phase: str) -> None:
    limits = ledger(kernel, phase).limits["time_wait"]
    for name in ("file_max", "tcp_mem"):
        found = [each for each in limits.rows if each.name == name]
        assert all(each.headroom_sockets is None for each in found)
    assert (limit(limits, "tcp_max_tw_buckets").headroom_sockets is None) == (kernel == "6.18-1n")
