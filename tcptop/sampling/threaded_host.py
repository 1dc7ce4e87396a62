"""Another host, asked from a daemon thread: a read that hangs holds neither the event loop nor the end of the program.

asyncio.to_thread will not do: at exit asyncio waits for its threads, and a stuck read in /proc cannot be cancelled.
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
"""A reader that has not come back for so long is left alone, and another takes its place."""


@dataclass(slots=True)
class _Call:
    make: Callable[[], Any]
    future: asyncio.Future[Any]
    loop: asyncio.AbstractEventLoop


class ThreadedHost:
    """Answers as `host` does, in a daemon thread. `host` must be one that never waits by itself.

    One thread reads for all: several at once would only wait for each other's turn in the interpreter, and the times
    that they take would not be the kernel's.
    """

    def __init__(self, host: Host) -> None:
        self._host = host
        self._calls: SimpleQueue[_Call] = SimpleQueue()
        self._reader: threading.Thread | None = None
        self._busy_since_s: float | None = None
        self.identity: Identity = host.identity

    async def read(self, paths: Sequence[str]) -> list[FileRead]:
        """As the host behind it."""
        return await self.ask(lambda: run_sync(self._host.read(paths)))

    async def folder(self, path: str) -> FolderRead:
        """As the host behind it."""
        return await self.ask(lambda: run_sync(self._host.folder(path)))

    async def ask(self, call: Callable[[], Answer]) -> Answer:
        """Makes the call in the thread; what it raises is raised here."""
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
        """Does nothing: a thread may still hang in a descriptor; the kernel closes them at exit."""

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
                return  # the loop has ended; nobody waits for the answer any more


def _hand_over(future: asyncio.Future[Any], answer: object, error: BaseException | None) -> None:
    if future.done():
        return
    if error is not None:
        future.set_exception(error)
    else:
        future.set_result(answer)
