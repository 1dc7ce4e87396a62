"""Cost and number of sockets in each state, compared with the rows of slabinfo and the growth of the rows."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from recorded import (
    RECORDINGS,
    copy_recording,
    each_kernel,
    each_recording,
    ledger,
    ledger_of,
    row_of,
    slab_rows,
    snapshot,
    text,
    write_tree,
)

from tcptop.accounting import account
from tcptop.kernel.objects import State
from tcptop.ledger import Ledger, StateCost
from tcptop.snapshot import Reading, Snmp

SOCK = ("TCP",)
SOCK6 = ("TCPv6",)
WITH_FILE = ("sock_inode_cache", "dentry", "filp", "lsm_file_cache", "lsm_inode_cache")
PORT = ("tcp_bind_bucket", "tcp_bind2_bucket")
REQUEST = ("request_sock_TCP",)
MINI = ("tw_sock_TCP",)
BLOB = ("LSM socket blob",)

HOLDS = {
    "LISTEN": SOCK + BLOB + WITH_FILE,
    "SYN_RECV": REQUEST,
    "accept queue": SOCK + BLOB + REQUEST,
    "ESTABLISHED": SOCK + BLOB + WITH_FILE,
    "CLOSE_WAIT": SOCK + BLOB + WITH_FILE,
    "FIN_WAIT2 (open)": SOCK + BLOB + WITH_FILE,
    "FIN_WAIT2 (closed)": MINI,
    "orphan": SOCK + BLOB,
    "TIME_WAIT": MINI,
}
"""The caches of the objects of one IPv4 socket; a socket that owns its port also has the buckets."""

ONLY_OUTGOING = {"LISTEN"}
ONLY_ACCEPTED = {"SYN_RECV", "accept queue"}

IPV4_ONLY = [
    (kernel, phase)
    for kernel, phases in RECORDINGS.items()
    for phase in phases
    if kernel not in ("6.1-4n-ipv6", "6.18-1n")
]
"""Recordings whose TCPv6 cache is empty."""


def page_bytes(kernel: str) -> int:
    return 16384 if "16k" in kernel else 4096


def share(kernel: str, phase: str, cache: str) -> float:
    """An object's share of a slab, by the row that counts the cache; 0 if the kernel has no such cache."""
    row = blob_row(kernel, phase) if cache in BLOB else row_of(kernel, phase, cache)
    return slab_rows(text(kernel, phase, "proc/slabinfo"))[row].share(page_bytes(kernel)) if row else 0.0


def blob_row(kernel: str, phase: str) -> str | None:
    """The smallest kmalloc cache that can hold AppArmor's 16 or 24 bytes per sock; 6.18-1n runs without AppArmor."""
    if kernel == "6.18-1n":
        return None
    words = text(kernel, phase, "proc/net/sockstat").split()
    sockets = int(words[words.index("alloc") + 1])
    rows = slab_rows(text(kernel, phase, "proc/slabinfo"))
    return next(name for name in ("kmalloc-16", "kmalloc-32") if rows[name].active >= sockets)


def states(figures: Ledger) -> dict[str, StateCost]:
    return {state.state: state for state in figures.states}


def known(value: float | None) -> float:
    assert value is not None
    return value


def slab_cost(state: StateCost) -> float:
    """Slab bytes of an accepted socket, or of an outgoing one if there is no accepted one."""
    side = state.accepted or state.outgoing
    assert side is not None
    return known(side.slab_bytes)


def test_every_state_of_the_catalogue_has_one_row() -> None:
    for figures in (ledger("6.1-4n", "base"), ledger("7.3-4n", "timewait")):
        assert [state.state for state in figures.states] == list(HOLDS)
        assert set(HOLDS) == {state.value for state in State}


