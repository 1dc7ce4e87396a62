"""What four figures were over the last minutes, one value for each ten seconds: a graph moves no more often."""

from __future__ import annotations

from dataclasses import dataclass, field, fields, replace

from tcptop.ledger import Ledger

STEP_S = 10
MAX_STEPS = 90

Series = tuple[float | None, ...]


@dataclass(frozen=True, slots=True)
class Trends:
    """The values of whole steps, the newest last; None where a figure was not known."""

    step: int | None = None
    """The number of the step that is under way, from the beginning of Unix time."""
    latest: Ledger | None = None
    bytes_per_connection: Series = field(default=())
    sockets: Series = field(default=())
    time_wait: Series = field(default=())
    buffer_bytes: Series = field(default=())


NO_TRENDS = Trends()


def add_sample(trends: Trends, ledger: Ledger) -> Trends:
    """The trends with one more sample: the last of a step is what stands for it; steps without any are unknown."""
    if ledger.taken_at_unix_s is None:
        return trends
    step = int(ledger.taken_at_unix_s // STEP_S)
    if trends.step is None or trends.latest is None or step < trends.step:
        return Trends(step, ledger)
    if step == trends.step:
        return replace(trends, latest=ledger)
    missed = min(step - trends.step - 1, MAX_STEPS)
    values = {
        name: (*getattr(trends, name), value, *(None,) * missed)[-MAX_STEPS:]
        for name, value in _trend_values(trends.latest).items()
    }
    return Trends(step, ledger, **values)


def connection_bytes(ledger: Ledger) -> float | None:
    """What graphs draw as the cost of a connection: what one costs now, or where that is open, what the next takes."""
    cost = ledger.costs["full"]
    return cost.now_bytes if cost.now_bytes is not None else cost.by_family["mix"].accepted.slab_bytes


def _trend_values(ledger: Ledger) -> dict[str, float | None]:
    sockets = ledger.sockets
    found = {
        "bytes_per_connection": connection_bytes(ledger),
        "sockets": sockets.allocated,
        "time_wait": sockets.time_wait,
        "buffer_bytes": sockets.buffer_bytes,
    }
    assert found.keys() <= {each.name for each in fields(Trends)}
    return found
