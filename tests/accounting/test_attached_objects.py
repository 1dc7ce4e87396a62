"""Epoll items, tracked flows and buffers: the recordings have edited counts, and the expected bytes are computed by
hand.
"""

from __future__ import annotations

import json
import re
import shutil
from math import inf
from pathlib import Path

import pytest
from recorded import (
    CPUS,
    PAGE_BYTES,
    copy_recording,
    counters,
    each_recording,
    ledger,
    ledger_of,
    set_row,
    slab_rows,
    text,
)

from tcptop.explanation.attached_page import attached_sentence
from tcptop.ledger import AttachedObjects, Ledger
from tcptop.report.as_json import as_json

KERNEL = "6.1-4n-nomerge"
"""In this recording, the epoll caches have rows of their own."""


def kind(of: Ledger, name: str) -> AttachedObjects:
    return next(each for each in of.attached.kinds if each.name == name)


def watched_tree(tmp_path: Path, watched: int, other_files: int, in_each: int = 1) -> Path:
    """A recording in which every file is in `in_each` epoll sets; `other_files` of the files are no TCP sockets."""
    root = copy_recording(KERNEL, "established", tmp_path)
    set_row(root, "ep_head", watched)
    set_row(root, "eventpoll_epi", watched * in_each)
    set_row(root, "eventpoll_pwq", watched * in_each)
    sockets = counters(KERNEL, "established")["alloc"]
    (root / "proc/sys/fs/file-nr").write_text(f"{sockets + other_files}\t0\t9000000\n")
    return root


def test_averages_say_how_many_socks_of_mptcp_they_leave_out(tmp_path: Path) -> None:
    """The subflows are TCP sockets; a sock of MPTCP's own comes on top, in the machine or in this network namespace."""
    root = copy_recording(KERNEL, "established", tmp_path)

    def left_out() -> str:
        return attached_sentence(ledger_of(root)).partition(" B. Both leave out ")[2]

    assert left_out() == ""
    set_row(root, "MPTCP", 5_000)
    assert re.fullmatch(r"at least 4 \d\d\d MPTCP socks beside the TCP socks of the subflows\.", left_out())
    protocols = root / "proc/net/protocols"
    protocols.write_text(re.sub(r"(?m)^(MPTCP +\d+ +)0 ", r"\g<1>5000 ", protocols.read_text()))
    assert left_out() == "at least 5 000 MPTCP socks beside the TCP socks of the subflows."


def test_epoll_objects_are_counted_within_bounds(tmp_path: Path) -> None:
    root = watched_tree(tmp_path, 16_000, 500)
    epoll, rows = kind(ledger_of(root), "epoll"), slab_rows((root / "proc/slabinfo").read_text())
    assert epoll.number is not None
    assert epoll.bytes is not None
    # The watched files may be files other than sockets, or files that a CPU has not added to file-nr yet.
    assert epoll.number.high == 16_000
    assert 9_000 <= epoll.number.low <= 16_000 - 500 - 32 * CPUS[KERNEL], "CPUs may cache free objects, too"
    shares = sum(rows[name].share(PAGE_BYTES[KERNEL]) for name in ("ep_head", "eventpoll_epi", "eventpoll_pwq"))
    assert shares == 16 + 128 + 64
    assert epoll.bytes.low == epoll.number.low * shares, "no file shows whether slabs have vectors of memory cgroups"
    assert shares + 3 * 8 <= epoll.bytes.high / epoll.number.high <= shares + 3 * 16


def test_a_socket_in_several_epoll_sets_has_an_item_in_each(tmp_path: Path) -> None:
    one = kind(ledger_of(watched_tree(tmp_path / "one", 16_000, 500)), "epoll")
    two = kind(ledger_of(watched_tree(tmp_path / "two", 16_000, 500, in_each=2)), "epoll")
    assert one.bytes is not None
    assert two.bytes is not None
    assert two.number == one.number
    assert two.bytes.low == one.bytes.low, "only the other files may be in two sets"
    assert two.bytes.high > one.bytes.high + 16_000 * (128 + 64)


def test_watched_files_that_may_all_be_others_are_no_sockets(tmp_path: Path) -> None:
    epoll = kind(ledger_of(watched_tree(tmp_path, 16_000, 40_000)), "epoll")
    assert epoll.number is not None
    assert epoll.bytes is not None
    assert (epoll.number.low, epoll.bytes.low) == (0, 0)
    assert epoll.number.high == 16_000


