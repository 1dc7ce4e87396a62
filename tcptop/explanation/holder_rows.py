"""Rows of the table of holders: groups of sockets added up by owner, process, cgroup, port, state and more."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from math import inf
from typing import Literal, NamedTuple, get_args

from tcptop.ledger import Amount
from tcptop.ledger.holders import Holder, HolderGroup, Holders
from tcptop.snapshot.socket_table import RowAsk
from tcptop.text.units import grouped

Grouping = Literal["owner", "process", "cgroup", "netns", "port", "state", "user", "peer"]
GROUPINGS: tuple[Grouping, ...] = get_args(Grouping)
BY_PROCESS: tuple[Grouping, ...] = ("owner", "process")
"""Groupings whose rows are estimates if the descriptors of a process were sampled. In all other groupings, a row adds
up the estimated shares of all processes. The sum is exact, because the shares in each group of sockets add up to 1."""

SortKey = Literal["memory", "sockets", "slab", "buffers", "unread", "unsent", "drops"]
SORTS: tuple[SortKey, ...] = get_args(SortKey)

MAX_ROWS = 30
"""Default for the maximum number of rows of a report."""

KIND_NAMES: Mapping[str, str] = {
    "orphan": "(orphan)",
    "kernel": "(kernel)",
    "handshake": "(handshake)",
    "no_process": "(no process)",
    "not_seen": "(not seen)",
}
"""Names of those holders that are not processes."""


class HolderRow(NamedTuple):
    """A row of the table: the sockets of all groups that the grouping puts together."""

    key: str
    """Text that identifies the row from one table to the next."""
    name: str
    """Text of the row's first column."""
    owner: str
    state: str
    """The TCP state of the sockets; `4 states` if there are several."""
    service: str
    """Text such as `in :8080` on the server side, `to :443` on the client side, or `3 ports` if there are several."""
    user: str
    cgroup: str
    """Path of the cgroup; empty if unknown."""
    namespace: str
    is_estimated: bool
    sockets: float
    slab_bytes: Amount | None
    """Bytes of slabs; None if the cost of a part is unknown."""
    buffer_bytes: float
    charged: Amount
    """Bounds on the bytes that are charged for the buffers; both are `buffer_bytes` unless the look has more than is
    charged."""
    unread_bytes: float
    unsent_bytes: float
    drops: float | None
    cgroup_sock_bytes: int | None
    """Value of `sock` in the cgroup's memory.stat, if all sockets of the row are in one cgroup."""
    cgroup_kernel_bytes: int | None
    groups: tuple[HolderGroup, ...]

    @property
    def bytes(self) -> float | None:
        """The lower bound on the slab bytes, plus the buffers; None if either is unknown."""
        if self.slab_bytes is None or self.is_charge_a_range:
            return None
        return self.slab_bytes.low + self.buffer_bytes

    @property
    def is_charge_a_range(self) -> bool:
        """True if it is not known how much of the buffers is charged."""
        return self.charged.low < self.charged.high

    @property
    def memory(self) -> Amount:
        """Slab, and buffers as charged."""
        low, high = self.slab_bytes or (0.0, inf)
        return Amount(low + self.charged.low, high + self.charged.high)


class RowFilter(NamedTuple):
    """Selects the groups of a table by state and port, and its rows by text; an empty field excludes nothing."""

    states: frozenset[str] = frozenset()
    port: int | None = None
    text: str = ""
    """Text that must occur in the name, owner, cgroup or service of a row."""


ALL_ROWS = RowFilter()


def holder_rows(
    holders: Holders,
    by: Grouping = "owner",
    chosen: RowFilter = ALL_ROWS,
    sort: SortKey = "memory",
    top: int | None = None,
) -> list[HolderRow]:
    """The rows of a table, sorted by `sort`, the largest first.

    If `top` is given, all rows after the first `top` are added up in one row.
    """
    key_of = KEYS[by]
    merged: dict[str, list[HolderGroup]] = defaultdict(list)
    for group in holders.groups:
        if (not chosen.states or group.state in chosen.states) and chosen.port in (None, group.port):
            merged[key_of(holders, group)].append(group)
    rows = [_row(holders, key, groups) for key, groups in merged.items()]
    wanted = chosen.text.casefold()
    if wanted:
        rows = [
            row
            for row in rows
            if any(wanted in text.casefold() for text in (row.name, row.owner, row.cgroup, row.service))
        ]
    rows.sort(key=lambda row: (-_measure(row, sort), row.key))
    if top is not None and len(rows) > top:
        rest = [group for row in rows[top:] for group in row.groups]
        others = "1 other" if len(rows) - top == 1 else f"{grouped(len(rows) - top)} others"
        rows = [*rows[:top], _row(holders, others, rest)]
    return rows if by in BY_PROCESS else [row._replace(is_estimated=False) for row in rows]


