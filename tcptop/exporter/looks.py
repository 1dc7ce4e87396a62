"""Reads the machine on request.

One reading of the machine, called a look, answers all requests that arrive within one second.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress

from tcptop.ledger import Ledger
from tcptop.sampling.live_sampler import PATIENCE_S, LiveSampler
from tcptop.sampling.sampler import Sampler
from tcptop.snapshot import Snapshot

FRESH_S = 1.0
"""Maximum age of a reading of the machine that is reused for further scrapes."""
LATE_VALUES_S = 60.0
"""Maximum age of the figures of a source that has stopped answering."""
FIRST_PATIENCE_S = 2.0
"""Longest time that the first reading of the machine waits for slow sources. The first reading precedes all requests,
so the reading delays no scraper."""
GRACE_S = 0.2
"""Time that a scrape may take beyond `patience_s`. The scrape needs this time for the accounting, or to wait for the
end of a reading that an earlier scrape began."""


class Looks:
    """The latest ledger of a host. The host is read only on request."""

    def __init__(self, sampler: Sampler, account: Callable[[Snapshot], Ledger]) -> None:
        self.sampler = sampler
        self.count = 0
        """Number of times that the host has been read."""
        self._account = account
        self._live = LiveSampler(sampler)
        self._ledger: Ledger | None = None
        self._looked_s = float("-inf")
        self._look: asyncio.Task[Ledger] | None = None

    async def first(self) -> Ledger:
        """Reads the machine for the first time, before any request.

        Some sources are slow at first, so the first reading may wait longer than later readings.
        """
        return await self._take(FIRST_PATIENCE_S)

    async def ledger(self, patience_s: float = PATIENCE_S) -> Ledger | None:
        """The ledger of the last reading if it is younger than FRESH_S, otherwise the ledger of a new reading.

        A new reading of the machine waits at most `patience_s` for slow sources. If a new reading takes more than
        `patience_s` + GRACE_S, the result is the earlier ledger, or None if there is no earlier ledger.
        """
        if self._look is None and asyncio.get_running_loop().time() - self._looked_s < FRESH_S:
            return self._ledger
        if self._look is None:
            self._look = asyncio.create_task(self._take(patience_s))
            self._look.add_done_callback(self._forget)
        with suppress(asyncio.TimeoutError):
            # If one scraper disconnects, the reading must go on for the other scrapers.
            return await asyncio.wait_for(asyncio.shield(self._look), patience_s + GRACE_S)
        return self._ledger

    async def _take(self, patience_s: float) -> Ledger:
        snapshot = await self._live.look(patience_s)
        self.count += 1
        self._ledger = self._account(snapshot)
        self._looked_s = asyncio.get_running_loop().time()
        return self._ledger

    def _forget(self, _: asyncio.Task[Ledger]) -> None:
        self._look = None
