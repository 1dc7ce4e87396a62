"""/sys/kernel/btf/vmlinux: the layouts of the running kernel's structs, in built files and in this machine's."""

from __future__ import annotations

import struct
from collections.abc import Mapping
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tcptop.explanation.struct_layout import holes, tail_padding_bytes
from tcptop.kernel.objects import BTF_STRUCTS, LSM_SOCKET_BLOB_BYTES, LSM_SOCKET_BLOB_STRUCTS
from tcptop.snapshot import NOT_READ, Btf, Reading, SecurityModules, Slabinfo
from tcptop.sources.btf import PATH, BtfSource, parse

INT, PTR, ARRAY, STRUCT, UNION = 1, 2, 3, 4, 5
TYPEDEF, VOLATILE, CONST = 8, 9, 10


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


def test_a_struct_that_the_kernel_lacks_is_absent() -> None:
    assert set(parsed(blob(), "tcp_sock", "sk_buff").structs) == {"tcp_sock"}


def test_a_name_that_only_ends_in_a_wanted_one_is_not_taken_for_it() -> None:
    assert parsed(blob(struct_name=b"mptcp_tcp_sock"), "tcp_sock").structs == {}


def test_a_file_cut_at_any_byte_is_refused_with_a_reason() -> None:
    data = blob()
    for end in range(len(data)):
        value, damage = parse(data[:end], ["tcp_sock"])
        assert value is None, end
        assert damage is not None, end


@given(st.binary(max_size=200))
def test_arbitrary_bytes_never_raise(data: bytes) -> None:
    parse(data, ["tcp_sock"])
    parse(blob()[:24] + data, ["tcp_sock"])


@given(st.integers(0, len(blob()) - 1), st.integers(0, 255))
def test_a_changed_byte_never_raises(at: int, byte: int) -> None:
    data = bytearray(blob())
    data[at] = byte
    parse(bytes(data), ["tcp_sock"])


class Types:
    """Builds a BTF file type by type; adding a type returns its ID."""

    def __init__(self) -> None:
        self.names = b"\0"
        self.types = b""
        self.number = 0

    def name(self, text: str) -> int:
        if not text:
            return 0
        self.names += text.encode() + b"\0"
        return len(self.names) - len(text) - 1

    def add(self, kind: int, name: str, size_or_type: int, *rest: int, members: int = 0, bits: bool = False) -> int:
        self.types += struct.pack("<III", self.name(name), bits << 31 | kind << 24 | members, size_or_type)
        self.types += struct.pack(f"<{len(rest)}I", *rest)
        self.number += 1
        return self.number

    def group(self, kind: int, name: str, size: int, *members: tuple[str, int, int], bits: bool = False) -> int:
        """A struct or a union of (name, type, first bit)."""
        rest = [each for text, type_id, first in members for each in (self.name(text), type_id, first)]
        return self.add(kind, name, size, *rest, members=len(members), bits=bits)

    def file(self) -> bytes:
        head = struct.pack("<HBBIIIII", 0xEB9F, 1, 0, 24, 0, len(self.types), len(self.types), len(self.names))
        return head + self.types + self.names


def field(bits: int, first_bit: int) -> int:
    return bits << 24 | first_bit


def nested() -> bytes:
    """The types are nested structs, unions and arrays, as in tcp_sock."""
    types = Types()
    number = types.add(INT, "int", 4, 32)
    pair = types.group(STRUCT, "pair", 8, ("x", number, 0), ("y", number, 32))
    inner = types.group(STRUCT, "inner", 12, ("sure", pair, 0), ("maybe", number, 64))
    constant = types.add(VOLATILE, "", types.add(CONST, "", pair))
    lock = types.add(TYPEDEF, "spinlock_t", pair)
    array = types.add(ARRAY, "", 0, pair, number, 3)
    empty = types.group(STRUCT, "lockdep_map", 0)
    address = types.group(UNION, "", 4, ("daddr", number, 0), ("rcv_saddr", number, 0))
    deep = types.group(STRUCT, "", 4, ("", address, 0))
    hidden = types.group(UNION, "", 4, ("", deep, 0))
    flags = types.group(STRUCT, "", 4, ("a", number, field(3, 0)), ("b", number, field(7, 3)), bits=True)
    types.group(
        STRUCT,
        "tcp_sock",
        96,
        ("inet_conn", inner, 0),
        ("", pair, 12 * 8),
        ("fixed", constant, 20 * 8),
        ("sk_lock", lock, 28 * 8),
        ("many", array, 36 * 8),
        ("dep_map", empty, 60 * 8),
        ("named", address, 60 * 8),
        ("", address, 64 * 8),
        ("", hidden, 68 * 8),
        ("", flags, 72 * 8),
    )
    return types.file()


def test_members_of_embedded_structs_have_dotted_names_and_outer_offsets() -> None:
    layout = parsed(nested(), "tcp_sock").structs["tcp_sock"]
    assert [(each.name, each.offset_bytes, each.size_bytes, each.bits) for each in layout.members] == [
        ("inet_conn.sure.x", 0, 4, None),
        ("inet_conn.sure.y", 4, 4, None),
        ("inet_conn.maybe", 8, 4, None),
        ("x", 12, 4, None),
        ("y", 16, 4, None),
        ("fixed.x", 20, 4, None),
        ("fixed.y", 24, 4, None),
        ("sk_lock", 28, 8, None),
        ("many", 36, 24, None),
        ("dep_map", 60, 0, None),
        ("named", 60, 4, None),
        ("daddr|...", 64, 4, None),
        ("daddr|...", 68, 4, None),
        ("a", 72, 1, 3),
        ("b", 72, 2, 7),
    ]
    assert (tail_padding_bytes(layout), holes(layout)) == (22, [])


