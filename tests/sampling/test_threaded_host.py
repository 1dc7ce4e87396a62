"""ThreadedHost: a read that hangs delays neither other reads nor the exit."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import threading
from collections.abc import Callable, Sequence

import pytest

from tcptop.hosts.host import Answer, FileRead, FolderRead, Identity
from tcptop.sampling.threaded_host import ThreadedHost

IDENTITY = Identity(live=True, page_size_bytes=4096, place=None, net_namespace=None, proc_folder=None)


class HangingHost:
    """A host whose files hold their own names. A read of `hang` blocks until `release` is set."""

    identity = IDENTITY

    def __init__(self) -> None:
        self.release = threading.Event()
        self.hanging = threading.Event()
        self.threads: set[int] = set()
        self.closed = False

    async def read(self, paths: Sequence[str]) -> list[FileRead]:
        self.threads.add(threading.get_ident())
        if "hang" in paths:
            self.hanging.set()
            assert self.release.wait(60), "the test did not release it"
        if "raise" in paths:
            raise ZeroDivisionError("from the host")
        return [FileRead(path, path.encode(), None, 1) for path in paths]

    async def list_folder(self, path: str) -> FolderRead:
        return FolderRead(path, {path: None}, None, 1)

    async def run(self, call: Callable[[], Answer]) -> Answer:
        return call()

    def close(self) -> None:
        self.closed = True


def data(answers: list[FileRead]) -> list[bytes | None]:
    return [answer.data for answer in answers]


async def test_calls_of_the_inner_host_run_in_another_thread() -> None:
    inner = HangingHost()
    host = ThreadedHost(inner)
    assert host.identity is inner.identity
    assert data(await host.read(["a", "b"])) == [b"a", b"b"]
    assert (await host.list_folder("c")).entries == {"c": None}
    assert await host.run(lambda: 7) == 7
    assert threading.get_ident() not in inner.threads


async def test_a_read_that_hangs_does_not_delay_another() -> None:
    inner = HangingHost()
    host = ThreadedHost(inner)
    hanging = asyncio.ensure_future(host.read(["hang"]))
    while not inner.hanging.is_set():
        await asyncio.sleep(0)
    assert data(await host.read(["other"])) == [b"other"]
    assert data(await host.read(["another"])) == [b"another"]
    assert not hanging.done()
    inner.release.set()
    assert data(await hanging) == [b"hang"]


async def test_reads_queued_behind_a_hanging_one_are_all_answered() -> None:
    inner = HangingHost()
    host = ThreadedHost(inner)
    hanging = [asyncio.ensure_future(host.read(["hang"])) for _ in range(3)]
    others = [asyncio.ensure_future(host.read([str(number)])) for number in range(20)]
    assert [data(answer) for answer in await asyncio.gather(*others)] == [[str(n).encode()] for n in range(20)]
    assert not any(task.done() for task in hanging)
    inner.release.set()
    assert [data(answer) for answer in await asyncio.gather(*hanging)] == [[b"hang"]] * 3


async def test_one_thread_makes_the_reads_after_a_hang() -> None:
    inner = HangingHost()
    host = ThreadedHost(inner)
    hanging = asyncio.ensure_future(host.read(["hang"]))
    await host.read(["other"])
    inner.release.set()
    await hanging
    inner.threads.clear()
    for number in range(30):
        await host.read([str(number)])
    assert len(inner.threads) == 1


async def test_the_event_loop_runs_on_while_a_read_hangs() -> None:
    inner = HangingHost()
    host = ThreadedHost(inner)
    hanging = asyncio.ensure_future(host.read(["hang"]))
    turns = 0
    while not inner.hanging.is_set() or turns < 100:
        await asyncio.sleep(0)
        turns += 1
    assert not hanging.done()
    inner.release.set()
    await hanging


async def test_an_exception_of_the_host_reaches_only_the_caller_of_that_read() -> None:
    host = ThreadedHost(HangingHost())
    with pytest.raises(ZeroDivisionError, match="from the host"):
        await host.read(["raise"])
    assert data(await host.read(["fine"])) == [b"fine"]


async def test_the_host_is_usable_after_a_hanging_read_was_cancelled() -> None:
    inner = HangingHost()
    host = ThreadedHost(inner)
    hanging = asyncio.ensure_future(host.read(["hang"]))
    while not inner.hanging.is_set():
        await asyncio.sleep(0)
    hanging.cancel()
    with pytest.raises(asyncio.CancelledError):
        await hanging
    inner.release.set()
    assert data(await host.read(["other"])) == [b"other"]


def test_a_second_event_loop_is_served_after_the_first_has_ended() -> None:
    host = ThreadedHost(HangingHost())
    for path in ("first", "second"):
        assert data(asyncio.run(host.read([path]))) == [path.encode()]


PROGRAM = """
import asyncio, threading
from tcptop.sampling.threaded_host import ThreadedHost
from tcptop.hosts.host import Identity

hangs = threading.Event()

class Host:
    identity = Identity(True, 4096, None, None, None)
    async def read(self, paths):
        hangs.set()
        threading.Event().wait()

async def main():
    asyncio.ensure_future(ThreadedHost(Host()).read(["x"]))
    while not hangs.is_set():
        await asyncio.sleep(0)

asyncio.run(main())
print("ended")
"""


def test_a_read_that_hangs_for_ever_does_not_delay_the_exit() -> None:
    # The timeout only ends a test that has failed.
    ended = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, timeout=60, check=False)
    assert (ended.returncode, ended.stdout) == (0, "ended\n"), ended.stderr
