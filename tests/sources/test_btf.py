"""/sys/kernel/btf/vmlinux: the sizes of the running kernel's structs, readable by anyone."""

from __future__ import annotations

import struct
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tcptop.snapshot import Btf
from tcptop.sources.btf import PATH, parse

INT, PTR, ARRAY, STRUCT = 1, 2, 3, 4


def blob(order: str = "<", struct_name: bytes = b"tcp_sock") -> bytes:
    """`struct tcp_sock { int a; void *b; int c[3]; }` by Documentation/bpf/btf.rst."""
    names = b"\0int\0a\0b\0c\0" + struct_name + b"\0"
    at = {name: names.index(b"\0" + name + b"\0") + 1 for name in (b"int", b"a", b"b", b"c", struct_name)}

    def info(kind: int, members: int = 0) -> int:
        return kind << 24 | members

    types = struct.pack(f"{order}IIII", at[b"int"], info(INT), 4, 32)
    types += struct.pack(f"{order}III", 0, info(PTR), 0)
    types += struct.pack(f"{order}IIIIII", 0, info(ARRAY), 0, 1, 1, 3)
    types += struct.pack(f"{order}III", at[struct_name], info(STRUCT, 3), 32)
    for name, kind, bit in ((b"a", 1, 0), (b"b", 2, 64), (b"c", 3, 128)):
        types += struct.pack(f"{order}III", at[name], kind, bit)
    head = struct.pack(f"{order}HBBIIIII", 0xEB9F, 1, 0, 24, 0, len(types), len(types), len(names))
    return head + types + names


def parsed(data: bytes, *names: str) -> Btf:
    value, damage = parse(data, names)
    assert damage is None
    assert value is not None
    return value


@pytest.mark.parametrize("order", ["<", ">"])
def test_a_struct_with_its_members_in_either_byte_order(order: str) -> None:
    layout = parsed(blob(order), "tcp_sock", "sk_buff").structs["tcp_sock"]
    assert layout.size_bytes == 32
    assert [(each.name, each.offset_bytes, each.size_bytes, each.bits) for each in layout.members] == [
        ("a", 0, 4, None),
        ("b", 8, 8, None),
        ("c", 16, 12, None),
    ]


def test_a_struct_that_the_kernel_lacks_is_not_there() -> None:
    assert set(parsed(blob(), "tcp_sock", "sk_buff").structs) == {"tcp_sock"}


def test_a_name_that_only_ends_like_a_wanted_one_is_another() -> None:
    assert parsed(blob(struct_name=b"mptcp_tcp_sock"), "tcp_sock").structs == {}


def test_a_file_cut_at_every_byte_is_refused_with_a_reason() -> None:
    data = blob()
    for end in range(len(data)):
        value, damage = parse(data[:end], ["tcp_sock"])
        assert value is None, end
        assert damage is not None, end


@given(st.binary(max_size=200))
@settings(deadline=None)
def test_no_bytes_make_it_raise(data: bytes) -> None:
    parse(data, ["tcp_sock"])
    parse(blob()[:24] + data, ["tcp_sock"])


@given(st.integers(0, len(blob()) - 1), st.integers(0, 255))
@settings(deadline=None)
def test_no_changed_byte_makes_it_raise(at: int, byte: int) -> None:
    data = bytearray(blob())
    data[at] = byte
    parse(bytes(data), ["tcp_sock"])


def test_this_kernels_own_struct_has_the_size_that_its_protocols_file_tells() -> None:
    try:
        data = Path("/", PATH).read_bytes()
        protocols = Path("/proc/net/protocols").read_text()
    except OSError as error:
        pytest.skip(f"this kernel shows no {error.filename}")
    [size] = [int(line.split()[1]) for line in protocols.splitlines() if line.startswith("TCP ")]
    assert parsed(data, "tcp_sock").structs["tcp_sock"].size_bytes == size
