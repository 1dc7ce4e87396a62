"""Bytes per socket since a mark, computed from the slabinfo at the mark and the present slabinfo."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from recorded import CPUS, PAGE_BYTES, RECORDINGS, copy_recording, counters, ledger, ledger_of, row_of, slab_rows, text

from tcptop.accounting.growth_since_mark import growth_since_mark

LOADED = [kernel for kernel, phases in RECORDINGS.items() if "established" in phases]
ENOUGH_PER_CPU = 100

SOCKETS_OWN = ("TCP", "TCPv6", "sock_inode_cache", "dentry", "filp", "tcp_bind_bucket", "tcp_bind2_bucket")
"""The caches of objects that every connection has, by their names on the recorded kernels."""


def live_bytes(kernel: str, phase: str) -> float:
    """Active objects of these caches × the share of a slab, computed from slabinfo without tcptop."""
    rows = slab_rows(text(kernel, phase, "proc/slabinfo"))
    names = {row_of(kernel, phase, cache) for cache in SOCKETS_OWN}
    return sum(rows[name].active * rows[name].share(PAGE_BYTES[kernel]) for name in names if name is not None)


@pytest.mark.parametrize("kernel", LOADED)
def test_bytes_per_socket_are_the_growth_of_slabinfo(kernel: str) -> None:
    found = growth_since_mark(ledger(kernel, "base"), ledger(kernel, "established"))
    grown = counters(kernel, "established")["alloc"] - counters(kernel, "base")["alloc"]
    assert found.sockets == grown
    assert found.bytes_per_socket is not None
    assert found.live_bytes is not None
    assert found.bytes_per_socket * grown == pytest.approx(found.live_bytes)
    known = (live_bytes(kernel, "established") - live_bytes(kernel, "base")) / grown
    # LSM blobs, epoll entries and queued segments make the measured figure larger.
    assert known <= found.bytes_per_socket * 1.001
    assert found.bytes_per_socket <= known * 1.2


@pytest.mark.parametrize("kernel", LOADED)
def test_bytes_per_socket_lie_between_an_accepted_and_an_outgoing_socket(kernel: str) -> None:
    """Half of the recorded sockets were accepted, and half own their port."""
    found = growth_since_mark(ledger(kernel, "base"), ledger(kernel, "established")).bytes_per_socket
    figure = ledger(kernel, "established").costs["full"].by_family["mix"]
    assert found is not None
    assert figure.accepted.slab_bytes is not None
    most = figure.outgoing.high_slab_bytes
    assert most is not None
    assert figure.accepted.slab_bytes * 0.98 <= found <= most * 1.05


def test_closed_sockets_are_measured_too() -> None:
    found = growth_since_mark(ledger("6.1-4n", "established"), ledger("6.1-4n", "base"))
    back = growth_since_mark(ledger("6.1-4n", "base"), ledger("6.1-4n", "established"))
    assert found.sockets is not None
    assert found.sockets < 0
    assert found.bytes_per_socket == back.bytes_per_socket


@pytest.mark.parametrize(("more", "known"), [(-1, False), (0, True)])
@pytest.mark.parametrize("sign", [1, -1])
def test_too_few_sockets_measure_nothing(tmp_path: Path, more: int, known: bool, sign: int) -> None:
    """Free objects cached per CPU count as active, so the measurement of a few sockets would be noise."""
    base = counters("6.1-4n", "established")["alloc"]
    sockets = sign * (ENOUGH_PER_CPU * CPUS["6.1-4n"] + more)
    folder = copy_recording("6.1-4n", "established", tmp_path)
    sockstat = folder / "proc/net/sockstat"
    sockstat.write_text(sockstat.read_text().replace(f"alloc {base} ", f"alloc {base + 1000 + sockets} "))
    mark = copy_recording("6.1-4n", "established", tmp_path / "mark")
    (mark / "proc/net/sockstat").write_text(
        text("6.1-4n", "established", "proc/net/sockstat").replace(f"alloc {base} ", f"alloc {base + 1000} ")
    )
    found = growth_since_mark(ledger_of(mark), ledger_of(folder))
    assert found.sockets == sockets
    assert (found.bytes_per_socket is not None) == known
    assert (found.unknown_because is None) == known


def test_the_time_since_the_mark_does_not_depend_on_a_clock_that_is_set() -> None:
    base, later = ledger("6.1-4n", "base"), ledger("6.1-4n", "established")
    host = base.host._replace(boot_id="6d6c0b7c-1")
    mark = base._replace(taken_at_unix_s=1e9, boot_clock_s=5000.0, host=host)
    now = later._replace(taken_at_unix_s=1e9 + 3609, boot_clock_s=5009.0, host=host)
    assert growth_since_mark(mark, now).elapsed_s == 9


def test_a_ledger_has_no_growth_since_itself() -> None:
    found = growth_since_mark(ledger("6.1-4n", "established"), ledger("6.1-4n", "established"))
    assert (found.sockets, found.live_bytes, found.bytes_per_socket) == (0, 0, None)
    assert found.unknown_because


@pytest.mark.parametrize("path", ["proc/slabinfo", "proc/net/sockstat"])
@pytest.mark.parametrize("at_the_mark", [True, False])
def test_growth_is_unknown_if_a_file_is_missing(tmp_path: Path, path: str, at_the_mark: bool) -> None:
    folder = copy_recording("6.1-4n", "base", tmp_path)
    (folder / path).unlink()
    less, whole = ledger_of(folder), ledger("6.1-4n", "established")
    found = growth_since_mark(less, whole) if at_the_mark else growth_since_mark(whole, less)
    assert (found.sockets, found.live_bytes, found.bytes_per_socket) == (None, None, None)
    assert found.unknown_because


def others_bytes(kernel: str, before: str, after: str, socket_rows: set[str]) -> float:
    """The changes of active objects × shares of a slab in all other rows, computed from slabinfo without tcptop."""
    sides = [slab_rows(text(kernel, phase, "proc/slabinfo")) for phase in (before, after)]
    bytes_by_row = [{name: row.active * row.share(PAGE_BYTES[kernel]) for name, row in rows.items()} for rows in sides]
    names = (set(bytes_by_row[0]) | set(bytes_by_row[1])) - socket_rows
    return sum(abs(bytes_by_row[1].get(name, 0.0) - bytes_by_row[0].get(name, 0.0)) for name in names)


@pytest.mark.parametrize("kernel", LOADED)
def test_the_error_is_what_the_rows_without_objects_of_sockets_changed(kernel: str) -> None:
    before, after = ledger(kernel, "base"), ledger(kernel, "established")
    found = growth_since_mark(before, after)
    with_sockets = {line.name for one in (before, after) for line in one.caches if line.in_catalogue}
    with_sockets |= {part.row for part in after.tcp_memory.parts if part.row is not None}
    assert found.sockets is not None
    assert found.error_bytes_per_socket is not None
    # The program leaves out the rows of segments' data, which changed little.
    assert found.error_bytes_per_socket <= others_bytes(kernel, "base", "established", with_sockets) / found.sockets
    assert found.is_disturbed == (kernel == "6.18-1n"), "only the machine of 6.18-1n was in use by other programs"


def test_inodes_of_other_programs_disturb_the_measurement(tmp_path: Path) -> None:
    """Each inode that another program opens has a dentry, which is counted like the dentry of a socket."""
    folder = copy_recording("6.1-4n", "established", tmp_path)
    slabinfo = folder / "proc/slabinfo"
    inodes = "ext4_inode_cache 9018 9018 1192 27 8 : tunables 0 0 0 : slabdata 334 334 0"
    text_with_inodes = re.sub("^ext4_inode_cache .*$", inodes, slabinfo.read_text(), flags=re.MULTILINE)
    slabinfo.write_text(text_with_inodes)
    quiet = growth_since_mark(ledger("6.1-4n", "base"), ledger("6.1-4n", "established"))
    found = growth_since_mark(ledger("6.1-4n", "base"), ledger_of(folder))
    assert not quiet.is_disturbed
    assert found.is_disturbed
    assert found.bytes_per_socket == quiet.bytes_per_socket


def test_the_error_is_unknown_without_all_rows(tmp_path: Path) -> None:
    folder = copy_recording("6.1-4n", "established", tmp_path)
    slabinfo = folder / "proc/slabinfo"
    slabinfo.write_text(slabinfo.read_text().rpartition("kmem_cache ")[0])
    found = growth_since_mark(ledger("6.1-4n", "base"), ledger_of(folder))
    assert found.bytes_per_socket is not None
    assert found.error_bytes_per_socket is None
    assert not found.is_disturbed


def test_what_others_took_and_gave_back_meanwhile_stays_in_the_error(tmp_path: Path) -> None:
    """The rows of objects of sockets alone would not show the disturbance."""
    folder = copy_recording("6.1-4n", "established", tmp_path)
    slabinfo = folder / "proc/slabinfo"
    inodes = "ext4_inode_cache 9018 9018 1192 27 8 : tunables 0 0 0 : slabdata 334 334 0"
    slabinfo.write_text(re.sub("^ext4_inode_cache .*$", inodes, slabinfo.read_text(), flags=re.MULTILINE))
    mark, end = ledger("6.1-4n", "base"), ledger("6.1-4n", "established")
    between = growth_since_mark(mark, ledger_of(folder))
    found = growth_since_mark(mark, end, between)
    assert found.error_bytes_per_socket == between.error_bytes_per_socket
    assert found.is_disturbed
    assert not growth_since_mark(mark, end).is_disturbed