def _measure(row: HolderRow, sort: SortKey) -> float:
    """The value by which rows are sorted; of slab bytes known within bounds, the lower bound, of buffers the upper."""
    slab_bytes = row.memory.low - row.charged.low
    amounts = {
        "memory": slab_bytes + row.charged.high,
        "slab": slab_bytes,
        "sockets": row.sockets,
        "buffers": row.charged.high,
        "unread": row.unread_bytes,
        "unsent": row.unsent_bytes,
        "drops": row.drops or 0,
    }
    return amounts[sort]


def row_asks(groups: Iterable[HolderGroup]) -> list[RowAsk]:
    """Requests for the single sockets of the largest group's port; the request for the largest group comes first.

    Mini-sockets and listeners are left out, because they have neither queues nor a connection.
    """
    chosen = [group for group in groups if not group.is_mini and group.state != "LISTEN"]
    asks = dict.fromkeys(
        RowAsk(group.namespace, group.state, group.is_server, group.port)
        for group in sorted(chosen, key=lambda each: -each.sockets)
        if group.port is not None
    )
    return [ask for ask in asks if ask.port == next(iter(asks)).port]


QUEUE_OF = "queue of "
"""Start of the name of an accept queue."""


def owner_name(holder: Holder) -> str:
    """Name of a holder: `name[pid]` or `queue of name[pid]`; if it is not a process, a name such as `(orphan)`."""
    if holder.kind in KIND_NAMES:
        return KIND_NAMES[holder.kind]
    process = f"{holder.command or '?'}[{holder.pid}]" if holder.pid is not None else "a listener"
    return f"{QUEUE_OF}{process}" if holder.kind == "queue" else process


def process_name(holders: Holders, pid: int | None) -> str:
    """Text `name[pid]` for a process; empty if `holders` has no process with this PID."""
    process = None if pid is None else holders.process_of.get(pid)
    return "" if process is None else f"{process.command}[{process.pid}]"


def service_name(group: HolderGroup) -> str:
    """Text such as `in :8080` on the server side, and `to :443` on the client side."""
    port = "many ports" if group.port is None else f":{group.port}"
    return f"{'in' if group.is_server else 'to'} {port}"


def cgroup_name(holders: Holders, number: int) -> str:
    """Path of a cgroup; empty if the kernel does not tell the cgroup.

    `gone 4711` if the cgroup no longer exists; `not visible here 4711` if it may be outside tcptop's cgroup namespace.
    """
    if not number:
        return ""
    cgroup = holders.cgroup_of.get(number)
    if cgroup is not None:
        return cgroup.path
    return f"gone {number}" if holders.cgroups_visible else f"not visible here {number}"


CONTAINER_ID = re.compile(r"[0-9a-f]{32,}")
"""Matches the id of a container in the name of its cgroup, such as `cri-containerd-<64 digits>.scope`."""
ID_DIGITS = 12
"""Number of digits of a container's id that are shown, as by `docker ps` and `crictl ps`."""
CGROUP_COLUMNS = 40
"""Width of a column of cgroups if there is room; the least in which the type and the id of each container fit."""


def cgroup_variants(path: str, mark: str = "…") -> list[str]:
    """The path of a cgroup, and shorter variants that keep its end, where `mark` stands for what is left out.

    The id of a container stays in every variant, and with it what is below the container's cgroup, so that two
    containers never look alike.
    """
    names = [CONTAINER_ID.sub(lambda found: f"{found[0][:ID_DIGITS]}{mark}", name) for name in path.split("/")]
    ids = [(at, found) for at, name in enumerate(path.split("/")) if (found := CONTAINER_ID.search(name))]
    at = ids[-1][0] if ids else len(names) - 1
    variants = [path, *([path_of_ids] if (path_of_ids := "/".join(names)) != path else [])]
    variants += (f"{mark}/{'/'.join(names[start:])}" for start in range(2, at + 1))
    if not ids:
        return [*variants, names[-1] or path]
    below = names[at + 1 :]
    end = "" if not below else f"/{below[-1]}" if len(below) == 1 else f"/{mark}/{below[-1]}"
    found = ids[-1][1]
    digits = found[0][:ID_DIGITS]
    containers = (names[at], f"{found.string[: found.start()]}{digits}{mark}", f"{digits}{mark}")
    variants += (f"{container}{end}" for container in containers)
    return [*variants, f"{digits[: ID_DIGITS // 2]}{mark}{end}"] if end else variants


