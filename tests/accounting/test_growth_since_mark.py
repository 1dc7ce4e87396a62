"""What sockets cost since a mark: measured from what the caches held at it and hold now."""

from __future__ import annotations

from pathlib import Path

import pytest
from recorded import CPUS, PAGE_BYTES, RECORDINGS, copy_recording, counters, ledger, ledger_of, row_of, slab_rows, text

from tcptop.accounting.growth_since_mark import growth_since_mark

LOADED = [kernel for kernel, phases in RECORDINGS.items() if "established" in phases]
ENOUGH_PER_CPU = 100

SOCKETS_OWN = ("TCP", "TCPv6", "sock_inode_cache", "dentry", "filp", "tcp_bind_bucket", "tcp_bind2_bucket")
"""Caches that every connection has an object in, by the names that they have on kernels here."""


def live_bytes(kernel: str, phase: str) -> float:
    """What the active objects of sockets' caches take in full slabs, straight from slabinfo."""
    rows = slab_rows(text(kernel, phase, "proc/slabinfo"))
    names = {row_of(kernel, phase, cache) for cache in SOCKETS_OWN}
    return sum(rows[name].active * rows[name].share(PAGE_BYTES[kernel]) for name in names if name is not None)


@pytest.mark.parametrize("kernel", LOADED)
def test_the_measured_figure_is_what_slabinfo_grew_by(kernel: str) -> None:
    found = growth_since_mark(ledger(kernel, "base"), ledger(kernel, "established"))
    grown = counters(kernel, "established")["alloc"] - counters(kernel, "base")["alloc"]
    assert found.sockets == grown
    assert found.bytes_per_socket is not None
    assert found.live_bytes is not None
    assert found.bytes_per_socket * grown == pytest.approx(found.live_bytes)
    known = (live_bytes(kernel, "established") - live_bytes(kernel, "base")) / grown
    # What modules of security, epoll and queued segments hang on sockets comes on top.
    assert known <= found.bytes_per_socket * 1.001
    assert found.bytes_per_socket <= known * 1.2


@pytest.mark.parametrize("kernel", LOADED)
def test_it_lies_between_the_two_sides_of_the_catalogue(kernel: str) -> None:
    """Half of the sockets of the recordings were accepted, half own their port."""
    found = growth_since_mark(ledger(kernel, "base"), ledger(kernel, "established")).bytes_per_socket
    figure = ledger(kernel, "established").costs["full"].by_family["mix"]
    assert found is not None
    assert figure.accepted.slab_bytes is not None
    most = figure.outgoing.high_slab_bytes
    assert most is not None
    assert figure.accepted.slab_bytes * 0.98 <= found <= most * 1.05


def test_sockets_that_went_are_measured_too() -> None:
    found = growth_since_mark(ledger("6.1-4n", "established"), ledger("6.1-4n", "base"))
    back = growth_since_mark(ledger("6.1-4n", "base"), ledger("6.1-4n", "established"))
    assert found.sockets is not None
    assert found.sockets < 0
    assert found.bytes_per_socket == back.bytes_per_socket


@pytest.mark.parametrize(("more", "known"), [(-1, False), (0, True)])
@pytest.mark.parametrize("sign", [1, -1])
def test_too_few_sockets_measure_nothing(tmp_path: Path, more: int, known: bool, sign: int) -> None:
    """Objects that lie free on CPUs count as active, so that a few sockets would be measured by noise."""
    base = counters("6.1-4n", "base")["alloc"]
    sockets = sign * (ENOUGH_PER_CPU * CPUS["6.1-4n"] + more)
    folder = copy_recording("6.1-4n", "base", tmp_path)
    sockstat = folder / "proc/net/sockstat"
    sockstat.write_text(sockstat.read_text().replace(f"alloc {base} ", f"alloc {base + 1000 + sockets} "))
    mark = copy_recording("6.1-4n", "base", tmp_path / "mark")
    (mark / "proc/net/sockstat").write_text(
        text("6.1-4n", "base", "proc/net/sockstat").replace(f"alloc {base} ", f"alloc {base + 1000} ")
    )
    found = growth_since_mark(ledger_of(mark), ledger_of(folder))
    assert found.sockets == sockets
    assert (found.bytes_per_socket is not None) == known
    assert (found.unknown_because is None) == known


def test_the_same_look_is_no_difference() -> None:
    found = growth_since_mark(ledger("6.1-4n", "established"), ledger("6.1-4n", "established"))
    assert (found.sockets, found.live_bytes, found.bytes_per_socket) == (0, 0, None)
    assert found.unknown_because


@pytest.mark.parametrize("path", ["proc/slabinfo", "proc/net/sockstat"])
@pytest.mark.parametrize("at_the_mark", [True, False])
def test_without_a_file_nothing_is_claimed(tmp_path: Path, path: str, at_the_mark: bool) -> None:
    folder = copy_recording("6.1-4n", "base", tmp_path)
    (folder / path).unlink()
    less, whole = ledger_of(folder), ledger("6.1-4n", "established")
    found = growth_since_mark(less, whole) if at_the_mark else growth_since_mark(whole, less)
    assert (found.sockets, found.live_bytes, found.bytes_per_socket) == (None, None, None)
    assert found.unknown_because
