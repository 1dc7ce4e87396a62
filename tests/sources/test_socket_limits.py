"""Limits on open files, orphans, TIME_WAIT, ports and conntrack, from files below /proc/sys; some are per namespace."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st
from recorded import ALL, SAVED, MemoryHost, snapshot, text

from tcptop.hosts.run_sync import run_sync
from tcptop.snapshot import Reading, SocketLimits
from tcptop.sources.socket_limits import (
    CONNTRACK_COUNT,
    CONNTRACK_MAX,
    FILE_NR,
    MAX_ORPHANS,
    MAX_TIME_WAIT,
    PORT_RANGE,
    RESERVED_PORTS,
    SocketLimitsSource,
)

FILES: Mapping[str, bytes] = {
    FILE_NR: b"743\t3\t9223372036854775807\n",
    MAX_ORPHANS: b"131072\n",
    MAX_TIME_WAIT: b"262144\n",
    PORT_RANGE: b"32768\t60999\n",
    RESERVED_PORTS: b"8080,40000-40999\n",
    CONNTRACK_COUNT: b"17\n",
    CONNTRACK_MAX: b"65536\n",
}
WHOLE = SocketLimits(
    740, 9223372036854775807, 131072, 262144, (32768, 60999), 17, 65536, ((8080, 8080), (40000, 40999))
)
FIELDS = {
    FILE_NR: ("open_files", "max_open_files"),
    MAX_ORPHANS: ("max_orphans",),
    MAX_TIME_WAIT: ("max_time_wait",),
    PORT_RANGE: ("local_ports",),
    RESERVED_PORTS: ("reserved_ports",),
    CONNTRACK_COUNT: ("conntrack_entries",),
    CONNTRACK_MAX: ("max_conntrack_entries",),
}


def limits(files: Mapping[str, bytes | OSError], net_namespace: str | None = None) -> Reading[SocketLimits]:
    identity = SAVED._replace(net_namespace=net_namespace)
    return run_sync(SocketLimitsSource().read(MemoryHost(files, identity=identity)))


@pytest.mark.parametrize(("kernel", "phase"), [each for each in ALL if each[0] != "6.18-1n"], ids="/".join)
def test_the_limits_of_a_recording_equal_its_files(kernel: str, phase: str) -> None:
    reading = snapshot(kernel, phase).socket_limits
    assert (reading.state, reading.reason) == ("ok", None)
    files, _, most = map(int, text(kernel, phase, FILE_NR).split())
    first, last = map(int, text(kernel, phase, PORT_RANGE).split())
    orphans, minis = (int(text(kernel, phase, path)) for path in (MAX_ORPHANS, MAX_TIME_WAIT))
    # conntrack was not loaded in the recorded kernels.
    assert reading.value == SocketLimits(files, most, orphans, minis, (first, last), None, None)


def test_limits_read_by_hand() -> None:
    assert limits(FILES).value == WHOLE
    assert snapshot("6.1-4n", "established").socket_limits.value == SocketLimits(
        15872, 4_000_000, 262144, 262144, (32768, 60999), None, None
    )


@pytest.mark.parametrize("path", FILES)
@pytest.mark.parametrize("error", [None, PermissionError(13, "Permission denied")], ids=["absent", "refused"])
def test_only_the_values_of_a_missing_file_are_unknown(path: str, error: OSError | None) -> None:
    left: dict[str, bytes | OSError] = {name: data for name, data in FILES.items() if name != path}
    if error is not None:
        left[path] = error
    reading = limits(left)
    assert reading.state == "ok"
    assert reading.value == WHOLE._replace(**dict.fromkeys(FIELDS[path]))


@pytest.mark.parametrize("path", FILES)
@pytest.mark.parametrize("data", [b"-2147483649\n", b"1 2 3 4\n", b"\x1b[1m\n"])
def test_a_malformed_file_is_reported_and_only_its_values_are_unknown(path: str, data: bytes) -> None:
    reading = limits({**FILES, path: data})
    assert reading.state == "strange"
    assert reading.reason is not None
    assert reading.reason.isprintable()
    assert path.removeprefix("proc/sys/") in reading.reason
    assert reading.value == WHOLE._replace(**dict.fromkeys(FIELDS[path]))


@pytest.mark.parametrize("ports", [b"60999 32768\n", b"1 65536\n"])
def test_a_malformed_port_range_is_unknown(ports: bytes) -> None:
    value = limits({**FILES, PORT_RANGE: ports}).value
    assert value is not None
    assert value.local_ports is None


@pytest.mark.parametrize(
    ("data", "ranges"),
    [
        (b"\n", ()),
        (b"0\n", ((0, 0),)),
        (b"1-65535\n", ((1, 65535),)),
        (b",".join(b"%d" % port for port in range(1, 65536, 2)) + b"\n", tuple((n, n) for n in range(1, 65536, 2))),
    ],
    ids=["none", "zero", "all", "most"],
)
def test_reserved_ports_are_ranges(data: bytes, ranges: tuple[tuple[int, int], ...]) -> None:
    reading = limits({**FILES, RESERVED_PORTS: data})
    assert reading.state == "ok"
    assert reading.value == WHOLE._replace(reserved_ports=ranges)


@pytest.mark.parametrize(
    "text", ["9-8", "8,8", "9,8", "8-9,10", "8,", ",8", "1-", "65536", "8 9", "8, 9", "1-2-3", "none", "\0\0\0", "\0"]
)
def test_a_malformed_list_of_reserved_ports_is_damage(text: str) -> None:
    reading = limits({**FILES, RESERVED_PORTS: text.encode() + b"\n"})
    assert reading.state == "strange"
    assert "ip_local_reserved_ports has an unknown format" in (reading.reason or "")
    assert reading.value == WHOLE._replace(reserved_ports=None)


def test_limits_of_the_readers_namespace_are_not_read_for_another() -> None:
    reading = limits(FILES, net_namespace="/host/proc/1/net")
    assert reading.state == "ok"
    assert reading.value == SocketLimits(740, 9223372036854775807, 131072, None, None, None, None)


def test_without_any_file_the_reading_is_missing_with_a_reason() -> None:
    for files in ({}, dict.fromkeys(FILES, b"")):
        reading = limits(files)
        assert reading.value is None
        assert reading.reason is not None
    assert limits({}).state == "missing"


@given(st.fixed_dictionaries({path: st.binary(max_size=40) for path in FILES}))
def test_arbitrary_bytes_never_raise_or_give_a_negative_number(files: dict[str, bytes]) -> None:
    reading = limits(dict(files))
    if reading.value is None:
        assert reading.reason is not None
        return
    for name in SocketLimits._fields:
        figure = getattr(reading.value, name)
        if name == "reserved_ports":
            assert all(0 <= first <= last <= 65535 for first, last in figure or ())
            continue
        assert figure is None or min(figure if isinstance(figure, tuple) else (figure,)) >= 0