@pytest.mark.parametrize(("kernel", "phase"), IPV4_ONLY, ids=lambda value: value)
def test_a_state_costs_the_shares_of_its_objects(kernel: str, phase: str) -> None:
    assert slab_rows(text(kernel, phase, "proc/slabinfo"))["TCPv6"].active == 0
    port = sum(share(kernel, phase, cache) for cache in PORT)
    assert port >= 64
    for name, state in states(ledger(kernel, phase)).items():
        held = sum(share(kernel, phase, cache) for cache in HOLDS[name])
        rounding = 0.01 * len(HOLDS[name])
        if state.accepted is not None:
            assert state.accepted.slab_bytes == pytest.approx(held, abs=rounding), name
            assert state.accepted.complete, name
        if state.outgoing is not None:
            assert state.outgoing.slab_bytes == pytest.approx(held + port, abs=rounding + 0.02), name
            assert state.outgoing.complete, name


@pytest.mark.parametrize("phase", ["established", "timewait"])
def test_ipv6_sockets_cost_the_shares_of_their_own_caches(phase: str) -> None:
    """All sockets are IPv6, although the row TCP has 14 active objects: sockstat leaves none for IPv4."""
    kernel = "6.1-4n-ipv6"
    part = dict.fromkeys(("TCP", "tw_sock_TCP", "request_sock_TCP"), 0.0)
    other = {"TCP": "TCPv6", "tw_sock_TCP": "tw_sock_TCPv6", "request_sock_TCP": "request_sock_TCPv6"}
    for name, state in states(ledger(kernel, phase)).items():
        caches = [*HOLDS[name], *(other[cache] for cache in HOLDS[name] if cache in other)]
        held = sum(part.get(cache, 1.0) * share(kernel, phase, cache) for cache in caches)
        if state.accepted is not None:
            assert state.accepted.slab_bytes == pytest.approx(held, abs=0.01 * len(caches)), name


@each_recording
def test_states_of_one_side_have_no_cost_on_the_other(kernel: str, phase: str) -> None:
    for name, state in states(ledger(kernel, phase)).items():
        assert (state.accepted is None) == (name in ONLY_OUTGOING)
        assert (state.outgoing is None) == (name in ONLY_ACCEPTED)


@each_recording
def test_states_with_whole_sockets_cost_the_same_as_the_connection(kernel: str, phase: str) -> None:
    figures = ledger(kernel, phase)
    of = states(figures)
    full, small = figures.costs["full"].by_family["mix"], figures.costs["time_wait"].by_family["mix"]
    for name in ("ESTABLISHED", "CLOSE_WAIT", "FIN_WAIT2 (open)"):
        assert (of[name].accepted, of[name].outgoing) == (full.accepted, full.outgoing)
    assert of["LISTEN"].outgoing == full.outgoing
    for name in ("FIN_WAIT2 (closed)", "TIME_WAIT"):
        assert (of[name].accepted, of[name].outgoing) == (small.accepted, small.outgoing)


def test_the_cost_of_a_socket_in_an_accept_queue_is_the_growth_of_the_rows() -> None:
    """8 000 clients, and as many server sockets without a file but with a request sock."""
    kernel, page = "6.1-4n", 4096
    before, after = (slab_rows(text(kernel, phase, "proc/slabinfo")) for phase in ("base", "unaccepted"))
    accepted = slab_cost(states(ledger(kernel, "unaccepted"))["accept queue"])
    client = known(states(ledger(kernel, "unaccepted"))["ESTABLISHED"].outgoing.slab_bytes)  # type: ignore[union-attr] # has both
    rows = {row_of(kernel, "base", cache) for cache in (*SOCK, *WITH_FILE, *REQUEST, *PORT, "kmalloc-16")}
    grown = sum((after[row].slabs - before[row].slabs) * page * before[row].pages for row in rows if row is not None)
    assert 8000 * (accepted + client) == pytest.approx(grown, rel=0.02)


