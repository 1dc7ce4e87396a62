"""Bytes per TCP connection: the cost of one more socket, by family and side.

The average over all present sockets is in socket_average.py, the objects of one socket in socket_cost.py.
"""

from collections.abc import Mapping

from tcptop.accounting.cache_table import CacheTable
from tcptop.accounting.socket_average import FAMILY_OBJECTS, MIN_SOCKETS_PER_CPU, too_few, with_averages
from tcptop.accounting.socket_cost import IPV4, IPV6, FamilyMix, socket_cost
from tcptop.kernel.objects import KernelObject, State
from tcptop.ledger import AccountingMode, ConnectionCost, CostBySide, Family, SocketCounts
from tcptop.snapshot import Snapshot

STATE_OF_MODE: Mapping[AccountingMode, State] = {"full": State.ESTABLISHED, "time_wait": State.TIME_WAIT}
SHARES_UNKNOWN = "IPv6's share (the sockets in use of both families are not known)"


def connection_costs(
    snapshot: Snapshot,
    table: CacheTable,
    sockets: SocketCounts,
    cpus: int | None,
    mixes: Mapping[AccountingMode, FamilyMix],
    before: Mapping[AccountingMode, ConnectionCost] | None = None,
) -> dict[AccountingMode, ConnectionCost]:
    """The cost of one more socket and the present average, in both accounting modes.

    `before` has the costs in the previous sample of the same machine. If the number of sockets changes too fast for new
    averages, the averages in `before` are used.
    """
    by_family = {mode: _costs_by_family(snapshot, table, mode, mix) for mode, mix in mixes.items()}
    return with_averages(snapshot, table, sockets, cpus, mixes, by_family, before)


def family_mixes(table: CacheTable, sockets: SocketCounts, cpus: int | None) -> dict[AccountingMode, FamilyMix]:
    """The shares of IPv4 and IPv6 among full sockets and among mini-sockets, by accounting mode."""
    of_socks = _sock_mix(table, sockets, cpus)
    return {"full": of_socks, "time_wait": _mini_socket_mix(table, cpus) or of_socks}


def _sock_mix(table: CacheTable, sockets: SocketCounts, cpus: int | None) -> FamilyMix:
    """The shares of IPv4 and IPv6 among active objects of the caches TCP and TCPv6, if enough objects are active.

    The sockets of a family are at most all sockets less those of the other family that are in use here. If all sockets
    are of one family, no free object on a per-CPU slab then counts as a socket of the other family.

    If there are few sockets, most objects that count as active are free objects on per-CPU slabs. If too few objects
    are active, the shares come from the sockets in use in this network namespace. If this network namespace has no
    socket in use, the share of IPv4 is 1. If IPv6 exists and a number of sockets in use is unknown, the shares are
    unknown.
    """
    active4, active6 = (_active(table, kernel_object) for kernel_object in FAMILY_OBJECTS["full"])
    if sockets.allocated is not None:
        # An active object above this bound is a free one on a per-CPU slab.
        active4 = min(active4, max(0, sockets.allocated - (sockets.inuse6 or 0)))
        active6 = min(active6, max(0, sockets.allocated - (sockets.inuse or 0)))
    enough = too_few(sockets.allocated, cpus, "sockets") is None
    if enough and active4 + active6 >= MIN_SOCKETS_PER_CPU * (cpus or 1):
        return FamilyMix(active4 / (active4 + active6), active6 / (active4 + active6))
    inuse4, inuse6 = sockets.inuse, sockets.inuse6
    if table.find(FAMILY_OBJECTS["full"][1]).status == "absent":
        return IPV4
    if inuse4 is None or inuse6 is None:
        return IPV4._replace(missing=(SHARES_UNKNOWN,))
    if inuse4 + inuse6:
        return FamilyMix(inuse4 / (inuse4 + inuse6), inuse6 / (inuse4 + inuse6))
    return IPV4


def _mini_socket_mix(table: CacheTable, cpus: int | None) -> FamilyMix | None:
    """The shares of IPv4 and IPv6 among active mini-sockets; None if there are too few mini-sockets.

    A family without a mini-socket that is certainly in use has the share 0 if the other family has one.
    """
    items = FAMILY_OBJECTS["time_wait"]
    active4, active6 = (_active(table, item) for item in items)
    if active4 + active6 < MIN_SOCKETS_PER_CPU * (cpus or 1):
        return None
    sure4, sure6 = (_surely_in_use(table, item) for item in items)
    if not sure4 or not sure6:
        active4, active6 = (active4 if sure4 or not sure6 else 0), (active6 if sure6 or not sure4 else 0)
    return FamilyMix(active4 / (active4 + active6), active6 / (active4 + active6))


def _costs_by_family(
    snapshot: Snapshot, table: CacheTable, mode: AccountingMode, mix: FamilyMix
) -> dict[Family, CostBySide]:
    state = STATE_OF_MODE[mode]
    mixes: dict[Family, FamilyMix] = {"ipv4": IPV4, "ipv6": IPV6, "mix": mix}
    return {
        family: CostBySide(
            accepted=socket_cost(snapshot, table, state, family_mix, owns_port=False),
            outgoing=socket_cost(snapshot, table, state, family_mix, owns_port=True),
        )
        for family, family_mix in mixes.items()
    }


def _active(table: CacheTable, kernel_object: KernelObject) -> int:
    return table.max_in_use(kernel_object) or 0


def _surely_in_use(table: CacheTable, kernel_object: KernelObject) -> int:
    """The active objects of a cache less those that may be free ones on per-CPU slabs."""
    line = table.find(kernel_object).line
    error = line.idle_error_objects if line is not None else None
    active = _active(table, kernel_object)
    return max(0, active - (active if error is None else error))