def test_no_more_sockets_are_watched_than_have_a_file(tmp_path: Path) -> None:
    epoll = kind(ledger_of(watched_tree(tmp_path, 90_000, 90_000)), "epoll")
    assert epoll.number is not None
    assert epoll.number.high == counters(KERNEL, "established")["alloc"]


def test_items_without_heads_may_all_be_of_one_file(tmp_path: Path) -> None:
    """Linux 5.10 has no ep_head: 12 000 items may belong to few sockets in many epoll sets."""
    root = copy_recording("5.10-4n", "established", tmp_path)
    set_row(root, "eventpoll_epi", 12_000)
    set_row(root, "eventpoll_pwq", 12_000)
    (root / "proc/sys/fs/file-nr").write_text("16001\t0\t9000000\n")
    epoll = kind(ledger_of(root), "epoll")
    assert epoll.number == (0, 12_000)


def test_no_more_files_are_watched_than_there_are_items(tmp_path: Path) -> None:
    root = watched_tree(tmp_path, 16_000, 0)
    set_row(root, "eventpoll_epi", 200)
    number = kind(ledger_of(root), "epoll").number
    assert number is not None
    assert number.low <= number.high
    assert number.high == 200


def test_fewer_open_files_than_sockets_with_a_file_are_impossible(tmp_path: Path) -> None:
    root = copy_recording(KERNEL, "established", tmp_path)
    (root / "proc/sys/fs/file-nr").write_text("5000\t0\t9000000\n")
    of = ledger_of(root)
    limits = of.sources["socket_limits"]
    assert limits.state == "strange"
    assert "5 000 open files" in (limits.reason or "")
    epoll = kind(of, "epoll")
    assert epoll.number is None or epoll.number.low == 0


@pytest.mark.parametrize("open_files", [15_872, 16_001, 14_000])
def test_a_file_count_a_little_below_the_sockets_is_possible(tmp_path: Path, open_files: int) -> None:
    root = copy_recording(KERNEL, "established", tmp_path)
    (root / "proc/sys/fs/file-nr").write_text(f"{open_files}\t0\t9000000\n")
    assert ledger_of(root).sources["socket_limits"].state == "ok"


def test_flows_are_counted_with_their_extensions(tmp_path: Path) -> None:
    root = copy_recording(KERNEL, "established", tmp_path)
    set_row(root, "nf_conntrack", 8_000)
    of = ledger_of(root)
    flows = kind(of, "conntrack")
    assert flows.number is not None
    assert flows.bytes is not None
    assert flows.number.high == 8_000
    assert 6_900 <= flows.number.low < 8_000, "all CPUs may cache free ones"
    assert flows.bytes.low == flows.number.low * 256
    assert flows.bytes.high == 8_000 * (256 + 256), "with the largest extensions"
    assert flows.bytes_per_socket is not None
    assert flows.bytes_per_socket.high == flows.bytes.high / counters(KERNEL, "established")["alloc"]


def test_the_namespaces_flows_are_a_lower_bound(tmp_path: Path) -> None:
    root = copy_recording(KERNEL, "established", tmp_path)
    set_row(root, "nf_conntrack", 8_000)
    (root / "proc/sys/net/netfilter").mkdir(parents=True, exist_ok=True)
    (root / "proc/sys/net/netfilter/nf_conntrack_count").write_text("7990\n")
    (root / "proc/sys/net/netfilter/nf_conntrack_max").write_text("262144\n")
    number = kind(ledger_of(root), "conntrack").number
    assert number is not None
    assert (number.low, number.high) == (7_990, 8_000)


def counted_flows(root: Path, flows: int) -> Path:
    (root / "proc/sys/net/netfilter").mkdir(parents=True, exist_ok=True)
    (root / "proc/sys/net/netfilter/nf_conntrack_count").write_text(f"{flows}\n")
    (root / "proc/sys/net/netfilter/nf_conntrack_max").write_text("262144\n")
    return root


@pytest.mark.parametrize("flows", [1, 5000])
def test_flows_without_a_row_are_unknown(tmp_path: Path, flows: int) -> None:
    root = copy_recording(KERNEL, "established", tmp_path)
    path = root / "proc/slabinfo"
    lines = path.read_text().splitlines(keepends=True)
    path.write_text("".join(line for line in lines if not line.startswith("nf_conntrack ")))
    conntrack = kind(ledger_of(counted_flows(root, flows)), "conntrack")
    assert (conntrack.number, conntrack.bytes) == (None, None)
    assert f"nf_conntrack_count is {flows}" in (conntrack.unknown_because or "")


