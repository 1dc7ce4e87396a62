"""Published figures for kernel 3.10, split into parts: 3.34, 3.05, 0.4, 3.31 and 0.41 kB per connection.

The figures are from github.com/yanfeizhang/deep_linux_network_tests, chapter-07/7.4/test-01/testdata.md. There were
50,000 empty connections between two machines. The data are slabtop and meminfo's Slab before the connections and in
each state. A published figure is the growth of Slab ÷ 50,000. The growth consists of the connections' objects, gaps in
their slabs, objects of other users, and idle slab. The tests separate these four parts for each cache, and compare the
parts with the ledger of the same rows.

slabtop lists only the caches with the most objects. A cache that is missing from the first list is assumed to be empty
at that time.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from recorded import ledger_of, link_caches, snapshot_of, write_tree

from tcptop.accounting.cache_table import CacheTable
from tcptop.accounting.socket_cost import IPV4, socket_cost
from tcptop.kernel.objects import State
from tcptop.ledger import CacheLine, Ledger, SocketCost

CONNECTIONS = 50_000
PAGE = 4096

TOLERANCE = 0.05
"""Share of Slab's growth in caches that slabtop did not list; below 3 % for three of the five figures."""

SIZES = {
    "TCP": ("1.94K", 1984),
    "tw_sock_TCP": ("0.25K", 256),
    "sock_inode_cache": ("0.62K", 640),
    "kmalloc-256": ("0.25K", 256),
    "dentry": ("0.19K", 192),
    "kmalloc-64": ("0.06K", 64),
    "buffer_head": ("0.10K", 104),
}
"""Sizes as slabtop printed them, and in bytes; for TCP, only one multiple of a cache line is printed like this."""

GROUPS = {":t-0000256": ("kmalloc-256", "filp", "skbuff_head_cache"), ":t-0000064": ("kmalloc-64", "tcp_bind_bucket")}
"""Caches that 3.10 merges: files with the sk_buff of a queued FIN; bind buckets with kmalloc-64, as socket_wq."""

NOT_SHOWN = [("TCP", 16, 8), ("sock_inode_cache", 12, 2), ("kmalloc-256", 16, 1), ("tw_sock_TCP", 16, 1)]
"""Caches that a list may omit, with objects and pages per slab."""


@dataclass(frozen=True)
class Line:
    """One line of slabtop."""

    objects: int
    active: int
    used_percent: int
    slabs: int
    per_slab: int
    cache_kb: int

    @property
    def pages(self) -> int:
        return self.cache_kb * 1024 // PAGE // self.slabs if self.slabs else 1

    @property
    def held(self) -> int:
        return self.slabs * self.pages * PAGE

    @property
    def share(self) -> float:
        return self.pages * PAGE / self.per_slab

    @property
    def idle(self) -> float:
        return self.held - self.active * self.share


CLIENT_BEFORE = {
    "kmalloc-64": Line(62976, 43709, 69, 984, 64, 3936),
    "dentry": Line(17976, 11171, 62, 856, 21, 3424),
}
SERVER_BEFORE = {
    "kmalloc-64": Line(26368, 13080, 49, 412, 64, 1648),
    "dentry": Line(21399, 12225, 57, 1019, 21, 4076),
}


@dataclass(frozen=True)
class Published:
    """A published figure and the data behind it."""

    name: str
    slab_kb: tuple[int, int]
    kb_per_connection: float
    before: Mapping[str, Line]
    after: Mapping[str, Line]
    objects: Mapping[str, int]
    """Objects per connection in each cache."""
    object_bytes: int
    sockstat: str
    off: float
    """(growth of the listed caches − growth of Slab) ÷ growth of Slab."""
    idle_kb: Mapping[str, int] = field(default_factory=dict)
    """Growth of idle slab per cache; negative if the connections filled slabs that had been idle."""


WHOLE = {"TCP": 1, "sock_inode_cache": 1, "kmalloc-256": 1, "dentry": 1}
MINI = {"tw_sock_TCP": 1, "kmalloc-64": 1}

