"""Verdicts: each verdict is given if its condition holds, and no verdict is given if nothing is wrong."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import forked_program
import pytest
from made_look import group, listen, look_text, net, process, table_of, tree_with_look
from recorded import snapshot

from tcptop.accounting import account, holders
from tcptop.accounting.holder_verdicts import REMEDIES, VERDICT_KINDS, VerdictLimits
from tcptop.snapshot import Reading

Lines = tuple[str, ...]
KERNEL = "6.18-1n"


def verdicts(now: Lines, before: Lines | None = None, release: str | None = None) -> dict[str, str]:
    """The texts of the verdicts on a reading of the sockets, by kind; `before` is the previous reading."""
    of = snapshot(KERNEL, "established")
    if release is not None and of.sysctls.value is not None:
        of = of._replace(sysctls=of.sysctls._replace(value=of.sysctls.value._replace(kernel_release=release)))
    reading: Reading[Any] = Reading("ok", table_of(*now), None, 9.0, 12, 5.0, None, None)
    if before is not None:
        reading = reading._replace(before=reading._replace(value=table_of(*before), taken_at_s=3.0))
    found = account(of._replace(socket_table=reading, live=True)).holders
    assert found is not None
    assert len({each.kind for each in found.verdicts}) == len(found.verdicts)
    return {each.kind: each.text for each in found.verdicts}


def tcp_mem_bytes() -> int:
    sysctls = snapshot(KERNEL, "established").sysctls.value
    assert sysctls is not None
    assert sysctls.tcp_mem is not None
    return sysctls.tcp_mem[2] * 4096


def close_wait(number: float) -> Lines:
    return group("whole:10", int(number), "CLOSE_WAIT"), process(10, "hoarder")


def unread(share: float) -> Lines:
    return group("whole:10", 5, rmem=int(share * tcp_mem_bytes())), process(10, "deaf")


def unhashed(number: float) -> Lines:
    return (net(alloc=int(number) + 1), group())


IN_TWO_LOOKS = [
    ("close_wait", close_wait, 100, 99, "hoarder[10] holds 100 sockets that the peer has closed"),
    ("unread", unread, 0.011, 0.009, "deaf[10] leaves"),
    ("in_no_hash", unhashed, 101, 100, "101 sockets are in no dump: never connected, ended (reset, timed out)"),
]


@pytest.mark.parametrize(("kind", "lines", "enough", "few", "text"), IN_TWO_LOOKS)
def test_a_verdict_of_two_looks(
    kind: str, lines: Callable[[float], Lines], enough: float, few: float, text: str
) -> None:
    assert verdicts(lines(few)) == {}
    once = verdicts(lines(enough))
    assert once.keys() == {kind}
    assert once[kind].startswith(text)
    assert once[kind].endswith("(one look)")
    assert "(one look)" not in verdicts(lines(enough), lines(enough))[kind]
    assert verdicts(lines(enough * 2), lines(enough)).keys() == {kind}
    # The number became smaller, or the previous reading did not have the group.
    assert verdicts(lines(enough), lines(enough * 2)) == {}
    assert verdicts(lines(enough), lines(few)) == {}


def test_sockets_of_an_owner_that_is_not_visible_have_their_verdict() -> None:
    """A plain user: the process of another user has them, on many ports."""
    closed = [group("unseen", 60, "CLOSE_WAIT", server=False, port=port) for port in (443, 444)]
    left = group("unseen", 5, rmem=int(0.011 * tcp_mem_bytes()))
    lines = (net(unread_processes=1), *closed, left)
    for extra, hint in ((("processes\t10\t3",), "; root sees it"), (("hidden\tpid_namespace",), "")):
        found = verdicts((*extra, *lines), (*extra, *lines))
        assert found["close_wait"] == f"120 sockets that the peer has closed, of an owner that is not visible{hint}"
        assert found["unread"].startswith("5 sockets with ")
        assert found["unread"].endswith(f" unread, of an owner that is not visible{hint}")


def test_a_look_at_this_namespace_has_verdicts_on_its_processes_alone() -> None:
    processes = [
        process(10, "elsewhere", descriptors=990, limit=1_000, namespace=7),
        process(11, "activated", descriptors=980, limit=1_000, namespace=7),
    ]
    lines = ("scope\there", net(), group("whole:11", 5), *processes)
    assert verdicts(lines)["nofile"].startswith("activated[11]")
    assert verdicts((*lines[:-1], process(11, "few", descriptors=90, limit=1_000, namespace=7))) == {}


@pytest.mark.parametrize(("files", "limit", "fires"), [(820, 1_000, True), (800, 1_000, False), (820, None, False)])
def test_a_process_near_its_limit_of_open_files(files: int, limit: int | None, fires: bool) -> None:
    found = verdicts((group("whole:10", 5), process(10, "hoarder", descriptors=files, limit=limit)))
    assert (found.keys() == {"nofile"}) == fires
    if fires:
        assert found["nofile"].startswith(
            "hoarder[10] has 820 of at most 1 000 open files (nofile), 180 left; at 0 left"
        )


@pytest.mark.parametrize(("sockets", "fires"), [(22_585, False), (22_586, True), (30_000, True)])
def test_nearly_all_local_ports_to_one_remote_port(sockets: int, fires: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(holders, "_verdict_limits", lambda *_: VerdictLimits(None, None, 28_232))
    found = verdicts((net(), group("whole:10", sockets, server=False, port=8000), process(10, "proxy")))
    assert (found.keys() == {"ports"}) == fires
    if fires:
        taken = "all" if sockets >= 28_232 else "at most 22 586"
        assert f" sockets to :8000 take {taken} of 28 232 local ports if all are to one address" in found["ports"]
        assert ", from ports of ip_local_port_range: connect(2) to it fails" in found["ports"]
        assert "EADDRNOTAVAIL" in found["ports"]


def test_a_verdict_names_its_remedy_in_the_report_and_in_json(tmp_path: Path) -> None:
    lines = (
        net(),
        listen(8080, 301, 300, 199, 10),
        *close_wait(120),
        *unread(0.02)[:1],
        *(listen(9090, 90, 100, 0, 11), process(11, "near", descriptors=900, limit=1_000)),
    )
    root = tree_with_look(tmp_path, look_text(*lines), KERNEL)
    report = json.loads(forked_program.run("who", "--json", "--root", root).stdout)
    found = {each["kind"]: each for each in report["verdicts"]}
    text = " ".join(forked_program.run("who", "--root", root).stdout.split())
    assert {kind for kind, each in found.items() if each["remedy"]} == {"queue_full", "nofile", "unread", "close_wait"}
    assert found["queue_near"]["remedy"] is None
    for each in found.values():
        assert (f"{each['text']}. Remedy: {each['remedy']}" if each["remedy"] else each["text"]) in text
    assert REMEDIES.keys() < set(VERDICT_KINDS)


def test_one_socket_is_no_sockets() -> None:
    lines = (group("whole:10", 1, rmem=int(0.011 * tcp_mem_bytes())), process(10, "deaf"))
    assert verdicts(lines)["unread"].removesuffix(" (one look)").endswith(" unread in 1 socket")


def test_a_name_with_braces() -> None:
    lines = (group("whole:10", 600, "CLOSE_WAIT", rmem=int(0.02 * tcp_mem_bytes())), process(10, "{b} {0} {count}"))
    assert verdicts(lines)["close_wait"].startswith("{b} {0} {count}[10] holds 600 sockets")
    assert verdicts(lines)["unread"].startswith("{b} {0} {count}[10] leaves")


def test_orphans() -> None:
    few, many = (
        (group("none", 50, "FIN_WAIT1", wmem_queued=int(share * tcp_mem_bytes())),) for share in (0.009, 0.011)
    )
    assert verdicts(few) == {}
    assert verdicts(many)["orphans"].startswith("50 orphans hold ")


def test_orphans_with_segments_that_are_not_charged() -> None:
    """The data of MSG_ZEROCOPY takes nothing of tcp_mem."""
    queued = group("none", 50, "FIN_WAIT1", wmem_queued=int(0.02 * tcp_mem_bytes()))
    assert "orphans" not in verdicts((net(alloc=50, mem=861), queued))
    assert "orphans" in verdicts((net(alloc=50, mem=int(0.02 * tcp_mem_bytes()) // 4096), queued))


def test_orphans_are_usual_below_a_quarter_of_their_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(holders, "_verdict_limits", lambda *_: VerdictLimits(None, 400))
    assert verdicts((group("none", 100, "FIN_WAIT1"),)) == {}
    assert verdicts((group("none", 101, "FIN_WAIT1"),))["orphans"].startswith("101 orphans hold ")


def test_sockets_that_no_process_has() -> None:
    assert verdicts((group("unseen", 99),)) == {}
    assert verdicts((group("unseen", 100),)).keys() == {"no_process"}
    assert verdicts((net(unread_processes=1), group("unseen", 100))) == {}


def test_many_sockets_in_time_wait() -> None:
    assert verdicts((net(tw=8_192, tcp_max_tw_buckets=16_384),)) == {}
    assert verdicts((net(tw=8_193, tcp_max_tw_buckets=16_384),)).keys() == {"time_wait"}
    assert verdicts((net(tw=5, tcp_max_tw_buckets=0),)) == {}
    other = net(7, False, name="blue", tw=9_000, tcp_max_tw_buckets=16_384)
    assert verdicts((other,))["time_wait"] == (
        "9 000 mini-sockets in the network namespace blue, of at most 16 384, in TIME_WAIT or FIN_WAIT2 (closed)"
    )


def test_old_kernels_count_time_wait_of_the_machine_in_every_namespace() -> None:
    each = net(tw=9_000, tcp_max_tw_buckets=16_384), net(7, False, tw=9_000, tcp_max_tw_buckets=16_384)
    assert verdicts(each, release="3.10.0") == {
        "time_wait": "9 000 mini-sockets of the machine, of at most 16 384, in TIME_WAIT or FIN_WAIT2 (closed)"
    }


def test_a_full_accept_queue_that_drops() -> None:
    full = listen(8080, 301, 300, 199, 10), process(10, "sleeper")
    assert verdicts(full) == {
        "queue_full": "sleeper[10] :8080 accept queue 301 of 300, FULL, 199 dropped since listen(2)"
    }
    grown = verdicts(full, (listen(8080, 301, 300, 187, 10),))
    assert grown["queue_full"].endswith("FULL, 199 dropped since listen(2), 12 since the look before")
    assert verdicts(full, full)["queue_full"].endswith("FULL, 199 dropped since listen(2), none since the look before")
    assert verdicts(full, (listen(9090),))["queue_full"].endswith("199 dropped since listen(2)")
    assert verdicts(full, (listen(8080, 0, 300, 900, 10),))["queue_full"].endswith("199 dropped since listen(2)")
    assert verdicts((listen(8080, 300, 300, 199),)).keys() == {"queue_near"}
    assert verdicts((listen(8080, 301, 300, 0),)).keys() == {"queue_near"}
    assert verdicts((listen(8080, 301, 300, None),)).keys() == {"queue_near"}
    # Two listeners share the port, and the drops of one of them were unknown in the earlier reading.
    some_unknown = (listen(8080, 301, 300, 100, 10), listen(8080, 0, 300, None))
    assert verdicts((*full, listen(8080, 0, 300, 50)), some_unknown)["queue_full"].endswith(
        "FULL, 199 dropped since listen(2)"
    )


def test_an_accept_queue_near_its_limit_is_a_remark() -> None:
    near = listen(6060, 96, 100, 0, 10), process(10, "server")
    assert verdicts(near) == {"queue_near": "server[10] :6060 accept queue 96 of 100"}
    assert verdicts((*near, listen(81, 80, 100), listen(82, 79, 100)))["queue_near"].endswith(
        "of 100, 1 more from 80 % on"
    )
    assert verdicts((listen(6060, 79, 100), listen(81, 0, 0))) == {}
    assert verdicts((*near, listen(8080, 301, 300, 9))).keys() == {"queue_full", "queue_near"}


def test_listeners_that_share_a_port_are_compared_together() -> None:
    before = listen(80, 9, 8, 500, 10), listen(80, 2, 8, 5, 11)
    assert "none since" in verdicts(before, (before[1], before[0]))["queue_full"]
    assert "1 since" in verdicts((before[0], listen(80, 2, 8, 6, 11)), before)["queue_full"]


def test_the_most_urgent_verdict_is_the_first() -> None:
    lines = (
        net(tw=9_000, tcp_max_tw_buckets=16_384, alloc=5_000),
        listen(8080, 301, 300, 199, 10),
        *close_wait(600),
        *unread(0.02),
        group("unseen", 500, port=1),
        group("none", 50, "FIN_WAIT1", wmem_queued=int(0.02 * tcp_mem_bytes())),
    )
    assert list(verdicts(lines)) == [
        *("queue_full", "orphans", "unread", "close_wait", "no_process", "in_no_hash", "time_wait")
    ]


def test_deferred_connections_are_no_verdict() -> None:
    """TCP_DEFER_ACCEPT: connections wait in SYN_RECV, and the listener counts each as dropped once."""
    lines = net(inuse=301), listen(8080, 0, 4096, 300, 10), group("none", 300, "SYN_RECV"), process(10)
    assert verdicts(lines) == {}
    assert verdicts(lines, lines) == {}


@pytest.mark.parametrize(
    ("counter", "words"),
    [
        ("TCPReqQFullDrop", "SYN queue full, 271 handshakes dropped"),
        ("TCPReqQFullDoCookies", "SYN queue full, 271 cookies sent: this costs no memory"),
        ("TCPTimeWaitOverflow", "271 connections skipped TIME_WAIT"),
    ],
)
def test_counters_that_grew(counter: str, words: str) -> None:
    before, now = net(**{counter: 9}), net(**{counter: 280})  # type: ignore[arg-type] # counters, not options
    assert verdicts((now,)) == {}
    assert verdicts((now,), (now,)) == {}
    assert words in verdicts((now,), (before,))[counter]
    other = net(7, False, name="blue", **{counter: 280})  # type: ignore[arg-type]
    assert verdicts((other,), (now,)) == {}
    assert verdicts((other,), (other.replace("280", "9"),))[counter].endswith("in the network namespace blue")


def test_hidden_namespaces_are_not_taken_for_one_another() -> None:
    few, many = (net(None, False, "refused", reason="x", TCPReqQFullDrop=number) for number in (1, 900))
    assert verdicts((few, many), (few, many)) == {}
    assert verdicts((many, few), (few, many)) == {}


def test_a_machine_that_is_well() -> None:
    lines = (
        net(inuse=5_002, tw=100, alloc=5_050, orphan=3, mem=900, tcp_max_tw_buckets=16_384),
        *(listen(443, 3, 4096, 12, 10), group("whole:10", 4_999, rmem=80_000), group("none", 3, "FIN_WAIT1")),
        *(group("none", 100, "TIME_WAIT", mini=True), group("whole:10", 9, "CLOSE_WAIT"), process(10)),
    )
    assert verdicts(lines) == {}
    assert verdicts(lines, lines) == {}
