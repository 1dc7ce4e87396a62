"""The dump of TCP sockets: the request's bytes, the end of the answer, and its errors."""

from __future__ import annotations

import errno
import itertools
import os
import socket
import struct
import time
from collections.abc import Iterable, Sequence
from typing import cast

import pytest
from hypothesis import given
from hypothesis import strategies as st
from recorded_dumps import RELEASES, datagrams, each_release, make_row, messages

from tcptop.snapshot.socket_table import RowAsk
from tcptop.sock_diag.dump import (
    ALL_STATES_MASK,
    ASK_MEMORY,
    LISTEN_MASK,
    STATES,
    UNLISTENING_MASK,
    dump_datagrams,
    dump_request,
    open_diag_socket,
    rows_end,
)
from tcptop.sock_diag.socket_rows import request_rows

BOUND_INACTIVE = 13
SOCK_DESTROY = 21


class AnsweringSocket:
    """A netlink socket with the datagrams of an answer."""

    def __init__(self, answer: Iterable[bytes]) -> None:
        self.sent: list[bytes] = []
        self._answer = iter(answer)

    def settimeout(self, timeout_s: float) -> None:
        assert timeout_s > 0

    def sendto(self, request: bytes, address: tuple[int, int]) -> None:
        assert address == (0, 0)
        self.sent.append(request)

    def recv_into(self, buffer: bytearray) -> int:
        try:
            data = next(self._answer)
        except StopIteration:
            raise TimeoutError("timed out") from None
        buffer[: len(data)] = data
        return len(data)


def receive(answer: Iterable[bytes]) -> list[bytes]:
    """The rows of each datagram."""
    diag = cast(socket.socket, AnsweringSocket(answer))
    return [bytes(rows) for rows in dump_datagrams(diag, b"request", 10.0, monotonic=lambda: 0.0)]


def message(kind: int, body: bytes = b"") -> bytes:
    return struct.pack("=IHHII", 16 + len(body), kind, 2, 1, 0) + body


def status(kind: int, code: int) -> bytes:
    return message(kind, struct.pack("=i", code))


DONE = status(3, 0)


@pytest.mark.parametrize("states", [LISTEN_MASK, UNLISTENING_MASK, ALL_STATES_MASK])
def test_the_request_is_a_dump_of_all_families_that_locks_no_bind_bucket(states: int) -> None:
    request = dump_request(states)
    assert len(request) == 76
    length, kind, flags, _, port_id = struct.unpack_from("=IHHII", request)
    assert (length, kind, flags, port_id) == (76, 18, 0x301, 0)
    family, source_length, target_length, extensions = request[16:20]
    assert (family, source_length, target_length, extensions) == (socket.AF_INET, 0, 0, ASK_MEMORY)
    assert request[20:68] == bytes(48)
    assert struct.unpack_from("=II", request, 68) == (states, 0)
    assert states & ~sum(1 << number for number in STATES.values()) == 0
    assert not states & 1 << BOUND_INACTIVE


def test_the_two_dumps_of_a_look_ask_for_each_state_once() -> None:
    assert LISTEN_MASK | UNLISTENING_MASK == ALL_STATES_MASK
    assert LISTEN_MASK & UNLISTENING_MASK == 0
    assert sorted(STATES.values()) == list(range(1, 12))


@pytest.mark.parametrize("state", STATES)
def test_no_request_destroys_a_socket(state: str) -> None:
    request = request_rows(RowAsk(1, state, True, 443))
    length, kind, flags = struct.unpack_from("=IHH", request)
    assert (length, kind, flags) == (len(request), 18, 0x301)
    assert kind != SOCK_DESTROY
    assert struct.unpack_from("=I", request, 68) == (1 << STATES[state],)


@each_release
def test_a_recorded_answer_ends_with_its_done(release: str) -> None:
    answer = iter(datagrams(release))
    rows = [b"".join(receive(answer)) for _ in range(2)]
    assert next(answer, None) is None
    assert b"".join(rows) == b"".join(messages(release))
    assert {each[17] for each in messages(release)} - {rows[0][17]} == {rows[1][at] for at in starts_of_states(rows[1])}


def starts_of_states(rows: bytes) -> Iterable[int]:
    at = 0
    while at < len(rows):
        yield at + 17
        at += struct.unpack_from("=I", rows, at)[0] + 3 & ~3


