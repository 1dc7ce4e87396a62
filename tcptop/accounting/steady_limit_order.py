"""Keeps the order of the limits on the screen steady over several samples.

The limits of one sample are sorted in limits.py, the nearest first. If a limit becomes nearer than the limit above it,
the screen exchanges the two only after some seconds. A limit with a more severe alarm moves up at once.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import combinations
from typing import NamedTuple

from tcptop.kernel.limits import LimitName
from tcptop.ledger import ALARM_STATES, AccountingMode, Ledger, Limit, Limits

HOLD_S = 10.0
"""Time in seconds for which a limit must be nearer than the limit above it, before the two limits exchange their
places."""
MAX_GAP_S = 150.0
"""If two samples are more than this time in seconds apart, the second sample does not keep the order of the first.

MAX_GAP_S is longer than twice the longest interval between samples. The order is therefore kept even with long
intervals, and nearly equal limits do not exchange their places in each sample.
"""


class LimitOrder(NamedTuple):
    """The order of the limits in one accounting mode in a sample, and the exchanges of places that are pending."""

    at_unix_s: float | None = None
    names: tuple[LimitName, ...] = ()
    """Names of the limits, in the order in which the screen shows the limits."""
    nearer_since_s: Mapping[tuple[LimitName, LimitName], float] = {}
    """Maps a pair of limits (the one above, the one below on the screen) to the time since which the ledgers have the
    second limit before the first."""


LimitOrders = Mapping[AccountingMode, LimitOrder]
"""The order of the limits in each accounting mode."""

NO_ORDERS: LimitOrders = {}


def hold_orders(previous: LimitOrders, ledger: Ledger) -> LimitOrders:
    """Computes the orders of the limits in a new sample."""
    return {mode: _hold_order(previous.get(mode, LimitOrder()), ledger, mode) for mode in ledger.limits}


def _hold_order(previous: LimitOrder, ledger: Ledger, mode: AccountingMode) -> LimitOrder:
    """Computes the order of the limits in one accounting mode.

    The result depends on the samples alone, not on a clock. The result is the order in `ledger` if the new sample is
    earlier than the previous sample, or if the two samples are more than MAX_GAP_S apart. The result is also the order
    in `ledger` if the two samples have different limits.
    """
    rows, at_s = ledger.limits[mode].rows, ledger.taken_at_unix_s
    place = {limit.name: index for index, limit in enumerate(rows)}
    is_next = at_s is not None and previous.at_unix_s is not None and 0 <= at_s - previous.at_unix_s <= MAX_GAP_S
    if at_s is None or not is_next or set(previous.names) != set(place):
        return LimitOrder(at_s, tuple(place))
    limit_of = {limit.name: limit for limit in rows}
    since_s = {
        (upper, lower): previous.nearer_since_s.get((upper, lower), at_s)
        for upper, lower in combinations(previous.names, 2)
        if place[lower] < place[upper]
    }
    names: list[LimitName] = []
    for name in previous.names:
        position = len(names)
        while position:
            pair = names[position - 1], name
            moves_at_once = _moves_at_once(limit_of[name], limit_of[pair[0]])
            if pair not in since_s or (not moves_at_once and at_s - since_s[pair] < HOLD_S):
                break
            position -= 1
        names.insert(position, name)
    return LimitOrder(at_s, tuple(names), since_s)


def _moves_at_once(lower: Limit, upper: Limit) -> bool:
    """True if `lower` has a more severe alarm than `upper`, or stops sockets where `upper` stops none.

    A limit that a look has just found nearly reached moves up at once, too, above those that stop no socket.
    """
    if _severity(lower) > _severity(upper) or (upper.is_quiet and lower.stops_new_sockets):
        return True
    has_alarm = upper.state in ALARM_STATES
    return lower.is_nearly_reached and not (upper.is_nearly_reached or upper.stops_new_sockets or has_alarm)


def _severity(limit: Limit) -> int:
    return ALARM_STATES.index(limit.state) if limit.state in ALARM_STATES and not limit.is_quiet else -1


def in_order(ledger: Ledger, orders: LimitOrders) -> Ledger:
    """The ledger with its limits in the given orders."""
    limits: dict[AccountingMode, Limits] = {}
    for mode, order in orders.items():
        rows = {limit.name: limit for limit in ledger.limits[mode].rows}
        limits[mode] = Limits(tuple(rows[name] for name in order.names))
    return ledger._replace(limits=limits)
