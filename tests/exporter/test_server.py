"""The exporter's HTTP server: one reading for all scrapers, and bounds on the effects of clients and sources."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from http import HTTPStatus

import pytest
from exporters import GUARD_S, Clock, exporter, read_answer, scrape, send
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client.core import Metric
from prometheus_client.openmetrics.parser import text_string_to_metric_families
from recorded import MemoryHost

from tcptop.accounting import account
from tcptop.exporter import looks as looks_module
from tcptop.exporter import server as server_module
from tcptop.exporter.endpoint import Endpoint, patience_s
from tcptop.exporter.exposition import negotiated
from tcptop.exporter.looks import Looks
from tcptop.exporter.server import (
    HEADER_BYTES,
    IDLE_S,
    MAX_CONNECTIONS,
    BadRequestError,
    Request,
    Response,
    Server,
    open_sockets,
    parse_request,
)
from tcptop.hosts.host import FileRead, FolderRead, Host, HostLostError, Identity
from tcptop.report.as_metrics import MetricOptions
from tcptop.sampling.live_sampler import PATIENCE_S
from tcptop.sampling.sampler import Sampler
from tcptop.sampling.source_list import kernel_sources

LAST_LOOK = "tcptop_last_look_timestamp_seconds"
ACTIVE = 'tcptop_cache_active_objects{cache="TCP"}'
GET = b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n"


@pytest.mark.slow
async def test_scrapers_of_one_second_share_a_look() -> None:
    async with exporter() as served:
        started_s = time.monotonic()
        answers = []
        for _ in range(10):
            answers += await asyncio.gather(*(scrape(served.port) for _ in range(20)))
        looks_allowed = 2 + int(time.monotonic() - started_s)
        assert {answer.status for answer in answers} == {200}
        assert len({answer.samples[LAST_LOOK] for answer in answers}) <= looks_allowed
        assert served.looks.count <= looks_allowed


async def test_a_scraper_that_leaves_does_not_end_the_look_of_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(looks_module, "FRESH_S", -1.0)
    async with exporter() as served:
        served.host.hanging = {"proc/meminfo"}  # so that the reading takes the longest allowed time
        leaving = asyncio.create_task(served.looks.ledger())
        staying = asyncio.create_task(served.looks.ledger())
        await asyncio.sleep(0)
        leaving.cancel()
        assert await staying is not None
        assert leaving.cancelled()
        assert served.looks.count == 2


async def test_silent_clients_keep_nobody_out() -> None:
    async with exporter() as served:
        silent = [await asyncio.open_connection("127.0.0.1", served.port) for _ in range(MAX_CONNECTIONS + 20)]
        started_s = time.monotonic()
        answer = await scrape(served.port)
        assert answer.status == 200
        assert time.monotonic() - started_s < 5.0
        # The connections that were silent for longest were closed.
        assert await asyncio.wait_for(silent[0][0].read(), GUARD_S) == b""
        for _, writer in silent:
            writer.close()


@asynccontextmanager
async def server_of(answer: Callable[[Request], Awaitable[Response]]) -> AsyncIterator[int]:
    """The port of a server with this answer."""
    [listening] = open_sockets([("127.0.0.1", 0)])
    server = Server(answer)
    server.listen([listening])
    try:
        yield listening.getsockname()[1]
    finally:
        await server.close()
        listening.close()


async def status_of(port: int) -> bytes:
    """The status line for a client that requests / on a new connection."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"GET / HTTP/1.1\r\nConnection: close\r\n\r\n")
    line = await asyncio.wait_for(reader.readline(), IDLE_S / 2)
    writer.close()
    return line


async def test_clients_that_read_no_answer_keep_nobody_out() -> None:
    taken = 0

    async def answer(request: Request) -> Response:
        nonlocal taken
        taken += request.path == "/large"
        return Response(HTTPStatus.OK, bytes(16 << 20 if request.path == "/large" else 1))

    async with server_of(answer) as port:
        slow = [await asyncio.open_connection("127.0.0.1", port, limit=1) for _ in range(MAX_CONNECTIONS)]
        for _, writer in slow:
            writer.write(b"GET /large HTTP/1.1\r\n\r\n")
        while taken < len(slow):
            await asyncio.sleep(0.01)
        assert await status_of(port) == b"HTTP/1.1 200 OK\r\n"
        for _, writer in slow:
            writer.close()


