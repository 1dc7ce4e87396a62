"""A host whose reads run in a daemon thread, so that a hung read blocks neither the event loop nor the exit.

asyncio.to_thread is no alternative: asyncio waits for its threads at exit, and a stuck read cannot be cancelled.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from queue import SimpleQueue
from typing import Any

from tcptop.hosts.host import Answer, FileRead, FolderRead, Host, Identity
from tcptop.hosts.run_sync import run_sync

STUCK_S = 0.2
"""A reader thread busy for longer is abandoned, and another one takes its place."""


@dataclass(slots=True)
class _Call:
    make: Callable[[], Any]
    future: asyncio.Future[Any]
    loop: asyncio.AbstractEventLoop


class ThreadedHost:
    """A Host that calls another host from a daemon thread. That host's coroutines must never wait.

    One thread makes all reads: several would compete for the interpreter, and their times would not be the kernel's.
    """

    def __init__(self, host: Host) -> None:
        self._host = host
        self._calls: SimpleQueue[_Call] = SimpleQueue()
        self._reader: threading.Thread | None = None
        self._busy_since_s: float | None = None
        self.identity: Identity = host.identity

    async def read(self, paths: Sequence[str]) -> list[FileRead]:
        """See `Host`."""
        return await self.run(lambda: run_sync(self._host.read(paths)))

    async def list_folder(self, path: str) -> FolderRead:
        """See `Host`."""
        return await self.run(lambda: run_sync(self._host.list_folder(path)))

    async def run(self, call: Callable[[], Answer]) -> Answer:
        """Makes the call in the thread; an exception of the call is raised here."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Answer] = loop.create_future()
        self._calls.put(_Call(call, future, loop))
        if self._reader is None:
            self._start_reader()
        while not future.done():
            await asyncio.wait({future}, timeout=STUCK_S)
            since_s = self._busy_since_s
            if since_s is not None and time.monotonic() - since_s > STUCK_S:
                self._start_reader()
        return future.result()

    def close(self) -> None:
        """Does nothing: a thread may still hang in a read; the kernel closes the descriptors at exit."""

    def _start_reader(self) -> None:
        self._busy_since_s = None
        self._reader = threading.Thread(target=self._read_on, name="tcptop reader", daemon=True)
        self._reader.start()

    def _read_on(self) -> None:
        while self._reader is threading.current_thread():
            call = self._calls.get()
            self._busy_since_s = time.monotonic()
            answer: object = None
            error: BaseException | None = None
            try:
                answer = call.make()
            except BaseException as raised:
                error = raised
            if self._reader is threading.current_thread():
                self._busy_since_s = None
            try:
                call.loop.call_soon_threadsafe(_hand_over, call.future, answer, error)
            except RuntimeError:
                return  # the event loop has ended; the answer is not needed any more


def _hand_over(future: asyncio.Future[Any], answer: object, error: BaseException | None) -> None:
    if future.done():
        return
    if error is not None:
        future.set_exception(error)
    else:
        future.set_result(answer)
