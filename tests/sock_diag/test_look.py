"""A reading of all sockets that runs out of time returns the sockets read so far."""

from __future__ import annotations

import inspect
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from made_look import HERE, net, process, table_of

from tcptop.sock_diag import look as look_module
from tcptop.sock_diag.descriptors import OwnerSample
from tcptop.sock_diag.fold import Group, GroupKey
from tcptop.sock_diag.look import Ask, index_owners, look
from tcptop.sock_diag.net_namespaces import Found, NetNamespace
from tcptop.sources.socket_table import SocketTableSource


def test_a_look_without_time_is_cut_and_no_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(look_module, "TIME_LIMIT_S", 0.0)
    try:
        text, _ = look(Ask(here_only=True))
    except TimeoutError:
        raise
    except OSError as error:
        pytest.skip(f"no sock_diag here: {error}")
    table, damage = SocketTableSource().parse(text.decode())
    assert damage is None
    assert table is not None
    [namespace] = table.namespaces
    assert namespace.asked == "cut"
    assert "ended after" in namespace.reason
    assert table.groups == ()


def test_a_process_has_its_network_namespace() -> None:
    old, new = process(10), process(11, namespace=HERE)
    table = table_of(net(), old.rpartition("\t")[0], new)
    assert [each.namespace for each in table.process_of.values()] == [None, HERE]


def dumps(monkeypatch: pytest.MonkeyPatch, large_us: int, small_us: int) -> int:
    """The number of dumped namespaces, out of 20 small ones beside a large one, if each dump takes the given time."""
    here = Path("/proc/self/ns/net").stat().st_ino
    found = [NetNamespace(here + number, not number, "process", f"/{number}", "", f"{number}") for number in range(21)]

    def call(dump: Callable[[], Any], namespace: NetNamespace | None = None) -> tuple[Any, int]:
        asked = inspect.getclosurevars(dump).nonlocals
        if "dump_all" not in asked:
            return dump(), 0  # the time for the whole reading
        is_small = namespace is not None and not namespace.is_here
        counters = {"inuse": 1 if is_small else 10_000}
        return look_module.Dumped(counters, [], [], asked["dump_all"], None), small_us if is_small else large_us

    monkeypatch.setattr(look_module, "find_namespaces", lambda _: Found(found, [], 0))
    monkeypatch.setattr(look_module, "read_counters", lambda name: {"inuse": 1 if name != "0" else 10_000})
    monkeypatch.setattr(look_module, "call_in_thread", call)
    text, _ = look(Ask())
    table, _ = SocketTableSource().parse(text.decode())
    assert table is not None
    return sum(each.asked == "asked" for each in table.namespaces) - 1


def test_small_namespaces_are_dumped_while_that_takes_little(monkeypatch: pytest.MonkeyPatch) -> None:
    assert dumps(monkeypatch, 900_000, 2_000) == 20
    assert dumps(monkeypatch, 50_000, 30_000) == 4
    assert dumps(monkeypatch, 900_000, 100_000) == 5


def sample(pid: int, low: tuple[int, ...], sampled: tuple[int, ...] = ()) -> OwnerSample:
    return OwnerSample(pid, f"p{pid}", 99, None, not sampled, 1.0, low, sampled)


def test_a_socket_of_several_processes_is_that_of_the_first() -> None:
    owners = index_owners([sample(10, (1, 2, 3), (9,)), sample(11, (2, 3, 4, 2)), sample(12, (3, 5), (9,))])
    assert [owners.owner_of[inode] for inode in (1, 4, 5)] == [20, 22, 24]
    shared = {inode: owners.shared[look_module.FIRST_SHARED - owners.owner_of[inode]] for inode in (2, 3, 9)}
    assert shared == {2: (20, (11,)), 3: (20, (11, 12)), 9: (21, (12,))}


def test_shared_sockets_count_once() -> None:
    owners = index_owners([sample(10, (1, 2, 3)), sample(11, (2, 3)), sample(12, (3,))])
    asked = look_module._Look(Ask())

    def group_of(owner: int, sockets: int) -> Group:
        return Group(GroupKey(2, 1, False, True, 80, 0, 0, owner, ""), sockets, (sockets,) * 6)

    groups = [group_of(owners.owner_of[inode], 5 * inode) for inode in (1, 2, 3)]
    [merged] = asked._single_owners([*groups, group_of(0, 7)], owners)[:1]
    assert (merged.key.owner, merged.sockets, merged.sums) == (20, 30, (30,) * 6)
    assert dict(asked._shared_sockets) == {(10, 11): 25, (10, 12): 15}


FORKED = """
import os, socket, sys
server = socket.create_server(("127.0.0.1", 0))
client = socket.create_connection(server.getsockname())
accepted, _ = server.accept()
child = os.fork()
if child:
    print(os.getpid(), child, server.getsockname()[1], client.getsockname()[1], flush=True)
sys.stdin.read()
"""
"""Two processes with the same listener and both ends of a connection; prints the PIDs and the ports."""


def test_forked_processes_share_their_sockets() -> None:
    command = [sys.executable, "-c", FORKED]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdin is not None
        assert parent.stdout is not None
        one, other, *ports = map(int, parent.stdout.readline().split())
        for exact in (None, one, other):
            first = exact or min(one, other)
            try:
                text, _ = look(Ask(here_only=True, exact_pid=exact))
            except OSError as error:
                pytest.skip(f"no sock_diag here: {error}")
            table, _ = SocketTableSource().parse(text.decode())
            assert table is not None
            assert (first, one + other - first, 3) in table.shared
            groups = [each for each in table.groups if each.port in ports]
            listeners = [each for each in table.listeners if each.port in ports]
            assert {each.pid for each in groups} | {each.pid for each in listeners} == {first}
            assert sum(each.sockets for each in groups) + len(listeners) == 3
        parent.stdin.close()
