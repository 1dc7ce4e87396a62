"""Made-up lists of all sockets, in the format of tcptop/sock_diag/look.py."""

from __future__ import annotations

from pathlib import Path

from recorded import copy_recording

from tcptop.snapshot.socket_table import SocketTable
from tcptop.sock_diag import FIRST_LINE, SOCKETS_PATH
from tcptop.sock_diag.dump import STATES
from tcptop.sock_diag.fold import SUMS
from tcptop.sources.socket_table import SocketTableSource

HERE = 4026531840


def look_text(*lines: str, processes: str = "10\t0", took_us: int = 12_000) -> str:
    """The text of a list with the given lines."""
    return "".join(
        f"{line}\n"
        for line in (
            FIRST_LINE,
            f"took_us\t{took_us}",
            "module\tbuiltin",
            "scope\tmachine",
            f"processes\t{processes}",
            *lines,
        )
    )


def net(
    inode: int | None = HERE,
    here: bool = True,
    asked: str = "asked",
    name: str = "",
    reason: str = "",
    found_by: str = "process",
    **counters: int,
) -> str:
    """The line of a network namespace."""
    pairs = " ".join(f"{key}={value}" for key, value in counters.items())
    where = "here" if here else "other"
    return f"net\t{_text(inode)}\t{where}\t{found_by}\t{asked}\t{pairs}\t{name}\t{reason}"


def listen(
    port: int = 8080,
    queue: int = 0,
    limit: int = 128,
    drops: int | None = 0,
    pid: int | None = None,
    namespace: int = HERE,
    family: int = 2,
    uid: int = 0,
    cgroup: int = 0,
) -> str:
    """The line of a listener."""
    return "listen\t" + "\t".join(map(_text, (namespace, family, port, queue, limit, drops, uid, cgroup, pid)))


def group(
    owner: str = "whole:10",
    sockets: int = 1,
    state: str = "ESTABLISHED",
    mini: bool = False,
    server: bool = True,
    port: int | None = 8080,
    namespace: int = HERE,
    family: int = 2,
    uid: int = 0,
    cgroup: int = 0,
    peer: str = "",
    fast_open: bool = False,
    **sums: int,
) -> str:
    """The line of a group; `sums` are named as in `fold.SUMS`."""
    assert sums.keys() <= set(SUMS)
    amounts = " ".join(str(sums.get(name, 0)) for name in SUMS)
    side = "server" if server else "client"
    kind = 2 if fast_open else int(mini)
    columns = (namespace, family, STATES[state], kind, side, _text(port), uid, cgroup, owner, sockets, amounts)
    return "group\t" + "\t".join(map(str, columns)) + f"\t{peer}"


def process(
    pid: int = 10,
    command: str = "server",
    whole: bool = True,
    weight: float = 1,
    descriptors: int | None = None,
    sockets: int = 20,
    limit: int | None = None,
    namespace: int | None = None,
) -> str:
    """The line of a process. A sample has 24 low descriptors and 40 at random, unless `descriptors` is given."""
    if descriptors is None:
        descriptors = 40 if whole else round(24 + 40 * weight)
    kind = "whole" if whole else "sample"
    return (
        f"process\t{pid}\t{descriptors}\t{_text(limit)}\t{kind}\t{sockets}\t{weight:g}\t{command}\t{_text(namespace)}"
    )


def shared(pid: int, other_pid: int, sockets: int) -> str:
    """The line of sockets that two processes have."""
    return f"shared\t{pid}\t{other_pid}\t{sockets}"


def cgroup(number: int, path: str, sock: int | None = None, kernel: int | None = None) -> str:
    """The line of a cgroup."""
    return f"cgroup\t{number}\t{_text(sock)}\t{_text(kernel)}\t{path}"


def table_of(*lines: str) -> SocketTable:
    """The socket table that is parsed from the given lines."""
    table, damage = SocketTableSource().parse(look_text(*lines))
    assert table is not None
    assert damage is None
    return table


def tree_with_look(folder: Path, text: str | bytes, kernel: str = "6.1-4n") -> Path:
    """A copy of a recorded tree, with the text of a list of sockets added."""
    root = copy_recording(kernel, "established", folder)
    target = root / SOCKETS_PATH
    target.parent.mkdir()
    target.write_bytes(text if isinstance(text, bytes) else text.encode())
    return root


def _text(value: int | None) -> str:
    return "-" if value is None else str(value)


WHOLE_MACHINE = (
    net(
        inuse=1_212,
        inuse6=0,
        tw=1_500,
        alloc=1_802,
        orphan=300,
        mem=6_000,
        TCPReqQFullDrop=0,
        tcp_max_tw_buckets=16_384,
        unread_processes=0,
    ),
    net(4026532300, False, name="blue", found_by="mount", inuse=600, inuse6=2, tw=0),
    listen(8080, 301, 300, 199, 10, cgroup=77),
    listen(9090, 0, 128, None, None, 4026532300, family=10, uid=1000),
    group("whole:10", 600, "CLOSE_WAIT", cgroup=77, rmem=614_400, fwd=1_843_200, rqueue=600, drops=7),
    group("none", 301, cgroup=77),
    group("none", 300, "FIN_WAIT1", server=False, cgroup=4711, wmem_queued=20_000_000, wqueue=19_000_000),
    group("none", 1_500, "TIME_WAIT", mini=True, server=False, port=None),
    group("none", 10, "SYN_RECV"),
    group("unseen", 200, port=9090, namespace=4026532300, family=10, uid=1000),
    group("sampled:11", 40, server=False, port=443, namespace=4026532300, uid=1000, cgroup=78),
    group("unseen", 360, server=False, port=443, namespace=4026532300, uid=1000, cgroup=78),
    process(10, "hoarder", limit=1024),
    process(11, "client", False, 9.5, 1_000, 40),
    cgroup(77, "/system.slice/api.service", 2_457_600, 9_000_000),
    cgroup(78, "/kubepods.slice/kubepods-pod4f00aa11.slice/cri-a1.scope"),
    "user\t0\troot",
    "user\t1000\tanna",
)
"""A machine with two network namespaces and an owner of each kind except `not_seen`."""
