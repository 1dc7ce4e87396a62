"""Reads in a thread: one that hangs holds up neither the others nor the end of the program."""

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
    """Every file holds its own name, but `hang` is not answered before it is let go."""

    identity = IDENTITY

    def __init__(self) -> None:
        self.let_go = threading.Event()
        self.hangs = threading.Event()
        self.threads: set[int] = set()
        self.closed = False

    async def read(self, paths: Sequence[str]) -> list[FileRead]:
        self.threads.add(threading.get_ident())
        if "hang" in paths:
            self.hangs.set()
            assert self.let_go.wait(60), "nobody let it go"
        if "raise" in paths:
            raise ZeroDivisionError("as a library may")
        return [FileRead(path, path.encode(), None, 1) for path in paths]

    async def list_folder(self, path: str) -> FolderRead:
        return FolderRead(path, {path: None}, None, 1)

    async def run(self, call: Callable[[], Answer]) -> Answer:
        return call()

    def close(self) -> None:
        self.closed = True


def data(answers: list[FileRead]) -> list[bytes | None]:
    return [answer.data for answer in answers]


async def test_answers_are_those_of_the_host_behind_from_another_thread() -> None:
    behind = HangingHost()
    host = ThreadedHost(behind)
    assert host.identity is behind.identity
    assert data(await host.read(["a", "b"])) == [b"a", b"b"]
    assert (await host.list_folder("c")).entries == {"c": None}
    assert await host.run(lambda: 7) == 7
    assert threading.get_ident() not in behind.threads


async def test_a_read_that_hangs_does_not_hold_up_another() -> None:
    behind = HangingHost()
    host = ThreadedHost(behind)
    hanging = asyncio.ensure_future(host.read(["hang"]))
    while not behind.hangs.is_set():
        await asyncio.sleep(0)
    assert data(await host.read(["other"])) == [b"other"]
    assert data(await host.read(["another"])) == [b"another"]
    assert not hanging.done()
    behind.let_go.set()
    assert data(await hanging) == [b"hang"]


async def test_reads_that_wait_behind_a_hanging_one_are_all_answered() -> None:
    behind = HangingHost()
    host = ThreadedHost(behind)
    hanging = [asyncio.ensure_future(host.read(["hang"])) for _ in range(3)]
    others = [asyncio.ensure_future(host.read([str(number)])) for number in range(20)]
    assert [data(answer) for answer in await asyncio.gather(*others)] == [[str(n).encode()] for n in range(20)]
    assert not any(each.done() for each in hanging)
    behind.let_go.set()
    assert [data(answer) for answer in await asyncio.gather(*hanging)] == [[b"hang"]] * 3


async def test_after_a_hang_it_goes_on_with_one_thread() -> None:
    behind = HangingHost()
    host = ThreadedHost(behind)
    hanging = asyncio.ensure_future(host.read(["hang"]))
    await host.read(["other"])
    behind.let_go.set()
    await hanging
    behind.threads.clear()
    for number in range(30):
        await host.read([str(number)])
    assert len(behind.threads) == 1


async def test_the_event_loop_runs_on_while_a_read_hangs() -> None:
    behind = HangingHost()
    host = ThreadedHost(behind)
    hanging = asyncio.ensure_future(host.read(["hang"]))
    turns = 0
    while not behind.hangs.is_set() or turns < 100:
        await asyncio.sleep(0)
        turns += 1
    assert not hanging.done()
    behind.let_go.set()
    await hanging


async def test_what_the_host_raises_is_raised_to_the_one_who_asked_and_to_no_other() -> None:
    host = ThreadedHost(HangingHost())
    with pytest.raises(ZeroDivisionError, match="as a library may"):
        await host.read(["raise"])
    assert data(await host.read(["fine"])) == [b"fine"]


async def test_giving_up_on_a_hanging_read_leaves_the_host_usable() -> None:
    behind = HangingHost()
    host = ThreadedHost(behind)
    hanging = asyncio.ensure_future(host.read(["hang"]))
    while not behind.hangs.is_set():
        await asyncio.sleep(0)
    hanging.cancel()
    with pytest.raises(asyncio.CancelledError):
        await hanging
    behind.let_go.set()
    assert data(await host.read(["other"])) == [b"other"]


def test_a_second_event_loop_is_served_after_the_first_has_ended() -> None:
    host = ThreadedHost(HangingHost())
    for path in ("first", "second"):
        assert data(asyncio.run(host.read([path]))) == [path.encode()]


ENDS = """
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


def test_a_read_that_hangs_for_ever_does_not_keep_the_program_from_ending() -> None:
    """The limit is there only so that a failure ends too."""
    ended = subprocess.run([sys.executable, "-c", ENDS], capture_output=True, text=True, timeout=60, check=False)
    assert (ended.returncode, ended.stdout) == (0, "ended\n"), ended.stderr