TABLE = [
    Published(
        "ESTABLISHED, client",
        (39848, 206896),
        3.34,
        CLIENT_BEFORE,
        {
            "kmalloc-64": Line(144448, 144448, 100, 2257, 64, 9028),
            "dentry": Line(73353, 73353, 100, 3493, 21, 13972),
            "kmalloc-256": Line(52208, 52192, 99, 3263, 16, 13052),
            "sock_inode_cache": Line(50148, 50148, 100, 4179, 12, 33432),
            "TCP": Line(50032, 50032, 100, 3127, 16, 100064),
        },
        {**WHOLE, "kmalloc-64": 2},
        3200,
        "TCP: inuse 50000 orphan 0 tw 0 alloc 50000 mem 0\n",
        -0.029,
        {"kmalloc-64": -1204, "dentry": -1296, "kmalloc-256": 4, "sock_inode_cache": 0, "TCP": 0},
    ),
    Published(
        "ESTABLISHED, server",
        (53512, 206032),
        3.05,
        SERVER_BEFORE,
        {
            "kmalloc-64": Line(63936, 63936, 100, 999, 64, 3996),
            "dentry": Line(62517, 62517, 100, 2977, 21, 11908),
            "kmalloc-256": Line(53088, 52913, 99, 3318, 16, 13272),
            "sock_inode_cache": Line(50250, 50250, 100, 2010, 25, 32160),
            "TCP": Line(50240, 50240, 100, 3140, 16, 100480),
        },
        {**WHOLE, "kmalloc-64": 1},
        3136,
        "TCP: inuse 50001 orphan 0 tw 0 alloc 50001 mem 0\n",
        0.023,
        {"kmalloc-64": -830, "dentry": -1747, "kmalloc-256": 44, "sock_inode_cache": 0, "TCP": 0},
    ),
    Published(
        "FIN_WAIT2 after close(), client",
        (39848, 59684),
        0.396,
        CLIENT_BEFORE,
        {
            "kmalloc-64": Line(144640, 95285, 65, 2260, 64, 9040),
            "tw_sock_TCP": Line(50032, 50032, 100, 3127, 16, 12508),
            "dentry": Line(21210, 14414, 67, 1010, 21, 4040),
            "buffer_head": Line(10764, 10764, 100, 276, 39, 1104),
        },
        MINI,
        320,
        "TCP: inuse 0 orphan 0 tw 50000 alloc 0 mem 0\n",
        -0.025,
        {"kmalloc-64": 1880, "dentry": -2, "tw_sock_TCP": 0, "buffer_head": 0},
    ),
    Published(
        "CLOSE_WAIT, server",
        (53512, 219084),
        3.31,
        SERVER_BEFORE,
        {
            "kmalloc-256": Line(103104, 103082, 99, 6444, 16, 25776),
            "kmalloc-64": Line(65472, 65472, 100, 1023, 64, 4092),
            "dentry": Line(62853, 62853, 100, 2993, 21, 11972),
            "sock_inode_cache": Line(50250, 50250, 100, 2010, 25, 32160),
            "TCP": Line(50240, 50240, 100, 3140, 16, 100480),
        },
        {**WHOLE, "kmalloc-256": 2, "kmalloc-64": 1},
        3392,
        "TCP: inuse 50001 orphan 0 tw 0 alloc 50001 mem 50000\n",
        0.019,
        {"kmalloc-64": -830, "dentry": -1747, "kmalloc-256": 6, "sock_inode_cache": 0, "TCP": 0},
    ),
    Published(
        "TIME_WAIT, client",
        (39848, 60692),
        0.41,
        CLIENT_BEFORE,
        {
            "kmalloc-64": Line(144640, 93988, 64, 2260, 64, 9040),
            "tw_sock_TCP": Line(50032, 50032, 100, 3127, 16, 12508),
            "dentry": Line(21861, 14721, 67, 1041, 21, 4164),
            "buffer_head": Line(15834, 15834, 100, 406, 39, 1624),
        },
        MINI,
        320,
        "TCP: inuse 0 orphan 0 tw 50000 alloc 0 mem 0\n",
        -0.042,
        {"kmalloc-64": 1962, "dentry": 64, "tw_sock_TCP": 0, "buffer_head": 0},
    ),
]