async def test_a_newcomer_waits_while_all_are_answered_and_comes_before_their_next_requests() -> None:
    begun, may_end = 0, asyncio.Event()

    async def answer(request: Request) -> Response:
        nonlocal begun
        begun += 1
        await may_end.wait()
        return Response(HTTPStatus.OK, request.path.encode())

    async with server_of(answer) as port:
        busy = [await asyncio.open_connection("127.0.0.1", port) for _ in range(MAX_CONNECTIONS)]
        for _, writer in busy:
            writer.write(GET * 20)
        while begun < len(busy):
            await asyncio.sleep(0.01)
        newcomer = asyncio.create_task(status_of(port))
        await asyncio.sleep(0.1)  # the connection is accepted, and all other connections are busy
        may_end.set()
        assert await newcomer == b"HTTP/1.1 200 OK\r\n"
        for _, writer in busy:
            writer.close()


async def test_an_idle_client_is_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server_module, "IDLE_S", 0.05)
    async with exporter() as served:
        reader, writer = await asyncio.open_connection("127.0.0.1", served.port)
        writer.write(b"GET /metr")
        assert await asyncio.wait_for(reader.read(), GUARD_S) == b""
        writer.close()


async def test_a_connection_takes_several_requests() -> None:
    async with exporter() as served:
        reader, writer = await asyncio.open_connection("127.0.0.1", served.port)
        writer.write(GET + GET)
        first, second = await read_answer(reader), await read_answer(reader)
        assert (first.status, second.status) == (200, 200)
        assert first.headers["connection"] == "keep-alive"
        writer.write(b"GET / HTTP/1.1\r\nConnection: close\r\n\r\n")
        third = await read_answer(reader)
        assert b'href="/metrics"' in third.body
        assert await reader.read() == b""
        writer.close()


@pytest.mark.parametrize(
    ("request_bytes", "status"),
    [
        (GET, 200),
        (b"GET /metrics?x=1 HTTP/1.0\r\n\r\n", 200),
        (b"GET /metricsx HTTP/1.1\r\n\r\n", 404),
        (b"GET /../etc/passwd HTTP/1.1\r\n\r\n", 404),
        (b"POST /metrics HTTP/1.1\r\n\r\n", 405),
        (b"HEADS / HTTP/1.1\r\n\r\n", 405),
        (b"POST /metrics HTTP/1.1\r\nContent-Length: 5\r\n\r\nabcde", 400),
        (b"GET /metrics HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n", 400),
        (b"GET /metrics\r\n\r\n", 400),
        (b"\x16\x03\x01\x02\x00\x01\x00\r\n\r\n", 400),
        (b"GET http://other/ HTTP/1.1\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nno colon\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nX: " + b"x" * (HEADER_BYTES + 100), 431),
    ],
    ids=lambda value: repr(value)[:40],
)
async def test_only_get_and_head_of_two_paths_is_answered(request_bytes: bytes, status: int) -> None:
    async with exporter() as served:
        answer = await send(served.port, request_bytes)
        assert answer.status == status
        assert answer.headers["connection"] == (
            "keep-alive" if status in (200, 404, 405) and b"1.0" not in request_bytes else "close"
        )
        assert (await scrape(served.port)).status == 200


@pytest.mark.parametrize("path", [b"/", b"/metrics", b"/nothing"])
@pytest.mark.parametrize("coding", [b"", b"Accept-Encoding: gzip\r\n"], ids=["plain", "gzip"])
async def test_the_answer_to_head_is_that_to_get_without_a_body(path: bytes, coding: bytes) -> None:
    async with exporter() as served:
        whole = await send(served.port, b"GET " + path + b" HTTP/1.1\r\n" + coding + b"\r\n")
        reader, writer = await asyncio.open_connection("127.0.0.1", served.port)
        writer.write(b"HEAD " + path + b" HTTP/1.1\r\nConnection: close\r\n" + coding + b"\r\n")
        head, end, body = (await reader.read()).partition(b"\r\n\r\n")
        writer.close()
        assert (end, body) == (b"\r\n\r\n", b"")
        first, *lines = head.decode().split("\r\n")
        headers = dict(line.lower().split(": ", 1) for line in lines)
        assert int(first.split()[1]) == whole.status
        assert headers.keys() == {name.lower() for name in whole.headers}
        assert int(headers["content-length"]) > 0


