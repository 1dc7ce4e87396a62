"""Live sampling on an event loop: delivers a Snapshot every interval. A source that hangs delays no other source."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence

from tcptop.sampling.reader_thread import ReaderThread
from tcptop.sampling.sampler import AnySource, Fetched, Sampler
from tcptop.snapshot import Snapshot

PATIENCE_S = 0.25
"""Longest wait for slow sources. After the longest wait, a sample is delivered without new values from the slow
sources.
"""

REMOTE_PATIENCE_S = 1.0
"""Longest wait for slow sources of a host that is read over ssh."""

MIN_PATIENCE_S = 0.01
"""Minimum time to wait in each round of reads, even if an earlier round has used up `PATIENCE_S`."""


class LiveSampler:
    """Runs a Sampler: reads all due sources in a thread, and delivers each sample without waiting for late sources."""

    def __init__(self, sampler: Sampler) -> None:
        self.sampler = sampler
        self.sample_requested = False
        """True from a call of `sample_now` until the requested sample begins."""
        self._is_remote = sampler.host.identity.remote_name is not None
        self._patience_s = REMOTE_PATIENCE_S if self._is_remote else PATIENCE_S
        self._reader = ReaderThread[Sequence[AnySource], list[Fetched | Exception]](sampler.fetch_together)
        self._pending: dict[str, tuple[AnySource, float]] = {}
        """Each source whose read has not returned, with the time when the read was submitted. The key is the name of
        the source."""
        self._poked = asyncio.Event()
        self._paused = False

    def set_interval(self, interval_s: float) -> None:
        """Changes the time between samples."""
        self.sampler.interval_s = interval_s
        self._poked.set()

    def pause(self, paused: bool) -> None:
        """Pauses or resumes sampling."""
        self._paused = paused
        self._poked.set()

    def sample_now(self) -> None:
        """Requests a sample of every source now, even if a source is not due or sampling is paused."""
        self.sample_requested = True
        self._poked.set()

    def sample_due(self) -> None:
        """Requests a sample of the due sources now; does nothing while sampling is paused."""
        self._poked.set()

    async def snapshots(self) -> AsyncIterator[Snapshot]:
        """Yields a Snapshot every interval, and an additional Snapshot whenever a late read returns. Never ends."""
        loop = asyncio.get_running_loop()
        while True:
            started_s = loop.time()
            if not self._paused or self.sample_requested:
                if self.sample_requested:
                    self.sample_requested = False
                    self.sampler.make_all_due()
                yield await self.look()
            while await self._late_read_returned(started_s + self.sampler.interval_s):
                # Sources that depend on the value from the late read have become due.
                yield self.sampler.snapshot() if self._paused else await self.look()

    async def look(self, patience_s: float | None = None) -> Snapshot:
        """Reads all due sources, and returns the latest reading of every source; waits at most for `patience_s`."""
        loop = asyncio.get_running_loop()
        deadline_s = loop.time() + (self._patience_s if patience_s is None else patience_s)
        self._store_results()
        # The second round reads the sources that become due because of values read in the first round.
        for _ in range(2):
            due = [source for source in self.sampler.due() if source.name not in self._pending]
            self._pending.update((source.name, (source, loop.time())) for source in due)
            # Each source of this machine is read in a call of its own, so that a source that hangs delays no other
            # source.
            self._reader.submit([due] if self._is_remote and due else [[source] for source in due])
            end_s = max(deadline_s, loop.time() + MIN_PATIENCE_S)
            while any(source.name in self._pending for source in due) and loop.time() < end_s:
                await self._reader.wait(end_s - loop.time())
                self._store_results()
            for source, submitted_s in self._pending.values():
                self.sampler.mark_late(source, loop.time() - submitted_s)
        return self.sampler.snapshot()

    def _store_results(self) -> bool:
        """Stores the results of finished reads; returns True if any read has finished."""
        results = self._reader.take_results()
        for sources, fetched in results:
            each = [fetched] * len(sources) if isinstance(fetched, BaseException) else fetched
            for source, result in zip(sources, each, strict=True):
                del self._pending[source.name]
                if isinstance(result, BaseException):
                    self.sampler.mark_failed(source, result)
                else:
                    self.sampler.store(result)
        return bool(results)

    async def _late_read_returned(self, at_s: float) -> bool:
        """Waits until a late read returns, stores the result, and returns True.

        If all late reads are still running at the time `at_s`, returns False. Returns False earlier if the user changes
        the interval, pauses or resumes sampling, or requests a sample.
        """
        loop = asyncio.get_running_loop()
        while not self._poked.is_set():
            timeout_s = None if self._paused else max(0.0, at_s - loop.time())
            waits = [self._poked.wait(), *([self._reader.wait(timeout_s)] if self._pending else [])]
            tasks = [asyncio.ensure_future(wait) for wait in waits]
            try:
                await asyncio.wait(tasks, timeout=timeout_s, return_when=asyncio.FIRST_COMPLETED)
            finally:
                for task in tasks:
                    task.cancel()
            if not self._paused and loop.time() >= at_s:
                break
            if self._store_results():
                return True
        self._poked.clear()
        return False
