"""Groups of sockets by holder with their memory, sums compared with the kernel's counters, and missing parts."""

from __future__ import annotations

import errno
import os
from typing import Any

import pytest
from made_look import HERE, WHOLE_MACHINE, group, listen, net, process, shared, table_of
from recorded import snapshot

from tcptop.accounting import account, holders
from tcptop.explanation.holder_rows import holder_rows
from tcptop.explanation.holders_page import holder_cells
from tcptop.ledger.holders import HolderGroup, Holders
from tcptop.snapshot import Reading
from tcptop.sources.source import AS_ROOT


def holders_of(
    *lines: str, kernel: str = "6.18-1n", live_at_s: float | None = None, release: str | None = None
) -> Holders:
    """The holders of the recording, with a socket table made of the given lines."""
    reading: Reading[Any] = Reading("ok", table_of(*lines), None, 3.0, 12, 5.0, None, None)
    of = snapshot(kernel, "established")._replace(socket_table=reading)
    if release is not None and of.sysctls.value is not None:
        value = of.sysctls.value._replace(kernel_release=release, memory_per_cpu_reserve_pages=None)
        of = of._replace(sysctls=of.sysctls._replace(value=value))
    if live_at_s is not None:
        of = of._replace(live=True, monotonic_s=live_at_s)
    found = account(of).holders
    assert found is not None
    return found


def group_of(found: Holders, kind: str, state: str) -> HolderGroup:
    [each] = [each for each in found.groups if (each.holder.kind, each.state) == (kind, state)]
    return each


