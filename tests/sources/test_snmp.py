"""/proc/net/snmp: CurrEstab of TCP, found by the name of its column."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from recorded import ALL, cuts, snapshot, text

from tcptop.snapshot import Snmp
from tcptop.sources.snmp import SnmpSource

parse = SnmpSource().parse

NO_RESETS = {"AttemptFails": 0, "EstabResets": 0, "OutRsts": 0}

WITH_SNMP = [(kernel, phase) for kernel, phase in ALL if kernel != "6.18-1n"]


@pytest.mark.parametrize(("kernel", "phase"), WITH_SNMP, ids="/".join)
def test_the_established_count_of_a_recording_is_its_connection_ends(kernel: str, phase: str) -> None:
    """8,000 connections over loopback; when half-closed, only the sides in CLOSE_WAIT count."""
    reading = snapshot(kernel, phase).snmp
    ends = {"base": 0, "unaccepted": 16_000, "established": 16_000, "halfclosed": 8_000, "timewait": 0}
    assert (reading.state, reading.reason) == ("ok", None)
    assert reading.value == Snmp(ends[phase], NO_RESETS)


def test_the_column_is_found_by_name_at_any_position() -> None:
    assert parse("Ip: Forwarding\nIp: 1\nTcp: CurrEstab MaxConn\nTcp: 7 -1\nUdp: InErrors\nUdp: 3\n") == (Snmp(7), None)


def test_counters_of_resets_are_found_by_name() -> None:
    value, damage = parse("Tcp: OutRsts MaxConn EstabResets CurrEstab\nTcp: 9 -1 2 7\n")
    assert (value, damage) == (Snmp(7, {"OutRsts": 9, "EstabResets": 2}), None)


def test_without_the_column_the_value_is_unknown() -> None:
    assert parse("Tcp: MaxConn\nTcp: -1\n") == (Snmp(None), None)


@pytest.mark.parametrize("figure", ["-1", "x", "18446744073709551615", "9" * 30])
def test_a_malformed_count_is_unknown_and_reported(figure: str) -> None:
    value, damage = parse(f"Tcp: MaxConn CurrEstab\nTcp: -1 {figure}\n")
    assert value == Snmp(None)
    assert damage is not None
    assert "CurrEstab" in damage.what


@pytest.mark.parametrize("file", ["", "Ip: 1\n", "Tcp: CurrEstab\n", "Tcp: CurrEstab MaxConn\nTcp: 1\n"])
def test_a_malformed_file_gives_a_reason_and_no_value(file: str) -> None:
    value, damage = parse(file)
    assert value is None
    assert damage is not None


def test_a_file_cut_at_any_byte_gives_the_whole_number_or_none() -> None:
    for end, beginning in cuts(text("6.1-4n", "established", "proc/net/snmp")):
        value, damage = parse(beginning)
        assert value in (None, Snmp(16_000, NO_RESETS)), end
        assert value is not None or damage is not None, end


@given(st.binary(max_size=200))
def test_arbitrary_bytes_never_raise_or_give_a_negative_count(data: bytes) -> None:
    for whole in (data, b"Tcp: MaxConn CurrEstab\nTcp: " + data):
        value, _ = parse(whole.decode("utf-8", "backslashreplace"))
        assert value is None or min(value.established or 0, *value.counters.values(), 0) >= 0
