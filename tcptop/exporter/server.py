"""HTTP server of the exporter: GET and HEAD of /metrics and /, on an event loop, with limits for each client.

A client may send at most HEADER_BYTES of headers. A client has IDLE_S to send a whole request, and IDLE_S to take the
answer. If a new connection would exceed MAX_CONNECTIONS, the server closes the connection that has waited longest for
its client. Clients that send or read slowly therefore cannot lock out a scraper.
"""

from __future__ import annotations

import asyncio
import gzip
import socket
import ssl
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from http import HTTPStatus
from typing import NamedTuple

HEADER_BYTES = 16 << 10
IDLE_S = 30.0
MAX_CONNECTIONS = 32
HANDSHAKE_S = 3.0
BACKLOG = 128
ACCEPT_RETRY_S = 1.0
"""Pause after accept() has failed, for example because the process has too many open files."""
MIN_GZIP_BYTES = 1000
TEXT = "text/plain; charset=utf-8"


class Request(NamedTuple):
    """The request line and the headers of a request."""

    method: str
    path: str
    version: str
    headers: Mapping[str, str]
    """The headers by name in lower case; values of one name are joined by commas."""

    @property
    def keeps_alive(self) -> bool:
        """True if the client wants to send more requests."""
        options = self.headers.get("connection", "").lower()
        return "close" not in options and (self.version == "HTTP/1.1" or "keep-alive" in options)

    @property
    def accepts_gzip(self) -> bool:
        """True if the client accepts a gzipped body."""
        for coding in self.headers.get("accept-encoding", "").lower().split(","):
            name, _, weight = coding.partition(";")
            if name.strip() == "gzip":
                return weight.replace(" ", "") not in ("q=0", "q=0.0", "q=0.00", "q=0.000")
        return False


class Response(NamedTuple):
    """The answer to a request."""

    status: HTTPStatus
    body: bytes
    content_type: str = TEXT
    headers: Sequence[tuple[str, str]] = ()


class BadRequestError(Exception):
    """A request that is not HTTP, or has a body."""


Answer = Callable[[Request], Awaitable[Response]]
TlsContext = Callable[[], ssl.SSLContext | None]


def plain_response(status: HTTPStatus, text: str = "", headers: Sequence[tuple[str, str]] = ()) -> Response:
    """A response of one line of text. If the text is empty, the line is the standard phrase of the status."""
    return Response(status, f"{text or status.phrase}\n".encode(), headers=headers)