each_published = pytest.mark.parametrize("figure", TABLE, ids=[figure.name for figure in TABLE])


def line_before(figure: Published, cache: str) -> Line:
    """A cache in the list before the connections; empty if it is not listed."""
    after = figure.after[cache]
    return figure.before.get(cache) or Line(0, 0, 0, 0, after.per_slab, 0)


def row(name: str, active: int, objects: int, per_slab: int, pages: int) -> str:
    slabs = objects // per_slab
    return (
        f"{name} {active} {objects} {SIZES[name][1]} {per_slab} {pages} : tunables 0 0 0 : slabdata {slabs} {slabs} 0\n"
    )


def machine(root: Path, figure: Published) -> Path:
    """A tree of the machine in the given state: kernel 3.10, with a separate socket_wq and merged caches."""
    rows = {
        name: row(name, line.active, line.objects, line.per_slab, line.pages) for name, line in figure.after.items()
    }
    for name, per_slab, pages in NOT_SHOWN:
        rows.setdefault(name, row(name, 0, 0, per_slab, pages))
    slabinfo = "slabinfo - version: 2.1\n# name\n" + "".join(rows.values())
    write_tree(
        root,
        {
            # The last row is the first cache that a kernel creates; a slabinfo without it counts as cut off.
            "proc/slabinfo": slabinfo + "kmem_cache 64 64 256 16 1 : tunables 0 0 0 : slabdata 4 4 0\n",
            "proc/meminfo": f"MemTotal:        8009284 kB\nSlab:            {figure.slab_kb[1]} kB\n",
            "proc/net/sockstat": figure.sockstat,
            "proc/sys/kernel/osrelease": "3.10.0\n",
            "sys/devices/system/cpu/online": "0-3\n",
        },
    )
    link_caches(root, {**{name: () for name in rows if "kmalloc" not in name}, **GROUPS})
    return root


def cache_line(ledger: Ledger, name: str) -> CacheLine:
    [found] = [line for line in ledger.caches if line.name == name]
    return found


def cost_of_connection(root: Path, figure: Published) -> tuple[SocketCost, tuple[str, float] | None]:
    """The ledger's cost of one connection, and the row and size of the sk_buff of an unread FIN."""
    ledger = ledger_of(root)
    if figure.name.startswith("CLOSE_WAIT"):
        seen = snapshot_of(root)
        skb = cache_line(ledger, "skbuff_head_cache")
        assert skb.row is not None
        assert skb.object_bytes is not None
        return socket_cost(seen, CacheTable(seen, PAGE), State.CLOSE_WAIT, IPV4, owns_port=False), (
            skb.row,
            skb.object_bytes,
        )
    mode = ledger.costs["full" if figure.name.startswith("ESTABLISHED") else "time_wait"].by_family["ipv4"]
    return (mode.outgoing if "client" in figure.name else mode.accepted), None


# The data.


@each_published
def test_the_published_lines_are_consistent(figure: Published) -> None:
    for lines in (figure.before, figure.after):
        for name, line in lines.items():
            printed, size = SIZES[name]
            assert f"{size / 1024:.2f}K" == printed, name
            assert line.slabs * line.per_slab == line.objects, name
            assert line.held == line.cache_kb * 1024, name
            assert line.pages * PAGE // size == line.per_slab, name
            assert line.active * 100 // line.objects == line.used_percent, name
    grown_kb = figure.slab_kb[1] - figure.slab_kb[0]
    assert grown_kb * 1000 // CONNECTIONS / 1000 == pytest.approx(figure.kb_per_connection, abs=0.007)


# The objects of a connection.


