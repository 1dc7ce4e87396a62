"""Writing to a terminal that is slow, takes nothing, or is gone."""

from __future__ import annotations

import asyncio
import fcntl
import os
import time
import tty
from collections.abc import Iterator
from pathlib import Path

import pytest

from tcptop.terminal import output
from tcptop.terminal.output import MAX_BACKLOG_BYTES, TerminalOutput, reopen_terminal


@pytest.fixture
def ends() -> Iterator[tuple[int, int]]:
    """A terminal's own end, and the program's."""
    master, slave = os.openpty()
    tty.setraw(slave)
    yield master, slave
    for descriptor in (master, slave):
        try:
            os.close(descriptor)
        except OSError:
            assert descriptor == master


async def received(master: int, out: TerminalOutput) -> bytes:
    """All that the terminal is sent until the output has nothing left."""
    os.set_blocking(master, False)
    read = b""
    for _ in range(10_000):
        await asyncio.sleep(0.001)
        try:
            read += os.read(master, 65536)
        except BlockingIOError:
            if out.idle:
                return read
    raise AssertionError("it never ends")


async def test_what_a_terminal_does_not_take_at_once_comes_later_and_whole(ends: tuple[int, int]) -> None:
    master, slave = ends
    drained: list[bool] = []
    out = TerminalOutput(slave, lambda: drained.append(True))
    sent = bytes(range(32, 127)) * 1000
    out.send(sent)
    assert not out.idle
    out.send(b"and this")
    assert await received(master, out) == sent + b"and this" * (len(sent) + 8 <= MAX_BACKLOG_BYTES)
    assert drained == [True]
    out.close()


async def test_in_order_and_complete_below_the_limit(ends: tuple[int, int]) -> None:
    master, slave = ends
    out = TerminalOutput(slave, lambda: None)
    pieces = [b"%05d," % number for number in range(8000)]
    for piece in pieces:
        out.send(piece)
    assert await received(master, out) == b"".join(pieces)
    out.close()


async def test_a_terminal_that_takes_nothing_costs_no_more_memory(ends: tuple[int, int]) -> None:
    _, slave = ends
    out = TerminalOutput(slave, lambda: None)
    for _ in range(1000):
        out.send(b"\x07" * 1000)
    assert len(out._backlog) <= MAX_BACKLOG_BYTES
    out.close()


async def test_the_shells_descriptor_goes_on_waiting(ends: tuple[int, int]) -> None:
    _, slave = ends
    out = TerminalOutput(slave, lambda: None)
    out.send(b"x" * 100_000)
    assert not fcntl.fcntl(slave, fcntl.F_GETFL) & os.O_NONBLOCK
    out.close()
    assert not fcntl.fcntl(slave, fcntl.F_GETFL) & os.O_NONBLOCK


async def test_the_last_words_reach_a_terminal_that_takes_nothing(ends: tuple[int, int]) -> None:
    master, slave = ends
    out = TerminalOutput(slave, lambda: None)
    out.send(b"x" * 50_000)
    out.leave(b"last words", time.monotonic())
    read = await received(master, out)
    assert read.endswith(b"last words")
    assert len(read) < 50_000
    out.close()


async def test_the_last_words_come_after_the_rest_where_the_terminal_takes_it(ends: tuple[int, int]) -> None:
    master, slave = ends
    out = TerminalOutput(slave, lambda: None)
    out.send(b"x" * 50_000)
    reading = asyncio.create_task(asyncio.to_thread(read_all, master, 50_010))
    await asyncio.sleep(0)
    out.leave(b"last words", time.monotonic() + 60)
    assert await reading == b"x" * 50_000 + b"last words"
    out.close()


def read_all(master: int, count: int) -> bytes:
    """As many bytes, however long it takes."""
    read = b""
    while len(read) < count:
        read += os.read(master, 65536)
    return read


async def test_a_terminal_that_hung_up_is_no_error(ends: tuple[int, int]) -> None:
    master, slave = ends
    out = TerminalOutput(slave, lambda: None)
    out.send(b"x" * 50_000)
    os.close(master)
    for _ in range(100):
        await asyncio.sleep(0.001)
        out.send(b"more")
    assert out.idle
    out.leave(b"last words", time.monotonic() + 60)
    out.close()


async def test_what_cannot_be_opened_again_is_written_to_all_the_same(
    ends: tuple[int, int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with (tmp_path / "file").open("wb") as file:
        assert reopen_terminal(file.fileno()) is None
        out = TerminalOutput(file.fileno(), lambda: None)
        out.send(b"x" * 100_000)
        out.leave(b"last words", time.monotonic())
        out.close()
        os.fstat(file.fileno())  # still open
    assert (tmp_path / "file").read_bytes() == b"x" * 100_000 + b"last words"
    monkeypatch.setattr(output, "reopen_terminal", lambda _: None)
    master, slave = ends
    out = TerminalOutput(slave, lambda: None)
    out.send(b"frame")
    out.leave(b"last words", time.monotonic() + 60)
    out.close()
    assert read_all(master, 15) == b"framelast words"
