"""The audit of a look (a reading of all sockets): sums over the sockets are compared with sockstat's counters."""

from collections import Counter

from tcptop.accounting.contradictions.audit import Audit, find_failures
from tcptop.accounting.contradictions.look_relations import LOOK_RELATIONS, PLACE_RELATION, LookPlace, LookSums
from tcptop.accounting.contradictions.relation import Facts
from tcptop.accounting.socket_owners import ORPHAN_STATES
from tcptop.recall import Recall, Same
from tcptop.snapshot.socket_table import SocketTable


def check_look(audit: Audit, facts: Facts) -> None:
    """Checks a look, which is a reading of all sockets.

    If a look has impossible figures, the figures are kept, but the state of the look's source becomes `strange`.
    """
    table: SocketTable | None = audit.snapshot.socket_table.value
    if table is None:
        return
    _recall_sums.begin_round()
    sums, places = _recall_sums(Same(table))
    sentences = [text for *_, text in find_failures([sums], LOOK_RELATIONS, facts)]
    sentences += [text for *_, text in find_failures(places, [PLACE_RELATION], facts)]
    audit.mark("socket_table", sentences)


def _find_sums(same: Same[SocketTable]) -> tuple[LookSums, tuple[LookPlace, ...]]:
    table = same.value
    sockets_in: Counter[int] = Counter(listener.namespace for listener in table.listeners)
    time_wait = orphans = held_bytes = buffer_bytes = 0
    for group in table.groups:
        if group.is_mini:
            time_wait += group.sockets
        elif group.is_full:
            sockets_in[group.namespace] += group.sockets
            if group.owner == "none" and group.state in ORPHAN_STATES:
                orphans += group.sockets
        held_bytes += group.rmem + group.fwd
        buffer_bytes += group.buffer_bytes
    counters = [each.counters for each in table.namespaces]
    by_name = {name: [each[name] for each in counters if name in each] for name in ("alloc", "tw", "orphan")}
    sums = LookSums(
        sockets=sum(sockets_in.values()),
        allocated=max(by_name["alloc"], default=None),
        time_wait=time_wait,
        time_wait_counted=sum(by_name["tw"]) if by_name["tw"] else None,
        orphans=orphans,
        orphans_counted=max(by_name["orphan"], default=None),
        queued=sum(listener.queue for listener in table.listeners),
        held_bytes=held_bytes,
        buffer_bytes=buffer_bytes,
    )
    places = tuple(
        LookPlace(
            each.inode,
            sockets_in[each.inode],
            each.counters["inuse"] + each.counters["inuse6"]
            if "inuse" in each.counters and "inuse6" in each.counters
            else None,
        )
        for each in table.namespaces
        if each.asked == "asked" and each.inode is not None
    )
    return sums, places


_recall_sums = Recall(_find_sums)