def test_more_flows_than_the_machine_has_objects_are_impossible(tmp_path: Path) -> None:
    root = copy_recording(KERNEL, "established", tmp_path)
    set_row(root, "nf_conntrack", 800)
    limits = ledger_of(counted_flows(root, 50_000)).sources["socket_limits"]
    assert limits.state == "strange"
    assert "nf_conntrack_count is 50 000" in (limits.reason or "")


def test_flows_that_began_between_two_reads_are_possible(tmp_path: Path) -> None:
    root = copy_recording(KERNEL, "established", tmp_path)
    set_row(root, "nf_conntrack", 8000)
    assert ledger_of(counted_flows(root, 9000)).sources["socket_limits"].state == "ok"


@each_recording
def test_the_recordings_track_no_flow_and_watch_no_socket(kernel: str, phase: str) -> None:
    of = ledger(kernel, phase)
    rows = slab_rows(text(kernel, phase, "proc/slabinfo"))
    epoll, conntrack = kind(of, "epoll"), kind(of, "conntrack")
    assert epoll.number is not None
    assert epoll.number.low == 0
    if "ep_head" in rows:
        assert epoll.number.high <= rows["ep_head"].active
    assert conntrack.number is not None
    assert conntrack.number.high == (rows["nf_conntrack"].active if "nf_conntrack" in rows else 0)


def test_the_average_with_attached_objects_is_the_sum(tmp_path: Path) -> None:
    root = watched_tree(tmp_path, 16_000, 500)
    set_row(root, "nf_conntrack", 8_000)
    (root / "proc/net/tls_stat").write_text("TlsCurrTxSw 0\nTlsCurrRxSw 0\nTlsCurrTxDevice 0\nTlsCurrRxDevice 0\n")
    of = ledger_of(root)
    now, without = of.attached.now_bytes, of.costs["full"].now_bounds
    assert now is not None
    assert without is not None
    amounts = [each.bytes_per_socket for each in of.attached.kinds]
    assert now.low == pytest.approx(without.low + sum(amount.low for amount in amounts if amount))
    assert now.high == pytest.approx(without.high + sum(amount.high for amount in amounts if amount))
    assert without == ledger(KERNEL, "established").costs["full"].now_bounds, "no cost of a socket contains them"


def test_sockets_of_other_namespaces_may_have_kernel_tls_whatever_the_orphans_are(tmp_path: Path) -> None:
    """An orphan stays hashed, so that `inuse` has it: 500 of the sockets are elsewhere."""
    root = copy_recording(KERNEL, "established", tmp_path)
    (root / "proc/net/tls_stat").write_text("TlsCurrTxSw 0\nTlsCurrRxSw 0\nTlsCurrTxDevice 0\nTlsCurrRxDevice 0\n")
    sockstat = root / "proc/net/sockstat"
    text = re.sub(r"orphan \d+", "orphan 600", sockstat.read_text())
    sockstat.write_text(re.sub(r"alloc \d+", "alloc 16501", text))
    ktls = kind(ledger_of(root), "ktls")
    assert ktls.number is not None
    assert ktls.number.high == inf


def test_without_slabinfo_nothing_is_known_and_nothing_is_zero(tmp_path: Path) -> None:
    root = copy_recording("6.1-4n", "established", tmp_path)
    (root / "proc/slabinfo").unlink()
    shutil.rmtree(root / "sys/kernel/slab")
    of = ledger_of(root)
    epoll = kind(of, "epoll")
    assert (epoll.number, epoll.bytes, epoll.bytes_per_socket) == (None, None, None)
    assert epoll.unknown_because
    assert of.attached.now_bytes is None


def test_an_unknown_kind_leaves_the_average_open_above() -> None:
    """A saved tree may lack tls_stat although the kernel had the file."""
    found = ledger("6.1-4n", "established")
    assert kind(found, "ktls").bytes is None
    assert found.attached.now_bytes is not None
    assert found.attached.now_bytes.high == inf
    assert json.loads(as_json(found))["attached"]["now_high_bytes"] is None
