"""Trends: figures over the last five minutes, one value for every five seconds."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import lru_cache, partial

from tcptop.ledger import AccountingMode, Ledger, TcpMemory
from tcptop.rates import STEP_S

MAX_STEPS = 60

Series = tuple[float | None, ...]
"""The values of a graph from left to right; None for an unknown value."""


@dataclass(frozen=True, slots=True)
class Trends:
    """Trends of figures, with one value for each complete step, the newest last."""

    step: int | None = None
    """Number of the current, incomplete step; steps are counted from the Unix epoch. The number is None before the
    first sample."""
    latest: Ledger | None = None
    """The latest sample; it was taken in the current step."""
    bytes_per_connection: Series = ()
    bytes_per_mini_socket: Series = ()
    sockets: Series = ()
    time_wait: Series = ()
    buffer_bytes: Series = ()
    tcp_bytes: Series = ()
    slab_bytes: Series = ()
    """`tcp_bytes` without buffers."""
    counted_at_s: Series = ()
    """Time when the slabs in `tcp_bytes` were counted. Two steps with equal times have the same count of slabs."""
    counted_sockets: Series = ()
    counted_time_wait: Series = ()
    """Sockets and mini-sockets at the times `counted_at_s`."""


NO_TRENDS = Trends()


def step_of(ledger: Ledger | None) -> int | None:
    """Number of the step in which a sample was taken, counted from the Unix epoch; None if the time is unknown."""
    return None if ledger is None or ledger.taken_at_unix_s is None else int(ledger.taken_at_unix_s // STEP_S)


def add_sample(trends: Trends, ledger: Ledger) -> Trends:
    """Adds a sample to the trends, and returns the new trends.

    The value of a step is the value in the last sample of the step. If steps without a sample last no longer than the
    sampling interval, these steps have the value of the previous sample. If steps without a sample last longer than the
    sampling interval, these steps have the value None. If the clock was set back, the trends begin again. A sample
    without a time changes nothing.
    """
    step = step_of(ledger)
    if step is None:
        return trends
    if trends.step is None or trends.latest is None or step < trends.step:
        return Trends(step, ledger)
    if step == trends.step:
        return replace(trends, latest=ledger)
    missed = min(step - trends.step - 1, MAX_STEPS)
    is_gap = missed * STEP_S > (ledger.sources["sockstat"].every_s or 0)
    values: dict[str, Series] = {}
    for name, figure in FIGURES.items():
        value = figure(trends.latest)
        values[name] = (*getattr(trends, name), value, *(None if is_gap else value,) * missed)[-MAX_STEPS:]
    return Trends(step, ledger, **values)


@lru_cache(32)  # the values of all graphs change once in STEP_S
def fit_columns(values: Series, columns: int, step: int | None) -> Series:
    """The values of the last MAX_STEPS steps, fitted to the columns of a graph, the newest value last.

    Args:
        values: a series of `Trends`; steps before the first value are unknown.
        columns: the width of the graph. In a narrow graph a column shows the largest value of several steps.
        step: the number of the current step. In a narrow graph, a column begins at a step whose number is divisible by
            the number of steps per column. All columns therefore move only when a new column begins, not with each new
            step.
    """
    if columns <= 0:
        return ()
    padded = (*(None,) * (MAX_STEPS - len(values)), *values)
    if columns >= MAX_STEPS:
        return tuple(padded[column * MAX_STEPS // columns] for column in range(columns))
    size = -(-MAX_STEPS // columns)
    first = ((step or 0) - MAX_STEPS) % size
    starts = range(-first, MAX_STEPS, size)
    groups = [padded[max(0, start) : start + size] for start in starts][-columns:]
    return tuple(max((value for value in group if value is not None), default=None) for group in groups)


def connection_bytes(ledger: Ledger, mode: AccountingMode = "full") -> float | None:
    """The bytes per connection or per mini-socket that the graphs show.

    The bytes are the present average or, if there is no average, the cost of the next socket.
    """
    cost = ledger.costs[mode]
    return cost.now_bytes if cost.now_bytes is not None else cost.by_family["mix"].accepted.slab_bytes


def _slab_bytes(memory: TcpMemory) -> float | None:
    return None if memory.shown_bytes is None else memory.shown_bytes - memory.shown_buffer_bytes


FIGURES: dict[str, Callable[[Ledger], float | None]] = {
    "bytes_per_connection": connection_bytes,
    "bytes_per_mini_socket": partial(connection_bytes, mode="time_wait"),
    "sockets": lambda ledger: ledger.sockets.allocated,
    "time_wait": lambda ledger: ledger.sockets.time_wait,
    "buffer_bytes": lambda ledger: ledger.sockets.buffer_bytes,
    "tcp_bytes": lambda ledger: ledger.tcp_memory.shown_bytes,
    "slab_bytes": lambda ledger: _slab_bytes(ledger.tcp_memory),
    "counted_at_s": lambda ledger: ledger.tcp_memory.counted_at_s,
    "counted_sockets": lambda ledger: ledger.tcp_memory.counted_sockets,
    "counted_time_wait": lambda ledger: ledger.tcp_memory.counted_time_wait,
}
"""Maps the name of each series in Trends to the function that computes the series' figure."""
