"""/proc/net/sockstat and sockstat6: the TCP lines of every recording; fields are found by name, and missing fields are
unknown.
"""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from recorded import cuts, each_recording, snapshot, text

from tcptop.snapshot import Sockstat, Sockstat6
from tcptop.sources.sockstat import Sockstat6Source, SockstatSource

parse = SockstatSource().parse
parse6 = Sockstat6Source().parse

WHOLE = "sockets: used 1411\nTCP: inuse 1401 orphan 3 tw 300 alloc 1402 mem 165\nUDP: inuse 2 mem 4\nRAW: inuse 0\n"


def line_of(file: str, label: str) -> dict[str, int]:
    [line] = [line for line in file.splitlines() if line.startswith(label + " ")]
    words = line.split()[1:]
    return {words[k]: int(words[k + 1]) for k in range(0, len(words), 2)}


@each_recording
def test_the_lines_of_a_recording_equal_the_files(kernel: str, phase: str) -> None:
    seen = snapshot(kernel, phase)
    assert (seen.sockstat.state, seen.sockstat6.state) == ("ok", "ok")
    four = line_of(text(kernel, phase, "proc/net/sockstat"), "TCP:")
    assert four.keys() == {"inuse", "orphan", "tw", "alloc", "mem"}
    assert seen.sockstat.value == Sockstat(four["inuse"], four["orphan"], four["tw"], four["alloc"], four["mem"])
    assert seen.sockstat6.value == Sockstat6(line_of(text(kernel, phase, "proc/net/sockstat6"), "TCP6:")["inuse"])


@pytest.mark.parametrize(
    ("kernel", "phase", "expected"),
    [
        ("6.1-4n", "established", Sockstat(16001, 0, 0, 16001, 0)),
        ("6.1-4n", "halfclosed", Sockstat(8001, 0, 8000, 8001, 8192)),
        ("6.1-4n-ipv6", "established", Sockstat(0, 0, 1, 16001, 0)),
        ("6.18-1n", "established", Sockstat(1, 0, 0, 8002, 253)),
    ],
)
def test_lines_read_by_hand(kernel: str, phase: str, expected: Sockstat) -> None:
    assert snapshot(kernel, phase).sockstat.value == expected


def test_ipv6_sockets_are_counted_in_sockstat6() -> None:
    assert snapshot("6.1-4n-ipv6", "established").sockstat6.value == Sockstat6(16001)


def test_fields_are_found_by_name_and_missing_ones_are_unknown() -> None:
    assert parse("TCP: mem 5 inuse 7\n") == (Sockstat(7, None, None, None, 5), None)
    assert parse("TCP: inuse 7 orphan 1 tw 2 alloc 9 mem 5 new 77\n") == (Sockstat(7, 1, 2, 9, 5), None)
    assert parse("TCP:\n") == (Sockstat(None, None, None, None, None), None)


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("TCP: inuse 7 orphan", Sockstat(7, None, None, None, None)),
        ("TCP: inuse -7 orphan 0 tw 0 alloc 9 mem 5", Sockstat(None, 0, 0, 9, 5)),
        ("TCP: inuse 7 orphan 0 tw 0 alloc 9 mem -3", Sockstat(7, 0, 0, 9, None)),
        ("TCP: inuse many orphan 0 tw 0 alloc 9 mem 5", Sockstat(None, 0, 0, 9, 5)),
        ("TCP: inuse 7 orphan 0 tw 0 alloc 1e3 mem 5", Sockstat(7, 0, 0, None, 5)),
    ],
)
def test_a_malformed_field_alone_is_unknown_and_reported(line: str, expected: Sockstat) -> None:
    value, damage = parse(f"sockets: used 3\n{line}\nUDP: inuse 2 mem 4\n")
    assert value == expected
    assert damage is not None
    assert damage.state == "strange"
    assert "TCP" in damage.what


def test_a_file_without_the_line_gives_a_reason() -> None:
    value, damage = parse("sockets: used 3\nTCPX: inuse 4\nUDP: inuse 2 mem 4\n")
    assert value is None
    assert damage is not None
    assert damage.state == "strange"


def test_the_tcp6_line_is_not_taken_for_the_tcp_line() -> None:
    assert parse("TCP6: inuse 4\n")[0] is None
    assert parse6("TCP: inuse 4\n")[0] is None
    assert parse6("TCP6: inuse 4\n") == (Sockstat6(4), None)


@pytest.mark.parametrize("kernel", ["6.1-4n", "6.18-1n"])
def test_a_file_cut_at_any_byte_gives_the_whole_line_or_none(kernel: str) -> None:
    whole = text(kernel, "established", "proc/net/sockstat")
    expected = parse(whole)[0]
    line_end = whole.index("\n", whole.index("TCP:")) + 1
    for end, beginning in cuts(whole):
        value, damage = parse(beginning)
        assert value == (expected if end >= line_end else None), end
        if beginning and not beginning.endswith("\n"):
            assert damage is not None, end
            assert damage.state == "cut", end


def test_sockstat6_cut_at_any_byte_gives_the_whole_line_or_none() -> None:
    whole = "TCP6: inuse 16001\nUDP6: inuse 0\n"
    for end, beginning in cuts(whole):
        assert parse6(beginning)[0] == (Sockstat6(16001) if end >= 18 else None), end


@given(st.binary(max_size=300))
def test_arbitrary_bytes_never_raise(data: bytes) -> None:
    parse(data.decode("utf-8", "backslashreplace"))
    parse6(data.decode("utf-8", "backslashreplace"))


@given(st.lists(st.sampled_from([*WHOLE.split(), "TCP6:", "\n", "-1", "0x2", "٣", "9" * 30]), max_size=30))
def test_arbitrary_words_never_raise_or_give_a_negative_count(words: list[str]) -> None:
    file = " ".join(words) + "\n"
    for value in (parse(file)[0], parse6(file)[0]):
        if value is not None:
            known = [getattr(value, name) for name in type(value)._fields]
            assert all(each is None or each >= 0 for each in known)


COUNT = st.integers(0, 2**31 - 1)
PAGES = st.integers(0, 2**63 - 1)


@given(COUNT, COUNT, COUNT, COUNT, PAGES, COUNT)
def test_the_kernels_format_is_parsed_back(inuse: int, orphan: int, tw: int, alloc: int, mem: int, six: int) -> None:
    """Files in the formats of net/ipv4/proc.c, sockstat_seq_show, and net/ipv6/proc.c, sockstat6_seq_show."""
    printed = f"sockets: used {inuse}\nTCP: inuse {inuse} orphan {orphan} tw {tw} alloc {alloc} mem {mem}\n"
    assert parse(printed + "UDP: inuse 2 mem 4\n") == (Sockstat(inuse, orphan, tw, alloc, mem), None)
    assert parse6(f"TCP6: inuse {six}\nUDP6: inuse 1\n") == (Sockstat6(six), None)
