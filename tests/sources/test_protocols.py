"""/proc/net/protocols: name, size and sockets of every protocol; flags differ from kernel to kernel."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from recorded import cuts, each_recording, snapshot, text

from tcptop.snapshot import Protocol
from tcptop.sources.protocols import ProtocolsSource

parse = ProtocolsSource().parse

PRESSURE = {"NI": None, "no": False, "yes": True}

HEAD = "protocol  size sockets  memory press maxhdr  slab module     cl co di ac io in de sh ss gs se re bi br\n"
TCP = "TCP       2304      5     253   no     320   yes  kernel      y  y  y  y  y  y  y  y  y  y  y  y  n  y\n"
UDP = "UDP       1344     11       0   NI       0   yes  kernel      y  y  y  n  y  n  y  n  y  y  y  y  y  n\n"


@each_recording
def test_every_protocol_of_a_recording_equals_the_file(kernel: str, phase: str) -> None:
    reading = snapshot(kernel, phase).protocols
    assert (reading.state, reading.reason) == ("ok", None)
    assert reading.value is not None
    expected = {}
    for line in text(kernel, phase, "proc/net/protocols").splitlines()[1:]:
        match = re.match(r"(\S.{7}\S*) +(\d+) +(-1|\d+) +(-1|\d+) +(NI|no|yes) ", line)
        assert match, line
        name = match[1].strip()
        sockets, memory = (None if count == "-1" else int(count) for count in match.group(3, 4))
        expected[name] = Protocol(name, int(match[2]), sockets, PRESSURE[match[5]], memory)
    assert {"TCP", "TCPv6", "UDP"} <= expected.keys()
    assert reading.value.by_name == expected


@pytest.mark.parametrize(
    ("kernel", "tcp", "tcp6"), [("5.10-4n", 2216, 2376), ("6.1-4n", 2280, 2440), ("6.18-1n", 2304, 2432)]
)
def test_sizes_read_by_hand(kernel: str, tcp: int, tcp6: int) -> None:
    value = snapshot(kernel, "base").protocols.value
    assert value is not None
    assert (value.by_name["TCP"].object_size_bytes, value.by_name["TCPv6"].object_size_bytes) == (tcp, tcp6)


def test_a_protocol_that_does_not_count_its_sockets_has_none() -> None:
    value, damage = parse(HEAD + UDP.replace(" 11 ", " -1 "))
    assert damage is None
    assert value is not None
    assert value.by_name == {"UDP": Protocol("UDP", 1344, None, None, 0)}


def test_a_name_may_contain_a_blank() -> None:
    value, damage = parse(HEAD + TCP.replace("TCP   ", "UDP Li"))
    assert damage is None
    assert value is not None
    assert value.by_name == {"UDP Li": Protocol("UDP Li", 2304, 5, False, 253)}


@pytest.mark.parametrize("odd", ["TCPX\n", "TCPX 2304\n", "TCPX 2304 -5 253\n", "TCPX ² 5\n"])
def test_only_a_malformed_line_is_skipped(odd: str) -> None:
    value, damage = parse(HEAD + TCP + odd + UDP)
    assert value is not None
    assert value.by_name == {"TCP": Protocol("TCP", 2304, 5, False, 253), "UDP": Protocol("UDP", 1344, 11, None, 0)}
    assert damage is not None
    assert damage.state == "strange"


def test_another_kind_of_file_gives_a_reason_and_no_value() -> None:
    value, damage = parse("hello 1 2\n")
    assert value is None
    assert damage is not None
    assert damage.state == "strange"


def test_a_name_is_made_printable() -> None:
    value, _ = parse(HEAD + TCP.replace("TCP   ", "T\x1b[1m "))
    assert value is not None
    assert list(value.by_name) == ["T\\x1b[1m"]


def test_a_file_cut_at_any_byte_gives_only_protocols_of_the_whole_file() -> None:
    whole = "".join(text("6.1-4n", "established", "proc/net/protocols").splitlines(keepends=True)[:8])
    value, _ = parse(whole)
    assert value is not None
    expected = list(value.by_name.items())
    assert len(expected) == 7
    for end, beginning in cuts(whole):
        cut_value, damage = parse(beginning)
        if beginning and not beginning.endswith("\n"):
            assert damage is not None, end
            assert damage.state == "cut", end
        given_lines = list(cut_value.by_name.items()) if cut_value is not None else []
        assert given_lines == expected[: max(0, beginning.count("\n") - 1)], end


@given(st.text(max_size=300))
def test_arbitrary_text_after_a_header_never_raises_or_gives_a_negative_number(rest: str) -> None:
    for file in (rest, HEAD + TCP + rest, HEAD + rest + "\n"):
        value, _ = parse(file)
        for each in value.by_name.values() if value is not None else ():
            assert each.object_size_bytes is not None
            assert each.object_size_bytes >= 0
            assert each.sockets is None or each.sockets >= 0


@given(
    st.dictionaries(
        st.sampled_from(["TCP", "TCPv6", "UDP-Lite", "UNIX-STREAM", "AF_VSOCK", "SMC6", "PACKET"]),
        st.tuples(st.integers(0, 2**31), st.integers(-1, 2**31 - 1), st.integers(-1, 2**40)),
        max_size=7,
    ),
    st.integers(16, 21),
    st.sampled_from(["no", "yes", "NI"]),
)
def test_the_kernels_format_is_parsed_back(
    protocols: dict[str, tuple[int, int, int]], flags: int, pressure: str
) -> None:
    """A file in the format of net/core/sock.c, proto_seq_printf."""
    printed = HEAD + "".join(
        f"{name:<9} {size:4} {sockets:6}  {memory:6}   {pressure:<3} {320:6}   {'yes':<3}  {'kernel':<10}"
        + " y " * flags
        + "\n"
        for name, (size, sockets, memory) in protocols.items()
    )
    value, damage = parse(printed)
    assert damage is None
    assert value is not None
    assert value.by_name == {
        name: Protocol(
            name, size, None if sockets == -1 else sockets, PRESSURE[pressure], None if memory == -1 else memory
        )
        for name, (size, sockets, memory) in protocols.items()
    }