def short_cgroup(path: str, columns: int, mark: str = "…") -> str:
    """The first variant of a cgroup's path that fits; if none fits, the last one, which is too wide."""
    variants = cgroup_variants(path, mark)
    return next((text for text in variants if len(text) <= columns), variants[-1])


def user_name(holders: Holders, uid: int | None) -> str:
    """Name of a user, or the user's number; empty if unknown."""
    return "" if uid is None else holders.user_of.get(uid, str(uid))


def namespace_name(holders: Holders, number: int) -> str:
    """Name of a network namespace: `here` for tcptop's own, otherwise the name of its mount, otherwise its number."""
    for namespace in holders.namespaces:
        if namespace.inode == number:
            return "here" if namespace.is_here else namespace.name or str(number)
    return str(number)


def _owner_key(holders: Holders, group: HolderGroup) -> str:
    return "\t".join(
        (
            owner_name(group.holder),
            group.state,
            service_name(group),
            str(group.namespace),
            cgroup_name(holders, group.cgroup),
        )
    )


KEYS: Mapping[Grouping, Callable[[Holders, HolderGroup], str]] = {
    "owner": _owner_key,
    "process": lambda _, group: owner_name(group.holder),
    "cgroup": lambda holders, group: cgroup_name(holders, group.cgroup) or "(no cgroup)",
    "netns": lambda holders, group: namespace_name(holders, group.namespace),
    "port": lambda _, group: service_name(group),
    "state": lambda _, group: group.state,
    "user": lambda holders, group: user_name(holders, group.uid) or "(not known)",
    "peer": lambda _, group: group.peer or "(not asked)",
}
"""Maps each grouping to a function that gives the key of a group; groups with the same key are added up in one row."""


def _row(holders: Holders, key: str, groups: Sequence[HolderGroup]) -> HolderRow:
    slab = [group.slab_bytes for group in groups]
    drops = [group.drops for group in groups]
    known = [amount for amount in slab if amount is not None]
    cgroups = {group.cgroup for group in groups}
    memory = holders.cgroup_of.get(next(iter(cgroups))) if len(cgroups) == 1 else None
    buffer_bytes = sum(group.buffer_bytes for group in groups)
    unsent_bytes = sum(group.unsent_bytes for group in groups)
    return HolderRow(
        key=key,
        name=key.partition("\t")[0],
        owner=_one_or_many((owner_name(group.holder) for group in groups), "owners"),
        state=_one_or_many((group.state for group in groups), "states"),
        service=_one_or_many((service_name(group) for group in groups), "ports"),
        user=_one_or_many((user_name(holders, group.uid) for group in groups), "users"),
        cgroup=_one_or_many((cgroup_name(holders, group.cgroup) for group in groups), "cgroups"),
        namespace=_one_or_many((namespace_name(holders, group.namespace) for group in groups), "netns"),
        is_estimated=any(group.holder.is_estimated for group in groups),
        sockets=sum(group.sockets for group in groups),
        slab_bytes=Amount(sum(each.low for each in known), sum(each.high for each in known))
        if len(known) == len(slab)
        else None,
        buffer_bytes=buffer_bytes,
        charged=holders.sums.charged(buffer_bytes, unsent_bytes),
        unread_bytes=sum(group.unread_bytes for group in groups),
        unsent_bytes=unsent_bytes,
        drops=None if None in drops else sum(filter(None, drops)),
        cgroup_sock_bytes=memory.sock_bytes if memory else None,
        cgroup_kernel_bytes=memory.kernel_bytes if memory else None,
        groups=tuple(groups),
    )


def _one_or_many(texts: Iterable[str], what: str) -> str:
    """The text that all groups of a row have in common; if the texts differ, their number, such as `4 states`."""
    unlike = set(texts)
    return next(iter(unlike)) if len(unlike) == 1 else f"{grouped(len(unlike))} {what}"
