"""Live sampling: a Snapshot every interval, on an event loop. A source that hangs delays no other."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress

from tcptop.sampling.sampler import AnySource, Sampler
from tcptop.snapshot import Snapshot

PATIENCE_S = 0.25
"""Wait for slow sources before a sample is delivered without them."""


class LiveSampler:
    """Runs a Sampler: reads due sources concurrently, and delivers the sample without the late ones."""

    def __init__(self, sampler: Sampler) -> None:
        self._sampler = sampler
        self._pending: dict[str, tuple[AnySource, asyncio.Task[None], float]] = {}
        self._poked = asyncio.Event()
        self._paused = False
        self._now = False

    @property
    def sampler(self) -> Sampler:
        """The sampler that it runs."""
        return self._sampler

    def set_interval(self, interval_s: float) -> None:
        """Changes the time between samples."""
        self._sampler.interval_s = interval_s
        self._poked.set()

    def pause(self, paused: bool) -> None:
        """Stops sampling, or resumes."""
        self._paused = paused
        self._poked.set()

    def sample_now(self) -> None:
        """Takes one sample of every source now, resting or not, paused or not."""
        self._now = True
        self._poked.set()

    @property
    def sample_requested(self) -> bool:
        """Whether the sample requested by `sample_now` has not begun yet."""
        return self._now

    async def snapshots(self) -> AsyncIterator[Snapshot]:
        """Yields a Snapshot every interval, without end."""
        loop = asyncio.get_running_loop()
        while True:
            started_s = loop.time()
            if not self._paused or self._now:
                if self._now:
                    self._now = False
                    self._sampler.make_all_due()
                await self._sample()
                yield self._sampler.snapshot()
            await self._wait_until(started_s + self._sampler.interval_s, loop.time())

    async def _sample(self) -> None:
        loop = asyncio.get_running_loop()
        deadline_s = loop.time() + PATIENCE_S
        # Two rounds: the values of the first sources decide whether others may be read.
        for _ in range(2):
            for source in self._sampler.due():
                if source.name not in self._pending:
                    task = asyncio.create_task(self._sampler.read(source), name=f"read {source.name}")
                    self._pending[source.name] = (source, task, loop.time())
            tasks = [task for _, task, _ in self._pending.values()]
            if tasks:
                await asyncio.wait(tasks, timeout=max(0.01, deadline_s - loop.time()))
            self._settle(loop.time())

    def _settle(self, now_s: float) -> None:
        for name, (source, task, started_s) in list(self._pending.items()):
            if task.done():
                del self._pending[name]
                error = task.exception()
                if error is not None:
                    self._sampler.mark_failed(source, error)
            else:
                self._sampler.mark_late(source, now_s - started_s)

    async def _wait_until(self, at_s: float, now_s: float) -> None:
        timeout = None if self._paused and not self._now else max(0.0, at_s - now_s)
        with suppress(asyncio.TimeoutError):
            await asyncio.wait_for(self._poked.wait(), timeout)
        self._poked.clear()