async def test_gzip_if_it_is_accepted() -> None:
    async with exporter() as served:
        plain = await scrape(served.port)
        packed = await scrape(served.port, Accept_Encoding="br, gzip;q=0.5")
        refused = await scrape(served.port, Accept_Encoding="gzip;q=0")
        assert packed.headers["content-encoding"] == "gzip"
        assert "content-encoding" not in plain.headers
        assert "content-encoding" not in refused.headers
        assert int(packed.headers["content-length"]) < int(plain.headers["content-length"]) / 2
        assert packed.samples.keys() == plain.samples.keys()


async def test_openmetrics_if_it_is_accepted() -> None:
    async with exporter() as served:
        answer = await scrape(served.port, Accept="application/openmetrics-text;version=1.0.0,text/plain;q=0.5")
        assert answer.headers["content-type"].startswith("application/openmetrics-text; version=1.0.0")
        parse: Callable[[str], Iterable[Metric]] = text_string_to_metric_families
        families = {family.name: family for family in parse(answer.body.decode())}
        assert families["tcptop_read_cpu_seconds"].type == "counter"
        assert families["tcptop_read_cpu_seconds"].unit == "seconds"
        assert families["tcptop_cache_bytes"].unit == "bytes"
        assert "process_cpu_seconds" in families
        plain = await scrape(served.port)
        assert plain.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"


@pytest.mark.parametrize(
    "accept",
    [
        *("text/plain;version=abc", "text/plain;version=1.x", "text/plain;version=1."),
        *("application/openmetrics-text;version=1.", "application/openmetrics-text;version=1.0.0-rc0"),
        *("application/openmetrics-text;version=" + "9" * 5000, "application/openmetrics-text;version=\xb9.\xff"),
    ],
)
async def test_a_version_that_is_none_gets_the_plain_format(accept: str) -> None:
    async with exporter() as served:
        told: list[object] = []
        asyncio.get_running_loop().set_exception_handler(lambda _, context: told.append(context))
        answer = await send(served.port, f"GET /metrics HTTP/1.1\r\nAccept: {accept}\r\n\r\n".encode("latin-1"))
        assert (answer.status, told) == (200, [])
        assert answer.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
        assert LAST_LOOK in answer.samples


PARTS_OF_ACCEPT = st.sampled_from(
    ["application/openmetrics-text", "text/plain", ";", ",", "=", "version=", "escaping=values", "1.0.0", ".", "2", "q"]
)


@given(st.lists(PARTS_OF_ACCEPT | st.text(st.characters(max_codepoint=255), max_size=3), max_size=12))
def test_no_header_accept_is_an_error(parts: list[str]) -> None:
    encoded = negotiated((), "".join(parts))
    assert b"process_cpu_seconds_total" in encoded.body


async def test_a_connection_without_a_tls_context_is_closed() -> None:
    def fail() -> None:
        raise KeyError("unforeseen")

    async def answer(_: Request) -> Response:
        pytest.fail("answered")

    [listening] = open_sockets([("127.0.0.1", 0)])
    asyncio.get_running_loop().set_exception_handler(lambda *_: None)
    server = Server(answer, fail)
    server.listen([listening])
    try:
        reader, writer = await asyncio.open_connection(*listening.getsockname())
        assert await asyncio.wait_for(reader.read(), GUARD_S) == b""
        writer.close()
    finally:
        await server.close()
        listening.close()


async def test_a_source_that_hangs_from_the_start_costs_only_its_own_figures() -> None:
    async with exporter(first=False) as served:
        served.host.hanging = {"proc/slabinfo"}
        await scrape(served.port)
        answer = await scrape(served.port)
        assert answer.status == 200
        assert answer.samples['tcptop_source_up{source="slabinfo"}'] == 0
        assert answer.samples["tcptop_sockets_allocated"] == 16001
        assert ACTIVE not in answer.samples