class Server:
    """Answers requests on listening sockets until `close`."""

    def __init__(self, answer: Answer, tls_context: TlsContext = lambda: None) -> None:
        """`tls_context` is called for each connection.

        If `tls_context` returns None, the connection has no TLS. If `tls_context` raises OSError or ValueError, the
        connection is refused.
        """
        self._answer = answer
        self._tls_context = tls_context
        self._accepting: list[asyncio.Task[None]] = []
        self._connections: dict[asyncio.Task[None], bool] = {}
        """Maps each connection to True while it waits for its client; the connection that has waited longest comes
        first."""
        self._room = asyncio.Event()
        """Event that is set when a connection has ended, or begins to wait for its client."""

    def listen(self, sockets: Sequence[socket.socket]) -> None:
        """Accepts connections from now on."""
        for each in sockets:
            each.setblocking(False)
        self._accepting += [asyncio.create_task(self._accept(each)) for each in sockets]

    async def close(self) -> None:
        """Ends all connections; the caller closes the listening sockets."""
        tasks = [*self._accepting, *self._connections]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _accept(self, listening: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        while True:
            try:
                connection, _ = await loop.sock_accept(listening)
            except OSError:
                await asyncio.sleep(ACCEPT_RETRY_S)
                continue
            try:
                await self._make_room()
            except asyncio.CancelledError:
                connection.close()
                raise
            task = asyncio.create_task(self._serve(connection))
            self._connections[task] = True
            task.add_done_callback(self._forget)

    async def _make_room(self) -> None:
        """Waits until the number of connections is below MAX_CONNECTIONS.

        Closes the connection that has waited longest for its client. If no connection waits for its client, this method
        waits until a connection ends or begins to wait for its client.
        """
        while len(self._connections) >= MAX_CONNECTIONS:
            waiting = next((task for task, is_waiting in self._connections.items() if is_waiting), None)
            if waiting is not None:
                del self._connections[waiting]
                waiting.cancel()
            else:
                self._room.clear()
                await self._room.wait()

    def _forget(self, task: asyncio.Task[None]) -> None:
        self._connections.pop(task, None)
        self._room.set()

    async def _serve(self, connection: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        try:
            context = self._tls_context()
            reader = asyncio.StreamReader(limit=HEADER_BYTES, loop=loop)
            protocol = asyncio.StreamReaderProtocol(reader, loop=loop)
            transport, _ = await loop.connect_accepted_socket(
                lambda: protocol, connection, ssl=context, ssl_handshake_timeout=HANDSHAKE_S if context else None
            )
        except (OSError, ValueError, asyncio.CancelledError):
            connection.close()
            return
        except BaseException:
            connection.close()
            raise
        writer = asyncio.StreamWriter(transport, protocol, reader, loop)
        try:
            while await self._serve_request(reader, writer):
                pass
        except (OSError, asyncio.TimeoutError, asyncio.IncompleteReadError, asyncio.CancelledError):
            transport.abort()
        finally:
            writer.close()

    async def _serve_request(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        """Answers one request; returns True if the connection stays open."""
        self._mark(is_waiting=True)
        await asyncio.sleep(0)  # lets the server serve a new connection before this client's next request
        request: Request | None = None
        try:
            header = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), IDLE_S)
            request = parse_request(header)
        except asyncio.LimitOverrunError:
            response = plain_response(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE)
        except BadRequestError as error:
            response = plain_response(HTTPStatus.BAD_REQUEST, str(error))
        self._mark(is_waiting=False)
        if request is not None:
            response = await self._answer_or_500(request)
        keeps_alive = request is not None and request.keeps_alive
        self._mark(is_waiting=True)
        writer.write(_to_bytes(response, request, keeps_alive))
        await asyncio.wait_for(writer.drain(), IDLE_S)
        return keeps_alive

    async def _answer_or_500(self, request: Request) -> Response:
        try:
            return await self._answer(request)
        except Exception as error:
            asyncio.get_running_loop().call_exception_handler({"message": "please report it", "exception": error})
            return plain_response(HTTPStatus.INTERNAL_SERVER_ERROR)

    def _mark(self, is_waiting: bool) -> None:
        """Moves this connection to the end of the list, so that the connections that wait longest come first."""
        task = asyncio.current_task()
        if task in self._connections:
            del self._connections[task]
            self._connections[task] = is_waiting
        if is_waiting:
            self._room.set()


def parse_request(header: bytes) -> Request:
    """Parses a request up to the empty line; raises BadRequestError."""
    lines = header.decode("latin-1").split("\r\n")[:-2]
    words = lines[0].split(" ")
    if len(words) != 3 or words[2] not in ("HTTP/1.0", "HTTP/1.1") or not words[1].startswith("/"):
        raise BadRequestError("not a request of HTTP/1.1")
    headers: dict[str, str] = {}
    for line in lines[1:]:
        name, colon, value = line.partition(":")
        if not colon or not name or name != name.strip() or "\n" in line or "\r" in line:
            raise BadRequestError("a header is not NAME: VALUE")
        key = name.lower()
        headers[key] = f"{headers[key]},{value.strip()}" if key in headers else value.strip()
    if "transfer-encoding" in headers or headers.get("content-length", "0") != "0":
        raise BadRequestError("a request has no body here")
    return Request(words[0], words[1].partition("?")[0], words[2], headers)


def _to_bytes(response: Response, request: Request | None, keeps_alive: bool) -> bytes:
    body, headers = response.body, list(response.headers)
    if request is not None and request.accepts_gzip and len(body) >= MIN_GZIP_BYTES:
        body = gzip.compress(body, 5, mtime=0)
        headers.append(("Content-Encoding", "gzip"))
    headers += [
        ("Content-Type", response.content_type),
        ("Content-Length", str(len(body))),
        ("Vary", "Accept, Accept-Encoding"),
        ("X-Content-Type-Options", "nosniff"),
        ("Connection", "keep-alive" if keeps_alive else "close"),
    ]
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers)
    head = f"HTTP/1.1 {response.status.value} {response.status.phrase}\r\n{lines}\r\n".encode("latin-1")
    # The headers of an answer to HEAD are those of GET, even Content-Length (RFC 9110, 9.3.2).
    return head if request is not None and request.method == "HEAD" else head + body


def open_sockets(addresses: Sequence[tuple[str, int]]) -> list[socket.socket]:
    """A listening socket for each address; raises OSError, whose `filename` is the address."""
    sockets: list[socket.socket] = []
    try:
        for host, port in addresses:
            try:
                family, _, _, _, address = socket.getaddrinfo(
                    host or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
                )[0]
                if not host:
                    # If the host name is empty, listens on all addresses of IPv4 and IPv6.
                    family, address = socket.AF_INET6 if socket.has_dualstack_ipv6() else socket.AF_INET, ("", port)
                sockets.append(
                    socket.create_server(
                        address[:2],
                        family=family,
                        backlog=BACKLOG,
                        dualstack_ipv6=not host and family == socket.AF_INET6,
                    )
                )
            except OSError as error:
                reason = error.strerror or str(error)
                raise OSError(error.errno, reason, address_text((host, port))) from None
    except OSError:
        for opened in sockets:
            with suppress(OSError):
                opened.close()
        raise
    return sockets


def address_text(address: Sequence[object]) -> str:
    """`127.0.0.1:10097`, or `[::1]:10097`."""
    host, port = address[:2]
    return f"[{host}]:{port}" if ":" in str(host) else f"{host}:{port}"
