"""Another host, asked from daemon threads: a read that hangs holds neither the event loop nor the end of the program.

asyncio.to_thread will not do: at exit asyncio waits for its threads, and a stuck read in /proc cannot be cancelled.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Sequence

from tcptop.hosts.driven import driven
from tcptop.hosts.host import Answer, FileRead, FolderRead, Host, Identity


async def in_daemon_thread(call: Callable[[], Answer], name: str) -> Answer:
    """Awaits `call()` made in a daemon thread of that name; what it raises is raised here."""
    loop = asyncio.get_running_loop()
    future: asyncio.Future[Answer] = loop.create_future()

    def hand_over(answer: Answer | None, error: BaseException | None) -> None:
        if future.done():
            return
        if error is not None:
            future.set_exception(error)
        else:
            future.set_result(answer)  # type: ignore[arg-type]

    def run() -> None:
        answer: Answer | None = None
        error: BaseException | None = None
        try:
            answer = call()
        except BaseException as raised:
            error = raised
        try:
            loop.call_soon_threadsafe(hand_over, answer, error)
        except RuntimeError:
            pass  # the loop has ended; nobody waits for the answer any more

    threading.Thread(target=run, name=name, daemon=True).start()
    return await future


class DaemonThreadHost:
    """Answers as `host` does, each call in a daemon thread. `host` must be one that never waits by itself."""

    def __init__(self, host: Host) -> None:
        self._host = host
        self.identity: Identity = host.identity

    async def read(self, paths: Sequence[str]) -> list[FileRead]:
        """As the host behind it."""
        return await in_daemon_thread(lambda: driven(self._host.read(paths)), f"tcptop read {paths[0]}")

    async def folder(self, path: str) -> FolderRead:
        """As the host behind it."""
        return await in_daemon_thread(lambda: driven(self._host.folder(path)), f"tcptop list {path}")

    async def ask(self, call: Callable[[], Answer]) -> Answer:
        """Makes the call in a daemon thread."""
        return await in_daemon_thread(call, "tcptop ask")

    def close(self) -> None:
        """Does nothing: a thread may still hang in a descriptor; the kernel closes them at exit."""