def test_the_cost_of_a_socket_in_close_wait_is_the_growth_of_the_rows() -> None:
    """8 000 sockets in CLOSE_WAIT with an unread FIN, 8 000 mini-sockets that own their ports, and a listener."""
    kernel, page = "6.1-4n", 4096
    before, after = (slab_rows(text(kernel, phase, "proc/slabinfo")) for phase in ("base", "halfclosed"))
    of = states(ledger(kernel, "halfclosed"))
    mini = known(of["FIN_WAIT2 (closed)"].outgoing.slab_bytes)  # type: ignore[union-attr] # has both
    pair = slab_cost(of["CLOSE_WAIT"]) + known(of["CLOSE_WAIT"].unread_fin_bytes) + mini
    caches = (*SOCK, *WITH_FILE, *MINI, *PORT, "kmalloc-16", "kmalloc-1k", "skbuff_fclone_cache")
    rows = {row_of(kernel, "base", cache) for cache in caches}
    # Objects, not slabs: the slabs of the closed half remain.
    grown = sum((after[row].active - before[row].active) * before[row].share(page) for row in rows if row is not None)
    # Free objects cached per CPU count as active, so the rows grew by a little more.
    assert 0.96 * grown <= 8000 * pair <= grown


def fin_rows(kernel: str, phase: str) -> tuple[str, str]:
    """The rows of a sender's clone and of its linear data: skbuff_small_head, or the kmalloc cache for 640 bytes."""
    clone = row_of(kernel, phase, "skbuff_fclone_cache")
    head = row_of(kernel, phase, "skbuff_small_head") or "kmalloc-1k"
    assert clone is not None
    return clone, head


@each_recording
def test_an_unread_fin_is_a_clone_and_its_linear_data(kernel: str, phase: str) -> None:
    rows = slab_rows(text(kernel, phase, "proc/slabinfo"))
    held = sum(rows[row].share(page_bytes(kernel)) for row in fin_rows(kernel, phase))
    for name, state in states(ledger(kernel, phase)).items():
        if name == "CLOSE_WAIT":
            assert state.unread_fin_bytes == pytest.approx(held, abs=0.02)
        else:
            assert state.unread_fin_bytes is None, name


def test_8000_unread_fins_are_the_growth_of_their_rows() -> None:
    kernel, page = "6.1-4n", 4096
    before, after = (slab_rows(text(kernel, phase, "proc/slabinfo")) for phase in ("established", "halfclosed"))
    assert fin_rows(kernel, "halfclosed") == (row_of(kernel, "halfclosed", "skbuff_fclone_cache"), "kmalloc-1k")
    grown = sum(
        (after[row].active - before[row].active) * after[row].share(page) for row in fin_rows(kernel, "halfclosed")
    )
    figure = known(states(ledger(kernel, "halfclosed"))["CLOSE_WAIT"].unread_fin_bytes)
    assert 0.97 * grown <= 8000 * figure <= grown


@each_kernel
def test_kernels_since_6_3_have_a_cache_for_linear_data(kernel: str) -> None:
    release = text(kernel, "base", "proc/sys/kernel/osrelease")
    has = tuple(int(number) for number in release.split(".")[:2]) >= (6, 3)
    assert (row_of(kernel, "base", "skbuff_small_head") is not None) == has


def counter(kernel: str, phase: str, name: str) -> int:
    words = next(line for line in text(kernel, phase, "proc/net/sockstat").splitlines() if line[:4] == "TCP:").split()
    return int(words[words.index(name) + 1])


@each_recording
def test_counts_are_those_of_the_files_with_their_scope(kernel: str, phase: str) -> None:
    of = states(ledger(kernel, phase))
    rows = slab_rows(text(kernel, phase, "proc/slabinfo"))
    requests = rows["request_sock_TCP"].active + rows["request_sock_TCPv6"].active
    for name in ("SYN_RECV", "accept queue"):
        assert (of[name].count, of[name].scope, of[name].count_is_upper_bound) == (requests, "machine", True)
    assert (of["TIME_WAIT"].count, of["TIME_WAIT"].scope) == (counter(kernel, phase, "tw"), "here")
    assert not of["TIME_WAIT"].count_is_upper_bound
    minis = rows["tw_sock_TCP"].active + rows["tw_sock_TCPv6"].active
    assert of["TIME_WAIT"].note.endswith(f"machine {'≤ ' if minis else ''}{minis:,}".replace(",", " "))
    assert (of["orphan"].count, of["orphan"].scope) == (counter(kernel, phase, "orphan"), "machine")


def test_8000_sockets_in_accept_queues_are_within_the_count() -> None:
    state = states(ledger("6.1-4n", "unaccepted"))["accept queue"]
    assert 8000 <= known(state.count) <= 8200
    assert known(states(ledger("6.1-4n", "established"))["accept queue"].count) < 700


