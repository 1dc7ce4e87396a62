"""Relations of a look, which is one reading of all sockets: groups of sockets, listeners, and sockstat's counters."""

from typing import NamedTuple

from tcptop.accounting.contradictions.relation import SOCKETS_LATER, Facts, Relation, with_later_sockets
from tcptop.accounting.contradictions.socket_relations import SOCK_BYTES, larger_and_smaller

LOOK = "sock_diag/sockets"
COPIES = 16
"""Upper bound on the average number of sockets that queue the same page to send it (sendfile(2), MSG_ZEROCOPY)."""


class LookSums(NamedTuple):
    """Sums over a reading of all sockets, and sockstat's counters in the same reading; an unknown counter is None."""

    sockets: int
    """Number of full sockets and listeners; mini-sockets and handshakes are left out."""
    allocated: int | None
    """Counter `alloc` of sockstat. If `alloc` was read in several namespaces, the largest value is used."""
    time_wait: int
    time_wait_counted: int | None
    """Sum of the counters `tw` of all namespaces. Each `tw` counts at least the mini-sockets of its own namespace."""
    orphans: int
    orphans_counted: int | None
    queued: int
    """Number of connections that wait in accept queues, according to the listeners."""
    held_bytes: int
    """Bytes of received segments (rmem), and bytes that are charged to sockets in advance (fwd)."""
    buffer_bytes: int


class LookPlace(NamedTuple):
    """The full sockets of one network namespace, and the sum of the namespace's counters `inuse` and `inuse6`.

    Namespaces of which only a part of the sockets was read are left out.
    """

    inode: int
    sockets: int
    in_use: int | None


def _at_most(name: str, field: str, counter: str, words: str) -> Relation[LookSums, Facts]:
    """Makes a relation: a reading of all sockets has at most as many sockets of one kind as sockstat counts."""
    return Relation(
        name,
        f"{LOOK}, /proc/net/sockstat",
        (),
        lambda sums, _: (getattr(sums, field), with_later_sockets(getattr(sums, counter))),
        f"{{figure}} {words}, and sockstat counts {{item.{counter}:,}} in the same look",
        SOCKETS_LATER,
    )


LOOK_RELATIONS: tuple[Relation[LookSums, Facts], ...] = (
    _at_most("sockets of a look of allocated ones", "sockets", "allocated", "sockets"),
    _at_most("TIME_WAIT sockets of a look", "time_wait", "time_wait_counted", "sockets in TIME_WAIT"),
    _at_most("orphans of a look", "orphans", "orphans_counted", "orphans"),
    _at_most("queued of allocated sockets", "queued", "allocated", "connections in accept queues"),
    Relation(
        "sockets of a look in memory",
        f"{LOOK}, /proc/meminfo, /proc/zoneinfo",
        (),
        lambda sums, facts: (sums.sockets * SOCK_BYTES, facts.machine.memory_bytes),
        "{item.sockets:,} sockets: these are {figure} B at least, and the machine has {bound} B",
        "none: the size is a lower bound on all kernels",
    ),
    Relation(
        "received buffers of a look in memory",
        f"{LOOK}, /proc/meminfo, /proc/zoneinfo",
        (),
        lambda sums, facts: (sums.held_bytes, facts.machine.memory_bytes),
        "received buffers of {figure} B, and the machine has {bound} B",
        "none: no page of them belongs to two sockets (net/core/sock.c, __sk_mem_raise_allocated)",
    ),
    Relation(
        "buffers of a look in memory",
        f"{LOOK}, /proc/meminfo, /proc/zoneinfo",
        (),
        lambda sums, facts: (sums.buffer_bytes, COPIES * facts.machine.memory_bytes),
        "buffers of {item.buffer_bytes:,} B, far more than the machine's memory",
        "16 times the memory: sendfile(2) and MSG_ZEROCOPY queue a page in many sockets (sk_wmem_queued)",
    ),
    Relation(
        "buffers of a look are positive",
        LOOK,
        (),
        lambda sums, facts: (-sums.buffer_bytes, facts.machine.drift_bytes),
        "the sum of the buffers is {figure} B below 0",
        "some pages on each CPU: sk_forward_alloc is read without a lock (net/core/sock.c, sk_get_meminfo)",
    ),
)

PLACE_RELATION: Relation[LookPlace, Facts] = Relation(
    "sockets of a look in use",
    f"{LOOK}, /proc/net/sockstat, /proc/net/sockstat6",
    (),
    lambda place, _: larger_and_smaller(place.sockets, place.in_use),
    "{item.sockets:,} sockets in network namespace {item.inode}, and sockstat has {item.in_use:,} in use there",
    f"{SOCKETS_LATER}; a socket is in use while it is in a hash table (net/ipv4/inet_hashtables.c, inet_hash)",
)
