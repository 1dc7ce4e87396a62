"""Recording of the live app's samples in a worker thread, so that a slow disk does not delay the handling of keys."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import suppress

from tcptop.errors import TcptopError
from tcptop.recording.recorder import Recorder
from tcptop.sampling.sampler import Sampler, SourceRead
from tcptop.sampling.worker import Worker
from tcptop.snapshot import Snapshot
from tcptop.text.printable import printable

MOST_WAITING = 60
"""Maximum number of samples that may wait in memory to be written.

If more samples wait, the recording ends.
"""


class LiveRecording:
    """Writes the samples of a sampler into a file until `stop()` is called or writing fails."""

    def __init__(self, recorder: Recorder, sampler: Sampler, thread: Worker, ended: Callable[[str], None]) -> None:
        """Starts `thread`, which writes the recording and closes it.

        If writing fails, calls `ended` with a line of text about the error.
        """
        self.recorder = recorder
        self.path = printable(recorder.path)
        self._sampler = sampler
        self._thread = thread
        self._ended = ended
        self._reads: list[SourceRead] = []
        self._is_on = True
        self._has_failed = False
        self._loop = asyncio.get_running_loop()
        sampler.set_on_read(self._reads.append)

    def add(self, snapshot: Snapshot) -> None:
        """Queues a sample for the worker thread, which writes it.

        If more than MOST_WAITING samples wait already, ends the recording instead.
        """
        if self._thread.waiting > MOST_WAITING:
            self._give_up(f"{self.path}: the disk has not taken the last {MOST_WAITING} samples; recording ended")
            return
        reads = tuple(self._reads)
        self._reads.clear()
        self._thread.submit(lambda: self._write(reads, snapshot))

    def stop(self) -> Future[None]:
        """Ends the recording; the returned future is done when all samples are written and the file is closed."""
        self._is_on = False
        self._sampler.set_on_read(None)
        return self._thread.submit(self.recorder.close)

    def _write(self, reads: tuple[SourceRead, ...], snapshot: Snapshot) -> None:
        """Writes the given reads of sources, and then the sample; runs in the worker thread."""
        if self._has_failed:
            return
        try:
            for read in reads:
                self.recorder.add_read(read)
            self.recorder.write(snapshot)
        except TcptopError as error:
            self._fail(f"{error}; recording ended")
        except Exception as error:
            self._fail(f"{self.path}: {type(error).__name__}: {printable(str(error))}; please report it")

    def _fail(self, line: str) -> None:
        self._has_failed = True
        with suppress(RuntimeError):  # raised if the event loop has ended
            self._loop.call_soon_threadsafe(self._give_up, line)

    def _give_up(self, line: str) -> None:
        if self._is_on:
            self.stop()
            self._ended(line)