def test_rows_and_the_end_in_one_datagram() -> None:
    rows = make_row() * 3
    assert receive([rows + DONE, b"never read"]) == [rows]


def test_an_answer_without_rows() -> None:
    assert receive([DONE]) == []


def test_an_end_without_a_status_ends() -> None:
    assert receive([make_row(), message(3)]) == [make_row()]


@pytest.mark.parametrize(
    ("code", "error"),
    [(errno.ENOENT, FileNotFoundError), (errno.EPERM, PermissionError), (errno.EBUSY, OSError)],
)
@pytest.mark.parametrize("kind", [2, 3])
def test_an_error_of_the_kernel_is_raised(kind: int, code: int, error: type[OSError]) -> None:
    """With NLMSG_ERROR, or NLMSG_DONE with an error, the dump ends in the middle."""
    seen: list[bytes] = []
    diag = cast(socket.socket, AnsweringSocket([make_row(), status(kind, -code)]))
    with pytest.raises(error) as raised:
        seen.extend(map(bytes, dump_datagrams(diag, b"", 10.0, monotonic=lambda: 0.0)))
    assert raised.value.errno == code
    assert raised.value.strerror
    assert seen == [make_row()]


def test_a_message_that_is_no_row_does_not_end_the_dump() -> None:
    nothing, acknowledgement = message(1), status(2, 0)
    assert receive([nothing, acknowledgement, make_row(), DONE]) == [make_row()]


def test_a_cut_datagram_loses_its_last_row_alone() -> None:
    row = make_row()
    assert receive([row + row[:-4], row[:30], b"\1", b"", row, DONE]) == [row, row]


@pytest.mark.parametrize("length", [0, 15, 1 << 31, (1 << 32) - 1])
def test_a_row_with_a_wrong_length_ends_the_rows(length: int) -> None:
    row = make_row()
    assert receive([row + struct.pack("=I", length) + row[4:], DONE]) == [row]


def test_the_time_limit_ends_a_dump_that_never_ends() -> None:
    clock = itertools.count()
    seen: list[bytes] = []
    diag = cast(socket.socket, AnsweringSocket(itertools.repeat(make_row())))
    with pytest.raises(TimeoutError):
        seen.extend(map(bytes, dump_datagrams(diag, b"", 20.0, monotonic=lambda: float(next(clock)))))
    assert 10 < len(seen) <= 20


def test_a_kernel_that_is_silent_times_out() -> None:
    with pytest.raises(TimeoutError):
        receive([])


def walk(data: bytes) -> int:
    """The offset of the first message that is no row, found from message to message."""
    at = 0
    while at + 16 <= len(data):
        length, kind = struct.unpack_from("=IH", data, at)
        if kind not in (18, 20) or length < 16 or at + length > len(data):
            return at
        at += length + -length % 4
    return min(at, len(data))


@given(
    release=st.sampled_from(RELEASES),
    index=st.integers(0),
    cut=st.integers(0),
    flips=st.lists(st.tuples(st.integers(0, 700), st.integers(0, 255)), max_size=6),
)
def test_the_end_of_the_rows_of_any_bytes(release: str, index: int, cut: int, flips: Sequence[tuple[int, int]]) -> None:
    data = bytearray(datagrams(release)[index % len(datagrams(release))])
    del data[cut % (len(data) + 1) :]
    for at, byte in flips:
        if at < len(data):
            data[at] = byte
    end = rows_end(memoryview(data))
    assert end == walk(bytes(data))


@given(st.lists(st.binary(max_size=300), max_size=6))
def test_no_answer_raises_anything_but_errors_of_the_system(answer: Sequence[bytes]) -> None:
    try:
        rows = receive([*answer, DONE])
    except OSError:
        return
    assert sum(map(len, rows)) <= sum(map(len, answer))


def test_the_kernel_answers_a_dump() -> None:
    """A listener of this process, as reported by the running kernel; root is not needed for the own namespace."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(7)
        try:
            with open_diag_socket() as diag:
                rows = b"".join(map(bytes, dump_datagrams(diag, dump_request(LISTEN_MASK), time.monotonic() + 10)))
        except TimeoutError:
            raise
        except OSError as error:
            pytest.skip(f"no sock_diag here: {error}")
        inodes = {struct.unpack_from("=I", rows, at + 67)[0] for at in starts_of_states(rows)}
        assert os.fstat(listener.fileno()).st_ino in inodes