async def test_old_figures_of_a_source_that_hangs_later_are_dropped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(looks_module, "FRESH_S", -1.0)
    clock = Clock()
    async with exporter(clock) as served:

        async def scrape_at(passed_s: float) -> dict[str, float]:
            clock.now_s += passed_s
            return (await scrape(served.port)).samples

        assert ACTIVE in await scrape_at(0)
        served.host.hanging = {"proc/slabinfo"}
        late = await scrape_at(30)
        assert late['tcptop_source_up{source="slabinfo"}'] == 0
        assert ACTIVE in late
        dropped = await scrape_at(31)
        assert ACTIVE not in dropped
        assert dropped["tcptop_sockets_allocated"] == 16001
        served.host.hanging.clear()
        served.host.release.set()
        deadline_s = time.monotonic() + GUARD_S
        while ACTIVE not in await scrape_at(10):
            assert time.monotonic() < deadline_s


class LostHost:
    """A machine that ssh has lost."""

    identity = Identity(live=True, place="ssh:web17", remote_name="web17")

    async def read(self, _: Sequence[str]) -> list[FileRead]:
        raise HostLostError("web17: Connection refused")

    async def list_folder(self, _: str) -> FolderRead:
        raise HostLostError("web17: Connection refused")

    def close(self) -> None:
        """Does nothing."""


@pytest.mark.parametrize("make_host", [LostHost, lambda: MemoryHost({})])
async def test_of_a_machine_that_cannot_be_read_the_sources_are_down(make_host: Callable[[], Host]) -> None:
    """An alert on `tcptop_source_up` fires, and no other figure is made up."""
    looks = Looks(Sampler(make_host(), kernel_sources()), account)
    answer = await Endpoint(looks, MetricOptions()).answer(parse_request(GET))
    assert answer.status == 200
    samples = [line.split(" ") for line in answer.body.decode().splitlines() if not line.startswith("#")]
    down = {name for name, value in samples if name.startswith("tcptop_source_up{") and float(value) == 0}
    assert 'tcptop_source_up{source="slabinfo"}' in down
    assert 'tcptop_source_up{source="sockstat"}' in down
    others = {name.partition("{")[0] for name, _ in samples if name.startswith("tcptop_")} - {"tcptop_source_up"}
    assert others <= {
        "tcptop_build_info",
        "tcptop_last_look_timestamp_seconds",
        "tcptop_read_cpu_seconds_total",
        "tcptop_limits_unknown",
    }


@pytest.mark.parametrize(
    ("header", "expected_s"),
    [
        ("", PATIENCE_S),
        ("10", PATIENCE_S),
        ("0.6", 0.1),
        ("0.2", 0.0),
        ("-1", PATIENCE_S),
        ("x", PATIENCE_S),
        ("nan", PATIENCE_S),
        ("inf", PATIENCE_S),
    ],
)
def test_a_look_ends_half_a_second_before_the_scrapers_timeout(header: str, expected_s: float) -> None:
    assert patience_s(header) == pytest.approx(expected_s)


async def test_a_bug_answers_500_and_the_next_request_is_served(monkeypatch: pytest.MonkeyPatch) -> None:
    async with exporter() as served:
        told: list[str] = []
        asyncio.get_running_loop().set_exception_handler(lambda _, context: told.append(str(context["exception"])))
        with monkeypatch.context() as patched:
            patched.setattr(served.looks, "ledger", lambda patience_s: 1 / 0)  # noqa: ARG005
            assert (await scrape(served.port)).status == 500
        assert told == ["division by zero"]
        assert (await scrape(served.port)).status == 200


@given(st.binary(max_size=200), st.sampled_from([b"", b"GET / HTTP/1.1\r\n", b"GET /metrics HTTP/1.0\r\nA: "]))
def test_any_bytes_are_a_request_or_a_bad_one(data: bytes, start: bytes) -> None:
    try:
        request = parse_request(start + data.replace(b"\r\n\r\n", b"") + b"\r\n\r\n")
    except BadRequestError:
        return
    assert request.path.startswith("/")
    assert "\n" not in "".join(request.headers.values())


def test_headers_of_one_name_are_joined() -> None:
    request = parse_request(b"GET / HTTP/1.1\r\nAccept: a\r\nACCEPT:  b \r\n\r\n")
    assert request.headers == {"accept": "a,b"}


@pytest.mark.parametrize("header", [b" A: b", b"A : b", b": b", b"A: b\rC: d", b"A: b\nC: d"])
def test_headers_that_could_be_read_two_ways_are_refused(header: bytes) -> None:
    with pytest.raises(BadRequestError):
        parse_request(b"GET / HTTP/1.1\r\n" + header + b"\r\n\r\n")
