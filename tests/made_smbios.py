"""SMBIOS tables made for tests, byte by byte from the specification (DMTF DSP0134)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

ENTRY_POINT = "sys/firmware/dmi/tables/smbios_entry_point"
TABLE = "sys/firmware/dmi/tables/DMI"

LENGTHS = {4: 0x32, 16: 0x17, 17: 0x5C}
"""Lengths of structures in SMBIOS 3.3 to 3.6; dmidecode 3.4 reads no field after these lengths."""

SECRET = "S3CR3T"
"""A part of every private string; no recording may contain this part."""

SOCKET: Mapping[int, tuple[int, int]] = {
    0x04: (1, 1),
    0x05: (1, 3),
    0x07: (1, 2),
    0x10: (1, 3),
    0x14: (2, 4000),
    0x16: (2, 2400),
    0x18: (1, 0x41),
    0x20: (1, 4),
    0x21: (1, 5),
    0x22: (1, 6),
    0x23: (1, 16),
    0x24: (1, 12),
    0x25: (1, 32),
    0x30: (2, 24),
}
"""The fields of a processor: its size in bytes and its value, by offset."""
SOCKET_STRINGS = ("CPU 0", "Maker", "Model 7 @ 2.40GHz", f"{SECRET}-serial", f"{SECRET}-asset", f"{SECRET}-part")

ARRAY: Mapping[int, tuple[int, int]] = {
    0x04: (1, 3),
    0x05: (1, 3),
    0x06: (1, 6),
    0x07: (4, 0x80000000),
    0x0B: (2, 0xFFFE),
    0x0D: (2, 4),
    0x0F: (8, 2 << 40),
}

DIMM: Mapping[int, tuple[int, int]] = {
    0x04: (2, 0x1000),
    0x06: (2, 0xFFFE),
    0x08: (2, 72),
    0x0A: (2, 64),
    0x0C: (2, 16384),
    0x0E: (1, 9),
    0x10: (1, 1),
    0x11: (1, 2),
    0x12: (1, 0x1A),
    0x13: (2, 0x80),
    0x15: (2, 3200),
    0x17: (1, 3),
    0x18: (1, 4),
    0x19: (1, 5),
    0x1A: (1, 6),
    0x1B: (1, 2),
    0x20: (2, 2933),
}
DIMM_STRINGS = ("P0_DIMM_A1", "NODE 0", "Maker", f"{SECRET}-serial", f"{SECRET}-asset", f"{SECRET}-part")


def structure(
    kind: int,
    handle: int,
    fields: Mapping[int, tuple[int, int]],
    strings: Sequence[str | bytes] = (),
    length: int | None = None,
) -> bytes:
    """A structure; its formatted area is cut to `length`."""
    data = bytearray(LENGTHS.get(kind, 0x20))
    for at, (size_bytes, value) in fields.items():
        data[at : at + size_bytes] = value.to_bytes(size_bytes, "little")
    area = bytes(data if length is None else data[:length])
    header = bytes((kind, len(area))) + handle.to_bytes(2, "little")
    texts = [text.encode() if isinstance(text, str) else text for text in strings]
    return header + area[4:] + (b"".join(text + b"\0" for text in texts) or b"\0") + b"\0"


def with_fields(fields: Mapping[int, tuple[int, int]], **changes: int) -> dict[int, tuple[int, int]]:
    """The fields with some values changed: `at_0c=0` sets the field at offset 0x0c."""
    changed = dict(fields)
    for name, value in changes.items():
        at = int(name.removeprefix("at_"), 16)
        sizes = {0x1C: 4, 0x2A: 2, 0x2C: 2, 0x2E: 2, 0x54: 4, 0x58: 4}
        changed[at] = (sizes.get(at) or fields[at][0], value)
    return changed


SYSTEM = structure(1, 0x0001, {0x04: (1, 1), 0x07: (1, 2), 0x08: (8, 0x1122334455667788)}, ("Maker", f"{SECRET}-uuid"))
END = structure(127, 0x7F00, {}, length=4)


def entry_point_64(table_bytes: int, version: tuple[int, int] = (3, 6), address: int = 0x20) -> bytes:
    """The entry point `_SM3_`."""
    data = bytearray(0x18)
    data[:5] = b"_SM3_"
    data[6:11] = bytes((0x18, *version, 0, 1))
    data[0x0C:0x10] = table_bytes.to_bytes(4, "little")
    data[0x10:0x18] = address.to_bytes(8, "little")
    data[5] = -sum(data) % 256
    return bytes(data)


def entry_point_32(table_bytes: int, structures: int, version: tuple[int, int] = (2, 8), address: int = 0x20) -> bytes:
    """The entry point `_SM_`."""
    data = bytearray(0x1F)
    data[:4] = b"_SM_"
    data[5:8] = bytes((0x1F, *version))
    data[0x10:0x15] = b"_DMI_"
    data[0x16:0x18] = table_bytes.to_bytes(2, "little")
    data[0x18:0x1C] = address.to_bytes(4, "little")
    data[0x1C:0x1E] = structures.to_bytes(2, "little")
    data[0x15] = -sum(data[0x10:0x1F]) % 256
    data[4] = -sum(data) % 256
    return bytes(data)


def small_machine() -> bytes:
    """A table with two processor sockets, one of them empty, and four memory slots, two of them filled."""
    empty = {"at_0c": 0, "at_12": 2, "at_15": 0, "at_1b": 0, "at_20": 0}
    slots = [
        structure(17, 0x1100, DIMM, DIMM_STRINGS),
        structure(17, 0x1101, with_fields(DIMM, **empty), ("P0_DIMM_A2", "NODE 0")),
        structure(17, 0x1102, DIMM, ("P1_DIMM_A1", "NODE 1", *DIMM_STRINGS[2:])),
        structure(17, 0x1103, with_fields(DIMM, **empty), ("P1_DIMM_A2", "NODE 1")),
    ]
    return b"".join(
        (
            SYSTEM,
            structure(4, 0x0400, SOCKET, SOCKET_STRINGS),
            structure(4, 0x0401, {0x04: (1, 1), 0x05: (1, 3), 0x18: (1, 0)}, ("CPU 1",)),
            structure(16, 0x1000, ARRAY),
            *slots,
            END,
        )
    )


def files(table: bytes | None = None) -> dict[str, bytes]:
    """The two files of a machine with a 64-bit entry point."""
    table = small_machine() if table is None else table
    return {ENTRY_POINT: entry_point_64(len(table)), TABLE: table}
