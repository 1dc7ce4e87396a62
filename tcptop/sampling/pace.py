"""When each source may be read again, so that looking at a machine in trouble does not add to its trouble."""

from __future__ import annotations

REST_FACTOR = 200
"""After a read a source rests at least so many times what the read took: at most 0.5 % of one CPU for each."""

BUDGET_US_PER_S = 5_000
"""What all sources together may take: 0.5 % of one CPU."""

CHEAP_BUDGET_US_PER_S = 2_500
"""Of that, what cheap sources may take while a dear read is still being paid for."""

START_BUDGET_US = 10_000
CHEAP_US = 500
"""A read that takes less is a cheap one."""

TICK_TOLERANCE = 0.1
"""A source is due a little early rather than a whole interval late, since ticks wander."""


class _Record:
    __slots__ = ("next_s", "rested_s", "took_us", "was_read")

    def __init__(self) -> None:
        self.next_s = 0.0
        self.rested_s = 0.0
        self.took_us = 0
        self.was_read = False


class Paces:
    """The pace of each source, by name. All times are seconds on one monotonic clock of the caller's."""

    def __init__(self) -> None:
        self.records: dict[str, _Record] = {}
        self.budget_us: float = START_BUDGET_US
        """What may still be taken; below 0 after a dear read, until it is paid for."""
        self.cheap_budget_us: float = START_BUDGET_US
        self.refilled_s: float | None = None

    def due(self, names: list[str], now_s: float, interval_s: float) -> list[str]:
        """Those of the names that may be read now, the cheapest first."""
        self._refill(now_s, interval_s)
        early_s = interval_s * TICK_TOLERANCE
        chosen: list[str] = []
        left_us, cheap_left_us = self.budget_us, self.cheap_budget_us
        for name in sorted(names, key=lambda name: self._record(name).took_us):
            record = self._record(name)
            if now_s < record.rested_s or now_s + early_s < record.next_s:
                continue
            is_cheap = record.took_us <= CHEAP_US
            # What was never read is read once, whatever the others took: a report shows all there is.
            if not record.was_read or left_us > 0 or (is_cheap and cheap_left_us > 0):
                chosen.append(name)
                left_us -= record.took_us
                cheap_left_us -= record.took_us if is_cheap else 0
        return chosen

    def read(self, name: str, started_s: float, ended_s: float, took_us: int, period_s: float) -> None:
        """Notes that a source was read, and what the read took."""
        if self.refilled_s is None:
            self.refilled_s = started_s
        record = self._record(name)
        record.took_us = took_us
        record.was_read = True
        record.next_s = started_s + period_s
        record.rested_s = ended_s + took_us * REST_FACTOR / 1e6
        self.charge(took_us)

    def charge(self, took_us: int) -> None:
        """Takes what a read took from the budget."""
        self.budget_us -= took_us
        if took_us <= CHEAP_US:
            self.cheap_budget_us -= took_us

    def period_s(self, name: str, wanted_s: float) -> float:
        """The pace that a source really keeps: what it wants, or what its cost demands."""
        return max(wanted_s, self._record(name).took_us * REST_FACTOR / 1e6)

    def forget(self, name: str) -> None:
        """Makes a source due at once, its rest and the budget aside; what the read takes is paid for all the same."""
        record = self._record(name)
        record.next_s = record.rested_s = 0.0
        record.was_read = False

    def _record(self, name: str) -> _Record:
        return self.records.setdefault(name, _Record())

    def _refill(self, now_s: float, interval_s: float) -> None:
        if self.refilled_s is not None:
            elapsed_s = now_s - self.refilled_s
            saved_s = max(START_BUDGET_US / BUDGET_US_PER_S, interval_s)
            self.budget_us = min(saved_s * BUDGET_US_PER_S, self.budget_us + elapsed_s * BUDGET_US_PER_S)
            cheap_us = self.cheap_budget_us + elapsed_s * CHEAP_BUDGET_US_PER_S
            self.cheap_budget_us = min(saved_s * CHEAP_BUDGET_US_PER_S, cheap_us)
        self.refilled_s = now_s