def test_a_plain_user_is_told_that_root_sees_more(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tcptop.sources.socket_table.os.geteuid", lambda: 1000)
    hidden = net(None, False, "refused", reason="Permission denied")
    [text] = holders_of(net(), hidden).missing
    assert text.endswith(f"Permission denied; root sees more: {AS_ROOT}")
    assert "root" not in str(holders_of(net(), net(9, False, "refused", reason="Operation not permitted")).missing)


@pytest.mark.parametrize("number", [errno.ENOENT, errno.ESRCH])
def test_a_namespace_whose_last_process_ended_during_the_look_says_so(number: int) -> None:
    [text] = [
        text
        for text in holders_of(net(5, here=False, asked="refused", reason=os.strerror(number))).missing
        if "namespace" in text
    ]
    assert text == "network namespace 5 was not asked, or not to the end: its last process ended during the look"


def test_namespaces_that_were_not_asked_are_named() -> None:
    lines = [
        net(),
        *(net(None, False, "refused", f"of pid {pid}", "no") for pid in (4, 5)),
        net(6, False, "refused", "blue", "no"),
    ]
    [text] = [text for text in holders_of(*lines).missing if "namespace" in text]
    assert text == "3 network namespaces (of pid 4, of pid 5, blue) were not asked, or not to the end: no"
    [text] = [text for text in holders_of(*lines, net(9, False, "refused", reason="no")).missing if "namespace" in text]
    assert "(of pid 4, of pid 5, blue and 1 more) were" in text


def test_a_sample_without_a_look_has_no_holders() -> None:
    assert account(snapshot("6.1-4n", "established")).holders is None


def test_the_slab_of_a_group_is_its_sockets_times_the_cost_of_the_state() -> None:
    found = holders_of(*WHOLE_MACHINE)
    ledger = account(snapshot("6.18-1n", "established"))
    cost = {state.state: state for state in ledger.states}
    for kind, state, row, number in (
        ("process", "CLOSE_WAIT", "CLOSE_WAIT", 600),
        ("queue", "ESTABLISHED", "accept queue", 301),
        ("handshake", "SYN_RECV", "SYN_RECV", 10),
        ("no_process", "ESTABLISHED", "ESTABLISHED", 200),
    ):
        each = group_of(found, kind, state)
        accepted = cost[row].accepted
        assert accepted is not None
        assert each.slab_bytes is not None
        assert each.sockets == number
        bounds = accepted.slab_bounds()
        assert bounds is not None
        assert round(each.slab_bytes.low) == round(bounds.low * number)
    orphans = group_of(found, "orphan", "FIN_WAIT1")
    assert orphans.unsent_bytes == orphans.buffer_bytes == 20_000_000


def test_drops_of_a_listener_that_the_kernel_does_not_report_are_unknown() -> None:
    found = holders_of(net(), listen(80, drops=None), listen(81, drops=0), listen(82, drops=7), group(drops=3))
    assert {each.port: each.drops for each in found.groups} == {80: None, 81: 0, 82: 7, 8080: 3}
    rows = holder_rows(found, "port", sort="drops")
    assert [holder_cells(row, "port", ["DROPS"]) for row in rows] == [["7"], ["3"], ["–"], ["0"]]


def test_the_groups_of_one_holder_are_added_up() -> None:
    found = holders_of(
        *(group("whole:10", 3), group("sampled:10", 40, rmem=4096), group("unseen", 330, rmem=8192)),
        process(10, "x", False, 9.4),
    )
    [each] = found.groups
    assert each.holder.is_estimated
    assert (round(each.sockets), round(each.unread_bytes)) == (373, 12_288)
    assert (each.counted_sockets, each.counted_buffer_bytes) == (43, 4096)


@pytest.mark.parametrize(("release", "unit"), [("5.15.0-105-generic", 4096), ("6.12.0", 16384), ("4.8.15", 16384)])
def test_the_counted_buffers_are_in_the_unit_of_the_kernel(release: str, unit: int) -> None:
    sums = holders_of(*WHOLE_MACHINE, kernel="6.12-arm64-16k-4n", release=release).sums
    assert sums.buffer_bytes_counted == 6_000 * unit


def test_the_sums_stand_beside_the_counters() -> None:
    sums = holders_of(*WHOLE_MACHINE).sums
    assert (sums.full, sums.in_use) == (600 + 301 + 300 + 200 + 400 + 2, 1212 + 602)
    assert (sums.orphans, sums.orphans_counted) == (300, 300)
    assert (sums.time_wait, sums.time_wait_counted) == (1_500, 1_500)
    assert (sums.queued, sums.queued_counted) == (301, 301)
    assert sums.buffer_bytes_counted == 6_000 * 4096
    assert sums.in_no_hash == 0
    assert sums.complete


def test_time_wait_is_counted_by_its_scope() -> None:
    lines = net(tw=5), net(7, False, tw=6)
    for kernel, scope, counted in (
        ("3.10.0", "machine", 5),
        ("4.10.0", "machine or here", None),
        ("6.1.0", "here", 11),
    ):
        sums = holders_of(*lines, release=kernel).sums
        assert (sums.time_wait_scope, sums.time_wait_counted) == (scope, counted)
    assert holders_of(net(tw=5), release="4.10.0").sums.time_wait_counted == 5


def test_sockets_in_no_hash_are_unknown_unless_every_namespace_was_asked() -> None:
    counted = net(alloc=500, inuse=10)
    assert holders_of(counted, group("whole:10", 10)).sums.in_no_hash == 490
    assert "490 sockets in no dump" in str(holders_of(counted, group("whole:10", 10)).missing)
    for asked in ("cut", "refused", "listeners"):
        found = holders_of(counted, net(7, False, asked, reason="why"), group("whole:10", 10))
        assert found.sums.in_no_hash is None
        assert not found.complete
        assert found.missing == ("network namespace 7 was not asked, or not to the end: why",)
    assert holders_of(net(), group()).sums.in_no_hash is None


def test_a_look_is_complete_only_if_it_has_every_socket_that_is_allocated() -> None:
    def found(*lines: str) -> tuple[bool, tuple[str, ...]]:
        each = holders_of(*lines, process(10))
        return each.complete, each.missing

    assert found(net(alloc=10), group(sockets=10)) == (True, ())
    one = "1 socket in no dump: never connected, ended (reset, timed out) but still held, or in a hidden netns"
    assert found(net(alloc=11), group(sockets=10)) == (False, (one,))
    unknown = "sockets in no dump, since /proc/net/sockstat does not say how many are allocated"
    assert found(net(inuse=10), group(sockets=10)) == (False, (unknown,))
    threads = "the network namespaces of 3 threads were not looked at"
    assert found(net(alloc=10), group(sockets=10), "threads\t3") == (False, (threads,))
    assert found(net(alloc=10), group(sockets=10), "threads\t0") == (True, ())


def test_connections_that_ended_in_an_accept_queue_are_in_no_dump() -> None:
    """A reset unhashes a socket, and the listener counts it until its program accepts it."""
    lines = listen(8080, 150), group(sockets=9), group("none", 20), process(10)
    sums = holders_of(net(alloc=900), *lines).sums
    assert (sums.queued, sums.queued_counted, sums.queued_ended, sums.in_no_hash) == (20, 150, 130, 870)
    assert holders_of(net(), *lines).sums.queued_ended is None
    assert holders_of(net(alloc=70), *lines).sums.queued_ended == 40
    [missing] = holders_of(net(alloc=70), *lines).missing
    assert missing.endswith("in no dump: ≈ 40 ended in an accept queue, by its listener's count")


def test_sockets_of_several_processes_are_listed() -> None:
    found = holders_of(net(), group(sockets=10), process(10), process(11), shared(10, 11, 4))
    assert [tuple(each) for each in found.shared] == [(10, 11, 4)]
    assert found.sums.full == 10


def test_the_user_of_sockets_without_an_inode_is_known_since_6_18() -> None:
    lines = (group("none", 5, uid=7), group("whole:10", 5, uid=7))
    assert [each.uid for each in holders_of(*lines).groups] == [7, 7]
    assert [each.uid for each in holders_of(*lines, kernel="6.12-4n").groups] == [None, 7]


def test_the_age_is_known_of_a_running_machine_alone() -> None:
    assert holders_of(group(), live_at_s=10.5).age_s == 7.5
    assert holders_of(group()).age_s is None
    assert holders_of(net(HERE)).groups == ()


def test_groups_of_a_look_are_made_once_while_other_counts_change() -> None:
    """On a large machine, a reading of the sockets is shown for minutes, but the number of orphans changes every
    second.
    """
    reading: Reading[Any] = Reading("ok", table_of(net(), group(sockets=5)), None, 3.0, 12, 5.0, None, None)
    of = snapshot("6.18-1n", "established")._replace(socket_table=reading)
    assert of.sockstat.value is not None
    later = of._replace(sockstat=of.sockstat._replace(value=of.sockstat.value._replace(orphans=123)))
    first, second = account(of).holders, account(later).holders
    assert first is not None
    assert second is not None
    assert first.groups is second.groups
    assert first.verdicts is second.verdicts
    assert first.sums is second.sums


def test_a_look_is_merged_once_while_the_cost_of_a_socket_changes(monkeypatch: pytest.MonkeyPatch) -> None:
    reading: Reading[Any] = Reading("ok", table_of(net(), group(sockets=5)), None, 3.0, 12, 5.0, None, None)
    of = snapshot("6.18-1n", "established")._replace(socket_table=reading)
    merged = account(of).holders
    assert merged is not None
    assert account(of).holders is not None
    monkeypatch.setattr(holders, "owned_groups", lambda _: pytest.fail("the groups were merged again"))
    dearer = snapshot("6.12-4n", "established")._replace(socket_table=reading)
    found = account(dearer).holders
    assert found is not None
    assert found.groups[0].slab_bytes != merged.groups[0].slab_bytes
    assert found.groups[0].sockets == merged.groups[0].sockets


def test_listeners_of_one_port_may_share_its_bind_buckets() -> None:
    found = holders_of(net(), listen(80), listen(80), listen(81))
    shared_one, other, alone = (each.slab_bytes for each in found.groups if each.state == "LISTEN")
    assert shared_one is not None
    assert alone is not None
    assert shared_one == other
    assert shared_one.low < alone.low <= alone.high == shared_one.high