@each_published
def test_the_objects_of_a_connection_add_up_exactly(figure: Published, tmp_path: Path) -> None:
    """The costs are 3 200, 3 136, 320, 3 392 and 320 bytes, and have the same objects as the growth of each row."""
    found, fin = cost_of_connection(machine(tmp_path, figure), figure)
    assert (found.object_bytes or 0) + (fin[1] if fin else 0) == figure.object_bytes
    assert sum(count * SIZES[name][1] for name, count in figure.objects.items()) == figure.object_bytes
    ledger, counted = ledger_of(tmp_path), dict[str, float]()
    rows = [(cache_line(ledger, part.cache).row or "", part.count) for part in found.parts]
    for row, count in [*rows, *([(fin[0], 1.0)] if fin else [])]:
        counted[row] = counted.get(row, 0.0) + count
    assert counted == figure.objects


@each_published
def test_each_cache_grew_by_the_objects_of_the_connections_and_few_others(figure: Published) -> None:
    """The client's dentries are an exception: netstat -p, which counted the sockets, walks /proc/PID/fd."""
    for name, count in figure.objects.items():
        grown = (figure.after[name].active - line_before(figure, name).active) / CONNECTIONS
        netstat = 0.24 if (figure.name, name) == ("ESTABLISHED, client", "dentry") else 0.0
        assert count <= grown <= count + netstat + 0.07, name


# The remaining part of each figure.


@each_published
def test_growth_is_objects_of_connections_gaps_objects_of_others_and_idle_slab(
    figure: Published, tmp_path: Path
) -> None:
    """The parts are exact for each cache, and the ledger has the same bytes, share of an object and idle part."""
    ledger = ledger_of(machine(tmp_path, figure))
    objects = grown = 0.0
    for name, after in figure.after.items():
        before, count = line_before(figure, name), figure.objects.get(name, 0) * CONNECTIONS
        of_connections = count * SIZES[name][1]
        gaps = count * (after.share - SIZES[name][1])
        others = (after.active - before.active - count) * after.share
        idle = after.idle - before.idle
        assert of_connections + gaps + others + idle == pytest.approx(after.held - before.held, abs=0.01), name
        assert round(idle / 1024) == figure.idle_kb[name], name
        objects += of_connections
        grown += after.held - before.held
        shown = cache_line(ledger, name)
        assert shown.bytes == after.held
        assert shown.slab_share_bytes == pytest.approx(after.share)
        assert shown.use is not None
        assert int(shown.use * 100) == after.used_percent, name
        assert after.held * (1 - shown.use) == pytest.approx(after.idle, abs=0.01), name
    assert objects == CONNECTIONS * figure.object_bytes
    slab = (figure.slab_kb[1] - figure.slab_kb[0]) * 1024
    assert grown / slab - 1 == pytest.approx(figure.off, abs=0.0006)
    assert abs(figure.off) <= TOLERANCE


@each_published
def test_the_ledger_predicts_the_published_figure_of_a_whole_socket(figure: Published, tmp_path: Path) -> None:
    """The published 3.34, 3.05 and 3.31 kB are 3.23, 3.14 and 3.39 kB here; a quarter of a mini-socket's figure is idle
    slab and objects of other users.
    """
    found, fin = cost_of_connection(machine(tmp_path, figure), figure)
    assert found.slab_bytes is not None
    predicted = (found.slab_bytes + (fin[1] if fin else 0)) / 1024
    measured = (figure.slab_kb[1] - figure.slab_kb[0]) / CONNECTIONS
    if figure.object_bytes > 3000:
        assert predicted == pytest.approx(measured, rel=0.035)
    else:
        assert predicted == 0.3125
        assert measured - predicted == pytest.approx(0.094, abs=0.011)
        [most] = [name for name, kb in figure.idle_kb.items() if kb == max(figure.idle_kb.values())]
        assert most == "kmalloc-64", "2,260 slabs remain after 50,000 whole sockets; there were 984 before"
