"""A look that runs out of time tells what came until then."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from made_look import HERE, net, process, table_of

from tcptop.sock_diag import look as look_module
from tcptop.sock_diag.look import Ask, look
from tcptop.sock_diag.net_namespaces import NetNamespace
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
    """How many of 20 small namespaces, beside a large one, a look dumps if each dump takes so long."""
    here = Path("/proc/self/ns/net").stat().st_ino
    found = [NetNamespace(here + number, not number, "process", f"/{number}", "", f"{number}") for number in range(21)]

    def call(dump: Callable[[], Any], path: str | None = None) -> tuple[Any, int]:
        asked = inspect.getclosurevars(dump).nonlocals
        if "dump_all" not in asked:
            return dump(), 0  # the look as a whole
        counters = {"inuse": 1 if path else 10_000}
        return look_module.Dumped(counters, [], [], asked["dump_all"], None), small_us if path else large_us

    monkeypatch.setattr(look_module, "find_namespaces", lambda _: (found, []))
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
