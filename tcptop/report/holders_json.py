"""The holders of the sockets as JSON, for the key `holders` of a report. Unknown values are null."""

from __future__ import annotations

from collections.abc import Iterable
from math import inf
from typing import Any

from tcptop.explanation.holder_rows import Grouping, HolderRow, cgroup_name
from tcptop.ledger import Amount
from tcptop.ledger.holders import Holder, HolderGroup, Holders
from tcptop.snapshot.socket_table import AF_INET, AF_INET6, Listener, SharedSockets, SocketNamespace

Json = dict[str, Any]

FAMILIES = {AF_INET: "ipv4", AF_INET6: "ipv6"}


def holders_as_object(
    holders: Holders, by: Grouping = "owner", rows: Iterable[HolderRow] | None = None, taken_at: str | None = None
) -> Json:
    """The holders as a dictionary that `json.dumps` can write. `rows` has the rows of the table of `tcptop who`."""
    rows = None if rows is None else list(rows)
    groups = holders.groups if rows is None else [group for row in rows for group in row.groups]
    return {
        "by": by,
        "taken_at": taken_at,
        "age_s": None if holders.age_s is None else round(holders.age_s, 3),
        "took_us": holders.took_us,
        "complete": holders.complete,
        "missing": list(holders.missing),
        "namespaces": [_namespace(each) for each in holders.namespaces],
        "sums": dict(holders.sums._asdict()),
        **({} if rows is None else {"rows": [_row(row) for row in rows]}),
        "groups": [_group(holders, group) for group in groups],
        "listeners": [_listener(holders, each) for each in holders.listeners],
        "shared": [_shared(holders, each) for each in holders.shared],
        "verdicts": [
            {
                "kind": each.kind,
                "text": each.text,
                "remedy": each.remedy or None,
                "sockets": _whole(each.sockets),
                "bytes": _whole(each.bytes),
            }
            for each in holders.verdicts
        ],
    }


def _namespace(namespace: SocketNamespace) -> Json:
    counters = namespace.counters
    in_use = [counters[name] for name in ("inuse", "inuse6") if name in counters]
    return {
        "inode": namespace.inode,
        "name": namespace.name or None,
        "found_by": namespace.found_by,
        "here": namespace.is_here,
        "inuse": sum(in_use) if in_use else None,
        "time_wait": counters.get("tw"),
        "asked": namespace.asked,
        "reason": namespace.reason or None,
    }


def _row(row: HolderRow) -> Json:
    return {
        "name": row.name,
        "owner": row.owner,
        "state": row.state,
        "service": row.service,
        "user": row.user or None,
        "cgroup": row.cgroup or None,
        "netns": row.namespace,
        "estimated": row.is_estimated,
        "sockets": round(row.sockets),
        **_slab(row),
        "buffer_bytes": round(row.buffer_bytes),
        **_charged(row.charged),
        "unread_bytes": round(row.unread_bytes),
        "unsent_bytes": round(row.unsent_bytes),
        "drops": None if row.drops is None else round(row.drops),
        "cgroup_sock_bytes": row.cgroup_sock_bytes,
        "cgroup_kernel_bytes": row.cgroup_kernel_bytes,
    }


def _slab(of: HolderRow | HolderGroup) -> Json:
    """The bounds on the slab bytes; the upper bound is null if it is unknown."""
    amount = of.slab_bytes
    return {
        "slab_bytes": None if amount is None else round(amount.low),
        "slab_high_bytes": None if amount is None or amount.high == inf else round(amount.high),
    }


def _charged(amount: Amount) -> Json:
    """The bounds on what is charged for the buffers."""
    return {"buffer_low_bytes": round(amount.low), "buffer_high_bytes": round(amount.high)}


def _group(holders: Holders, group: HolderGroup) -> Json:
    return {
        "owner": _owner(group.holder),
        "state": group.state,
        "mini": group.is_mini,
        "family": FAMILIES.get(group.family),
        "side": "server" if group.is_server else "client",
        "port": group.port,
        "uid": group.uid,
        "cgroup": {"id": group.cgroup, "path": cgroup_name(holders, group.cgroup)} if group.cgroup else None,
        "netns": group.namespace,
        "peer": group.peer or None,
        "sockets": round(group.sockets),
        **_slab(group),
        "buffer_bytes": round(group.buffer_bytes),
        **_charged(holders.sums.charged(group.buffer_bytes, group.unsent_bytes)),
        "unread_bytes": round(group.unread_bytes),
        "unsent_bytes": round(group.unsent_bytes),
        "drops": None if group.drops is None else round(group.drops),
    }


def _owner(holder: Holder) -> Json:
    return {
        "kind": holder.kind,
        "pid": holder.pid,
        "comm": holder.command or None,
        "estimated": holder.is_estimated,
    }


def _listener(holders: Holders, listener: Listener) -> Json:
    process = None if listener.pid is None else holders.process_of.get(listener.pid)
    return {
        "port": listener.port,
        "family": FAMILIES.get(listener.family),
        "netns": listener.namespace,
        "queue": listener.queue,
        "limit": listener.limit,
        "drops": listener.drops,
        "owner": None if process is None else {"pid": process.pid, "comm": process.command},
    }


def _shared(holders: Holders, shared: SharedSockets) -> Json:
    of = (holders.process_of.get(pid) for pid in (shared.pid, shared.other_pid))
    command, other_command = (None if process is None else process.command for process in of)
    return {
        "pid": shared.pid,
        "comm": command,
        "other_pid": shared.other_pid,
        "other_comm": other_command,
        "sockets": shared.sockets,
    }


def _whole(amount: float | None) -> int | None:
    return None if amount is None else round(amount)
