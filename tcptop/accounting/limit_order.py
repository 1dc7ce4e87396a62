"""Order of the limits over several samples: a limit overtakes another one only after some seconds, an alarm at once."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import combinations
from typing import NamedTuple

from tcptop.ledger import ALARM_STATES, Ledger, Limits

HOLD_S = 10.0
"""Time in seconds for which a limit must be nearer than the limit above it, before the two exchange their places."""


class LimitOrder(NamedTuple):
    """The order of the limits in a sample, and the exchanges of places that may follow."""

    at_unix_s: float | None = None
    names: tuple[str, ...] = ()
    """Names of the limits, in the order in which the screen shows the limits."""
    nearer_since_s: Mapping[tuple[str, str], float] = {}
    """Since when the second limit of a pair is nearer than the first, although the first stands above the second."""


NO_ORDER = LimitOrder()


def hold_order(previous: LimitOrder, ledger: Ledger) -> LimitOrder:
    """The order of the limits in a new sample.

    The result depends only on the samples, and not on a clock. The order of `ledger` alone decides in three cases: the
    samples are not in the order of their times, the samples are more than HOLD_S apart, or another limit exists.
    """
    rows, at_s = ledger.limits["full"].rows, ledger.taken_at_unix_s
    place = {limit.name: index for index, limit in enumerate(rows)}
    is_next = at_s is not None and previous.at_unix_s is not None and 0 <= at_s - previous.at_unix_s <= HOLD_S
    if at_s is None or not is_next or set(previous.names) != set(place):
        return LimitOrder(at_s, tuple(place))
    severity = {limit.name: ALARM_STATES.index(limit.state) if limit.state in ALARM_STATES else -1 for limit in rows}
    since_s = {
        (upper, lower): previous.nearer_since_s.get((upper, lower), at_s)
        for upper, lower in combinations(previous.names, 2)
        if place[lower] < place[upper]
    }
    names: list[str] = []
    for name in previous.names:
        position = len(names)
        while position:
            pair = names[position - 1], name
            if pair not in since_s or (severity[name] <= severity[pair[0]] and at_s - since_s[pair] < HOLD_S):
                break
            position -= 1
        names.insert(position, name)
    return LimitOrder(at_s, tuple(names), since_s)


def in_order(ledger: Ledger, order: LimitOrder) -> Ledger:
    """The ledger with its limits in this order."""
    place = {name: index for index, name in enumerate(order.names)}
    limits = {
        mode: Limits(tuple(sorted(each.rows, key=lambda limit: place[limit.name])))
        for mode, each in ledger.limits.items()
    }
    return ledger._replace(limits=limits)
