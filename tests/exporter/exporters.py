"""Exporters for tests: an exporter in this process on a host whose files may hang, and an exporter in its own
process.
"""

from __future__ import annotations

import asyncio
import gzip
import re
import socket
import subprocess
import sys
import threading
import time
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from recorded import tree

from tcptop.accounting import account
from tcptop.exporter.endpoint import Endpoint
from tcptop.exporter.looks import LATE_VALUES_S, Looks
from tcptop.exporter.server import Server, open_sockets
from tcptop.hosts.folder import FolderHost
from tcptop.hosts.host import FileRead, FolderRead, Identity
from tcptop.report.as_metrics import MetricOptions
from tcptop.sampling.sampler import Sampler
from tcptop.sampling.source_list import kernel_sources

PROJECT = Path(__file__).resolve().parents[2]
GUARD_S = 60.0
"""Timeout that ends a failed test."""


class HangingHost:
    """A live host on a recorded tree, on which the reads of some paths hang until `release` is set."""

    identity = Identity(live=True, page_size_bytes=4096)

    def __init__(self, kernel: str = "6.1-4n") -> None:
        self.tree = FolderHost(str(tree(kernel, "established")))
        self.hanging: set[str] = set()
        self.release = threading.Event()

    async def read(self, paths: Sequence[str]) -> list[FileRead]:
        if self.hanging.intersection(paths):
            assert self.release.wait(GUARD_S), "never released"
        # The cost of a read decides when the source is read again, so it must not depend on this machine.
        return [file._replace(took_us=1) for file in await self.tree.read(paths)]

    async def list_folder(self, path: str) -> FolderRead:
        return (await self.tree.list_folder(path))._replace(took_us=1)

    def close(self) -> None:
        self.tree.close()


@dataclass
class Exporter:
    """An exporter's server in this process."""

    host: HangingHost
    looks: Looks
    port: int


@dataclass
class Clock:
    """A monotonic clock that the test sets."""

    now_s: float = 1000.0

    def __call__(self) -> float:
        return self.now_s


@asynccontextmanager
async def exporter(clock: Clock | None = None, first: bool = True) -> AsyncIterator[Exporter]:
    """Serves the metrics of a host on a free port of loopback."""
    host = HangingHost()
    sampler = Sampler(host, kernel_sources(), monotonic=clock or time.monotonic, late_values_s=LATE_VALUES_S)
    looks = Looks(sampler, account)
    [listening] = open_sockets([("127.0.0.1", 0)])
    server = Server(Endpoint(looks, MetricOptions()).answer)
    if first:
        await looks.first()
    server.listen([listening])
    try:
        yield Exporter(host, looks, listening.getsockname()[1])
    finally:
        await server.close()
        listening.close()
        host.release.set()
        host.close()


@dataclass
class Answer:
    """A response as a client sees it."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    samples: dict[str, float] = field(default_factory=dict)


def answer_of(head: bytes, body: bytes) -> Answer:
    lines = head.decode("latin-1").split("\r\n")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines[1:] if line)}
    if headers.get("content-encoding") == "gzip":
        body = gzip.decompress(body)
    found = (line.rpartition(" ") for line in body.decode().splitlines() if not line.startswith(("#", "<")))
    numbers = {name: float(value) for name, _, value in found if re.fullmatch(r"[+-]?[0-9.e+-]+|\+Inf", value)}
    return Answer(int(lines[0].split(" ")[1]), headers, body, numbers)


async def read_answer(reader: asyncio.StreamReader) -> Answer:
    head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), GUARD_S)
    length = int(re.search(rb"(?i)content-length: (\d+)", head)[1])  # type: ignore[index]
    return answer_of(head, await reader.readexactly(length))


async def send(port: int, request: bytes) -> Answer:
    """The answer to the bytes of a request."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(request)
    try:
        return await read_answer(reader)
    finally:
        writer.close()


async def scrape(port: int, **headers: str) -> Answer:
    """The answer to a GET of /metrics, with headers whose names have `_` in place of `-`."""
    lines = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in headers.items())
    return await send(port, f"GET /metrics HTTP/1.1\r\nHost: x\r\n{lines}\r\n".encode())


def command(*arguments: str | Path) -> list[str]:
    return [sys.executable, "-m", "tcptop", "exporter", *map(str, arguments)]


def run_exporter(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """Runs an exporter that ends with an error."""
    return subprocess.run(
        command(*arguments), capture_output=True, text=True, timeout=GUARD_S, check=False, cwd=PROJECT
    )


@contextmanager
def started(*arguments: str | Path) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """An exporter as a process, and its first line."""
    process = subprocess.Popen(
        command(*arguments), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=PROJECT
    )
    assert process.stdout is not None
    try:
        yield process, process.stdout.readline()
    finally:
        process.terminate()
        process.communicate(timeout=GUARD_S)


def port_of(line: str) -> int:
    """The port in the line that an exporter prints at its start."""
    found = re.search(r"https?://\S+:(\d+)/metrics", line)
    assert found is not None, line
    return int(found[1])


def free_port() -> int:
    """A port of loopback without a listener."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        return int(listening.getsockname()[1])


def wait_for_port(port: int) -> None:
    deadline_s = time.monotonic() + GUARD_S
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
            return
        except OSError:
            assert time.monotonic() < deadline_s
            time.sleep(0.05)
