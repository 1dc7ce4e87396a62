"""Pacing: when each source may be read again. All reads together may take at most 0.4 % of one CPU."""

from __future__ import annotations

from collections.abc import Iterable
from math import inf

from tcptop.sources.source import REST_FACTOR

FREE_PARSE_US = 2_000
"""If parsing a file takes at most this CPU time, the pause is not lengthened. On most machines, parsing takes less CPU
time than this."""

BUDGET_US_PER_S = 4_000
"""CPU time per second that the reads of all sources may take together: 0.4 % of one CPU."""

CHEAP_BUDGET_US_PER_S = 2_500
"""Part of `BUDGET_US_PER_S` that is available even while the budget recovers from an expensive read, to reads that fit
into what is left of this part."""

START_BUDGET_US = 8_000
USUAL_READS = 3
"""The usual CPU time of a read is the shortest of the last USUAL_READS reads: an interrupt may lengthen a read."""

WAIT_S = 2.0
"""A source that has waited this long for the budget comes before cheaper sources. Otherwise the cheaper sources could
use up the budget for ever, if all reads together want more."""

TICK_TOLERANCE = 0.1
"""A source may be read earlier than its due time, by at most this fraction of the interval. Without this tolerance, a
source that becomes due just after a tick would wait for a whole interval."""


class _Record:
    """The last read of one source; the next read waits for both times, `next_s` and `rested_s`."""

    next_s = 0.0
    rested_s = 0.0
    started_s = 0.0
    last_us: tuple[int, ...] = ()
    """CPU times of the last USUAL_READS reads."""
    delayed_s = 0.0
    """Time from the read before to the last read, if the last read had to wait for the budget; otherwise 0."""
    pause_s = 0.0
    """Minimum pause after the read."""
    was_read = False
    fits = False
    """True if the next read was allowed as one that fits into the part of the budget for cheap reads."""
    waits_since_s = inf
    """First time when only the budget did not allow the next read; infinite if it has allowed the read so far."""
    refused_s = -inf
    """Last time when only the budget did not allow the next read."""

    @property
    def usual_us(self) -> int:
        """The usual CPU time of a read."""
        return min(self.last_us, default=0)

    def turn(self, now_s: float) -> tuple[float, int]:
        """The place of the source in the order of reads."""
        return (self.waits_since_s if now_s - self.waits_since_s >= WAIT_S else inf, self.usual_us)


class Paces:
    """The pace of each source, by name. All times are in seconds on the caller's monotonic clock."""

    def __init__(self, outside_budget: Iterable[str] = ()) -> None:
        self.outside_budget = set(outside_budget)
        """Sources that the user asked for in spite of their cost. A source in this set pauses after a read, but the CPU
        time of the read is not charged to the budget."""
        self.records: dict[str, _Record] = {}
        self.budget_us: float = START_BUDGET_US
        """CPU time left; negative after an expensive read."""
        self.cheap_budget_us: float = START_BUDGET_US
        self.refilled_s: float | None = None

    def due(self, names: list[str], now_s: float, interval_s: float) -> list[str]:
        """The names of the sources that may be read now.

        Those that have waited for the budget for WAIT_S come first, then the cheapest.
        """
        self._refill(now_s, interval_s)
        early_s = interval_s * TICK_TOLERANCE
        chosen: list[str] = []
        left_us, cheap_left_us = self.budget_us, self.cheap_budget_us
        for name, record in sorted(
            ((name, self._record(name)) for name in names), key=lambda pair: pair[1].turn(now_s)
        ):
            if now_s < record.rested_s or now_s + early_s < record.next_s:
                continue
            fits = record.fits = bool(record.last_us) and record.usual_us <= cheap_left_us
            # The first read of a source is always allowed, so that a report is complete.
            if name in self.outside_budget:
                chosen.append(name)
            elif not record.was_read or left_us > 0 or fits:
                chosen.append(name)
                left_us -= record.usual_us
                cheap_left_us -= record.usual_us if fits else 0
            else:
                record.waits_since_s, record.refused_s = min(now_s, record.waits_since_s), now_s
        return chosen

    def record_read(
        self,
        name: str,
        started_s: float,
        ended_s: float,
        took_us: int,
        period_s: float,
        parse_us: int = 0,
        rest_factor: int = REST_FACTOR,
    ) -> None:
        """Records a finished read, sets the time of the next read, and charges the CPU time of the finished read.

        The pause is at least `rest_factor` times the CPU time of the read. CPU time of parsing beyond FREE_PARSE_US
        lengthens the pause.
        """
        if self.refilled_s is None:
            self.refilled_s = started_s
        record = self._record(name)
        # Of a sampler that was paused since, the last refusal is older.
        is_delayed = record.was_read and started_s - record.refused_s <= max(WAIT_S, 2 * period_s)
        record.delayed_s = started_s - record.started_s if is_delayed else 0.0
        record.started_s = started_s
        record.last_us = (*record.last_us, took_us)[-USUAL_READS:]
        record.was_read, record.waits_since_s, record.refused_s = True, inf, -inf
        record.next_s = started_s + period_s
        record.pause_s = (took_us * rest_factor + max(0, parse_us - FREE_PARSE_US) * REST_FACTOR) / 1e6
        record.rested_s = ended_s + record.pause_s
        if name not in self.outside_budget:
            self.charge(took_us, record.fits)

    def charge(self, took_us: int, is_cheap: bool = True) -> None:
        """Subtracts the CPU time of a read from the budget; a read that is usually cheap also from the cheap part."""
        self.budget_us -= took_us
        if is_cheap:
            self.cheap_budget_us -= took_us

    def period_s(self, name: str, wanted_s: float) -> float:
        """The actual period of a source: `wanted_s`, or a longer period if its last read was expensive or delayed."""
        record = self._record(name)
        return max(wanted_s, record.pause_s, record.delayed_s)

    def make_due(self, name: str) -> None:
        """Makes a source due now, even if its pause has not ended or the budget is used up.

        The budget is still charged for the read.
        """
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