@pytest.mark.parametrize(
    ("name", "size_bytes"), [("long unsigned int", 4), ("unsigned long", 4), ("long unsigned int", 8)]
)
def test_a_pointer_is_as_large_as_unsigned_long(name: str, size_bytes: int) -> None:
    types = Types()
    types.add(1, name, size_bytes, 0)
    pointer = types.add(2, "", 1)
    pointers = types.add(3, "", 0, pointer, 1, 3)
    types.group(4, "tcp_sock", 4 * size_bytes, ("sk", pointer, 0), ("many", pointers, 8 * size_bytes))
    members = parsed(types.file(), "tcp_sock").structs["tcp_sock"].members
    assert [each.size_bytes for each in members] == [size_bytes, 3 * size_bytes]


def test_a_cycle_of_structs_is_refused() -> None:
    types = Types()
    types.group(STRUCT, "tcp_sock", 8, ("again", 1, 0))
    assert parse(types.file(), ["tcp_sock"])[0] is None
    types = Types()
    last = types.add(INT, "int", 4, 32)
    for _ in range(30):
        last = types.group(STRUCT, "", 8, ("a", last, 0), ("b", last, 0), ("c", last, 0))
    types.group(STRUCT, "tcp_sock", 8, ("all", last, 0))
    value, damage = parse(types.file(), ["tcp_sock"])
    assert value is None
    assert damage is not None


def test_a_cycle_of_qualifiers_is_refused() -> None:
    types = Types()
    loop = types.add(CONST, "", 1)
    types.group(STRUCT, "tcp_sock", 8, ("a", loop, 0))
    assert parse(types.file(), ["tcp_sock"])[0] is None


def this_kernels() -> Btf:
    try:
        data = Path("/", PATH).read_bytes()
    except OSError as error:
        pytest.skip(f"this kernel shows no {error.filename}")
    return parsed(data, *BTF_STRUCTS)


def test_this_kernels_structs_have_the_sizes_in_its_protocols_file() -> None:
    structs = this_kernels().structs
    lines = [line.split() for line in Path("/proc/net/protocols").read_text().splitlines()]
    sizes = {fields[0]: int(fields[1]) for fields in lines if fields[0] in ("TCP", "TCPv6")}
    assert sizes
    assert sizes.get("TCP", structs["tcp_sock"].size_bytes) == structs["tcp_sock"].size_bytes
    assert sizes.get("TCPv6", structs["tcp6_sock"].size_bytes) == structs["tcp6_sock"].size_bytes


def test_members_of_this_kernels_structs_fit_and_are_in_order() -> None:
    for name, layout in this_kernels().structs.items():
        assert all(first.offset_bytes <= second.offset_bytes for first, second in pairwise(layout.members)), name
        assert all(each.offset_bytes + each.size_bytes <= layout.size_bytes for each in layout.members), name
        assert all(each.name for each in layout.members), name
        # Only bit-fields overlap, so the other members, the holes and the padding fit into the struct.
        plain = sum(each.size_bytes for each in layout.members if each.bits is None)
        wasted = sum(hole.size_bytes for hole in holes(layout)) + tail_padding_bytes(layout)
        assert plain + wasted <= layout.size_bytes, name


def test_the_socket_lock_in_this_kernels_tcp_sock_is_one_member() -> None:
    names = {each.name for each in this_kernels().structs["tcp_sock"].members}
    assert "inet_conn.icsk_inet.sk.sk_lock" in names


def test_every_module_with_a_socket_blob_has_a_struct() -> None:
    assert LSM_SOCKET_BLOB_STRUCTS.keys() == LSM_SOCKET_BLOB_BYTES.keys()
    assert set(BTF_STRUCTS) >= set(LSM_SOCKET_BLOB_STRUCTS.values())


def reading_of(value: object, state: Any = "ok") -> Reading[Any]:  # noqa: ANN401 (the states are strings)
    return Reading(state, value, None, None, 1, None, None, None)


ROWS = reading_of(Slabinfo(rows=()))
REFUSED = reading_of(None, "refused")


@pytest.mark.parametrize(
    ("others", "needed"),
    [
        ({}, False),
        ({"slabinfo": NOT_READ}, True),
        ({"slabinfo": REFUSED}, True),
        ({"slabinfo": reading_of(None, "late")}, False),
        ({"slabinfo": ROWS}, False),
        ({"slabinfo": ROWS, "security_modules": reading_of(SecurityModules(("lockdown", "bpf")))}, False),
        ({"slabinfo": ROWS, "security_modules": reading_of(None, "missing")}, False),
        ({"slabinfo": ROWS, "security_modules": reading_of(SecurityModules(("capability", "selinux")))}, True),
        ({"slabinfo": ROWS, "security_modules": reading_of(SecurityModules(("apparmor",)))}, True),
    ],
)
def test_it_is_needed_without_slabinfo_or_for_a_socket_blob(others: Mapping[str, Reading[Any]], needed: bool) -> None:
    reason = BtfSource(BTF_STRUCTS, LSM_SOCKET_BLOB_STRUCTS).not_needed_reason(others)
    assert (reason is None) is needed
