"""/proc/net/netstat: the counters of events in the pairs of lines `TcpExt:`, by name."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from recorded import ALL, cuts, snapshot, text

from tcptop.kernel.events import counters_in
from tcptop.snapshot import EventCounters
from tcptop.sources.netstat import NetstatSource

parse = NetstatSource().parse
NAMES = counters_in("netstat")

WITH_NETSTAT = [(kernel, phase) for kernel, phase in ALL if kernel != "6.18-1n"]


def columns(file: str) -> dict[str, str]:
    """The values of the first pair of lines `TcpExt:`, parsed without tcptop."""
    names, values = [line.split()[1:] for line in file.splitlines() if line.startswith("TcpExt:")]
    return dict(zip(names, values, strict=True))


def test_every_counter_of_every_recorded_kernel_is_read() -> None:
    for kernel, phase in WITH_NETSTAT:
        reading = snapshot(kernel, phase).netstat
        assert (reading.state, reading.reason) == ("ok", None)
        printed = columns(text(kernel, phase, "proc/net/netstat"))
        assert reading.value == EventCounters({name: int(printed[name]) for name in NAMES})
    assert snapshot("6.18-1n", "base").netstat.state == "missing"


def test_counters_are_found_by_name_in_any_order_and_in_several_pairs() -> None:
    file = (
        "IpExt: ListenOverflows\nIpExt: 8\nTcpExt: ListenDrops Other ListenOverflows\nTcpExt: 5 -1 4\n"
        "MPTcpExt: RcvPruned\nMPTcpExt: 7\nTcpExt: TCPOFODrop\nTcpExt: 3\n"
    )
    assert parse(file) == (EventCounters({"ListenDrops": 5, "ListenOverflows": 4, "TCPOFODrop": 3}), None)


def test_an_old_kernel_has_fewer_counters() -> None:
    assert parse("TcpExt: SyncookiesSent ListenDrops\nTcpExt: 0 1\n") == (
        EventCounters({"SyncookiesSent": 0, "ListenDrops": 1}),
        None,
    )


@pytest.mark.parametrize("figure", ["-1", "x", "0x10", "1_0", "18446744073709551615", "9" * 30, "٣"])
def test_a_malformed_count_is_unknown_and_reported(figure: str) -> None:
    value, damage = parse(f"TcpExt: ListenOverflows ListenDrops\nTcpExt: {figure} 2\n")
    assert value == EventCounters({"ListenDrops": 2})
    assert damage is not None
    assert "ListenOverflows" in damage.what


@pytest.mark.parametrize(
    "file",
    [
        "",
        "IpExt: InNoRoutes\nIpExt: 0\n",
        "TcpExt: ListenDrops\n",
        "TcpExt: ListenDrops ListenOverflows\nTcpExt: 1\n",
        "TcpExt: ListenDrops\nTcpExt: 1 2\n",
        "TcpExt:ListenDrops\nTcpExt:1\n",
    ],
)
def test_a_file_without_a_whole_pair_gives_a_reason_and_no_value(file: str) -> None:
    value, damage = parse(file)
    assert value is None
    assert damage is not None
    assert damage.state == "strange"


def test_a_pair_with_another_number_of_columns_is_left_out() -> None:
    value, damage = parse("TcpExt: ListenDrops\nTcpExt: 1 2\nTcpExt: OfoPruned\nTcpExt: 3\n")
    assert value == EventCounters({"OfoPruned": 3})
    assert damage is not None


@pytest.mark.parametrize(
    "file",
    [
        "TcpExt: ListenDrops ListenDrops\nTcpExt: 1 2\n",
        "TcpExt: ListenDrops\nTcpExt: 1\nTcpExt: ListenDrops\nTcpExt: 2\n",
    ],
)
def test_the_first_of_two_counters_of_one_name_counts(file: str) -> None:
    value, damage = parse(file)
    assert value == EventCounters({"ListenDrops": 1})
    assert damage is not None
    assert "ListenDrops is there more than once" in damage.what


def test_a_file_cut_at_any_byte_gives_the_whole_counters_or_none() -> None:
    whole = snapshot("6.1-4n", "established").netstat.value
    for end, beginning in cuts(text("6.1-4n", "established", "proc/net/netstat")):
        value, damage = parse(beginning)
        assert value in (None, whole), end
        assert value is not None or damage is not None, end


@given(st.binary(max_size=200))
def test_arbitrary_bytes_never_raise_or_give_a_negative_count(data: bytes) -> None:
    for whole in (data, b"TcpExt: ListenDrops TCPOFODrop\nTcpExt: " + data):
        value, _ = parse(whole.decode("utf-8", "backslashreplace"))
        assert value is None or all(count >= 0 for count in value.counters.values())