@each_recording
def test_a_state_without_a_count_says_why(kernel: str, phase: str) -> None:
    of = states(ledger(kernel, phase))
    for name in ("LISTEN", "CLOSE_WAIT", "FIN_WAIT2 (open)"):
        assert of[name].count is None
        assert of[name].note.endswith("(this saved tree has no list of them; tcptop record --who keeps one)")
    assert of["FIN_WAIT2 (closed)"].count is None
    assert "TIME_WAIT" in of["FIN_WAIT2 (closed)"].note
    for state in of.values():
        assert state.count is not None or (state.scope is None or state.note), state.state


def reading(value: Snmp | None, state: str = "ok") -> Reading[Snmp]:
    return Reading(state, value, None if state == "ok" else "why", 0.0, 1, None, None, None)  # type: ignore[arg-type] # a state


def test_established_is_counted_by_snmp_in_this_namespace() -> None:
    told = account(snapshot("6.1-4n", "established")._replace(snmp=reading(Snmp(16000))))
    state = states(told)["ESTABLISHED"]
    assert (state.count, state.scope, state.count_is_upper_bound) == (16000, "here", False)
    assert "CurrEstab" in state.note
    assert "CLOSE_WAIT" in state.note
    untold = account(snapshot("6.1-4n", "established")._replace(snmp=reading(None, "missing")))
    assert states(untold)["ESTABLISHED"].count is None
    assert "snmp" in states(untold)["ESTABLISHED"].note
    none = account(snapshot("6.1-4n", "established")._replace(snmp=reading(Snmp(0))))
    assert states(none)["ESTABLISHED"].count == 0


def test_without_slabinfo_counts_are_unknown_and_not_zero(tmp_path: Path) -> None:
    root = copy_recording("6.1-4n", "unaccepted", tmp_path)
    (root / "proc/slabinfo").unlink()
    for name, state in states(ledger_of(root)).items():
        if name in ONLY_ACCEPTED:
            assert state.count is None, name
            assert "slabinfo" in state.note
    time_wait = states(ledger_of(root))["TIME_WAIT"]
    assert time_wait.count == 0
    assert "machine" not in time_wait.note


def test_without_sockstat_counts_are_unknown_and_not_zero(tmp_path: Path) -> None:
    root = copy_recording("6.1-4n", "timewait", tmp_path)
    (root / "proc/net/sockstat").unlink()
    of = states(ledger_of(root))
    for name in ("orphan", "TIME_WAIT"):
        assert of[name].count is None
        assert "sockstat" in of[name].note


def test_everything_is_unknown_and_not_zero_if_nothing_is_readable(tmp_path: Path) -> None:
    for name, state in states(ledger_of(write_tree(tmp_path, {}))).items():
        assert state.count is None, name
        assert state.unread_fin_bytes is None
        for side in (state.accepted, state.outgoing):
            if side is not None:
                assert side.slab_bytes is None, name
                assert side.missing, name


def test_an_unread_fin_is_unknown_if_one_of_its_parts_is(tmp_path: Path) -> None:
    for gone in (r"pool_workqueue|skbuff_fclone_cache", r"kmalloc-\d+k?"):
        root = copy_recording("6.1-4n", "halfclosed", tmp_path / gone[:4])
        slabinfo = root / "proc/slabinfo"
        slabinfo.write_text(re.sub(rf"^({gone}) .*\n", "", slabinfo.read_text(), flags=re.MULTILINE))
        fclone = row_of("6.1-4n", "halfclosed", "skbuff_fclone_cache")
        assert fclone is not None
        if gone.startswith("pool"):
            slabinfo.write_text(re.sub(rf"^{fclone} .*\n", "", slabinfo.read_text(), flags=re.MULTILINE))
            group = root / "sys/kernel/slab/skbuff_fclone_cache"
            for link in [
                path for path in group.parent.iterdir() if path.is_symlink() and path.readlink() == group.readlink()
            ]:
                link.unlink()
        assert states(ledger_of(root))["CLOSE_WAIT"].unread_fin_bytes is None, gone
