"""TerminalOutput on a terminal that is slow, blocked or closed."""

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
    """The two ends of a pseudo-terminal: the master, and the slave that the program writes to."""
    master, slave = os.openpty()
    tty.setraw(slave)
    yield master, slave
    for descriptor in (master, slave):
        try:
            os.close(descriptor)
        except OSError:
            assert descriptor == master


async def read_until_idle(master: int, out: TerminalOutput) -> bytes:
    """All bytes that reach the terminal until the backlog is empty."""
    os.set_blocking(master, False)
    received = b""
    for _ in range(10_000):
        await asyncio.sleep(0.001)
        try:
            received += os.read(master, 65536)
        except BlockingIOError:
            if out.idle:
                return received
    raise AssertionError("the output is never idle")


async def test_data_that_a_terminal_does_not_accept_at_once_arrives_later_and_complete(ends: tuple[int, int]) -> None:
    master, slave = ends
    drained: list[bool] = []
    out = TerminalOutput(slave, lambda: drained.append(True))
    sent = bytes(range(32, 127)) * 1000
    out.send(sent)
    assert not out.idle
    out.send(b"and more")
    assert await read_until_idle(master, out) == sent + b"and more" * (len(sent) + 8 <= MAX_BACKLOG_BYTES)
    assert drained == [True]
    out.close()


async def test_output_below_the_limit_arrives_complete_and_in_order(ends: tuple[int, int]) -> None:
    master, slave = ends
    out = TerminalOutput(slave, lambda: None)
    pieces = [b"%05d," % number for number in range(8000)]
    for piece in pieces:
        out.send(piece)
    assert await read_until_idle(master, out) == b"".join(pieces)
    out.close()


async def test_the_backlog_for_a_blocked_terminal_is_limited(ends: tuple[int, int]) -> None:
    _, slave = ends
    out = TerminalOutput(slave, lambda: None)
    for _ in range(1000):
        out.send(b"\x07" * 1000)
    assert len(out._backlog) <= MAX_BACKLOG_BYTES
    out.close()


async def test_the_inherited_descriptor_stays_blocking(ends: tuple[int, int]) -> None:
    _, slave = ends
    out = TerminalOutput(slave, lambda: None)
    out.send(b"x" * 100_000)
    assert not fcntl.fcntl(slave, fcntl.F_GETFL) & os.O_NONBLOCK
    out.close()
    assert not fcntl.fcntl(slave, fcntl.F_GETFL) & os.O_NONBLOCK


async def test_the_final_output_reaches_a_blocked_terminal(ends: tuple[int, int]) -> None:
    master, slave = ends
    out = TerminalOutput(slave, lambda: None)
    out.send(b"x" * 50_000)
    out.leave(b"final data", time.monotonic())
    received = await read_until_idle(master, out)
    assert received.endswith(b"final data")
    assert len(received) < 50_000
    out.close()


async def test_the_final_output_follows_the_backlog_if_the_terminal_accepts_it(ends: tuple[int, int]) -> None:
    master, slave = ends
    out = TerminalOutput(slave, lambda: None)
    out.send(b"x" * 50_000)
    reading = asyncio.create_task(asyncio.to_thread(read_bytes, master, 50_010))
    await asyncio.sleep(0)
    out.leave(b"final data", time.monotonic() + 60)
    assert await reading == b"x" * 50_000 + b"final data"
    out.close()


def read_bytes(master: int, count: int) -> bytes:
    """Reads at least a number of bytes, however long that takes."""
    received = b""
    while len(received) < count:
        received += os.read(master, 65536)
    return received


async def test_a_hang_up_raises_no_error(ends: tuple[int, int]) -> None:
    master, slave = ends
    out = TerminalOutput(slave, lambda: None)
    out.send(b"x" * 50_000)
    os.close(master)
    for _ in range(100):
        await asyncio.sleep(0.001)
        out.send(b"more")
    assert out.idle
    out.leave(b"final data", time.monotonic() + 60)
    out.close()


async def test_output_that_cannot_be_reopened_is_written_blocking(
    ends: tuple[int, int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with (tmp_path / "file").open("wb") as file:
        assert reopen_terminal(file.fileno()) is None
        out = TerminalOutput(file.fileno(), lambda: None)
        out.send(b"x" * 100_000)
        out.leave(b"final data", time.monotonic())
        out.close()
        os.fstat(file.fileno())  # still open
    assert (tmp_path / "file").read_bytes() == b"x" * 100_000 + b"final data"
    monkeypatch.setattr(output, "reopen_terminal", lambda _: None)
    master, slave = ends
    out = TerminalOutput(slave, lambda: None)
    out.send(b"frame")
    out.leave(b"final data", time.monotonic() + 60)
    out.close()
    assert read_bytes(master, 15) == b"framefinal data"
