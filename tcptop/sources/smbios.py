"""/sys/firmware/dmi/tables (drivers/firmware/dmi_scan.c): processor sockets and memory slots, from the firmware.

The format is that of the SMBIOS specification (DMTF DSP0134). Only types 4, 16 and 17 are read: processors, arrays of
memory slots, and the slots themselves. Serial numbers, asset tags and part numbers are never read.
"""

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import NamedTuple

from tcptop.hosts.host import Host
from tcptop.snapshot import SMBIOS, MemoryArray, MemoryDevice, Processor, ProcessorStatus, Reading, Smbios
from tcptop.sources.source import Damage, Pace, Source, failed_reading, first_of_each, make_reading, worst_damage
from tcptop.text.printable import decode_text, printable_name

ENTRY_POINT = "sys/firmware/dmi/tables/smbios_entry_point"
TABLE = "sys/firmware/dmi/tables/DMI"

PROCESSOR, MEMORY_ARRAY, MEMORY_DEVICE, END_OF_TABLE = 4, 16, 17, 127
HEADER_BYTES = 4
MIN_BYTES: Mapping[int, int] = {PROCESSOR: 0x1A, MEMORY_ARRAY: 0x0F, MEMORY_DEVICE: 0x15}
"""Maps each type that the program reads to the minimum length: a structure's length in the oldest format version."""
KEPT_BYTES: Mapping[int, int] = {PROCESSOR: 0x32, MEMORY_ARRAY: 0x17, MEMORY_DEVICE: 0x5C}
"""For each type, the number of bytes that the program uses at the start of a structure. A recording keeps only these
bytes and the strings of `KEPT_STRINGS`.
"""
KEPT_STRINGS: Mapping[int, tuple[int, ...]] = {PROCESSOR: (0x04, 0x07, 0x10), MEMORY_DEVICE: (0x10, 0x11)}
"""Maps each type to the offsets of those bytes that contain the number of a string. For a processor, the strings are
the designation, the manufacturer and the version; for a memory device, they are the locator and the bank.
"""

MAX_TABLE_BYTES = 1 << 20
"""Maximum size of a table; tables of real machines have 1 to 200 KB."""
MAX_STRUCTURES = 1 << 16
"""Maximum number of structures: each structure has its own handle of 16 bits."""
MAX_ROWS = 4096
"""Maximum number of structures that are kept for each type; 32 processor sockets have about 1 500 memory slots."""
MAX_STRING_BYTES = 512

STATUSES: Mapping[int, ProcessorStatus] = {
    1: "enabled",
    2: "disabled by user",
    3: "disabled by firmware",
    4: "idle",
    7: "other",
}
IS_POPULATED = 1 << 6

USES: Mapping[int, str] = {
    1: "other",
    3: "system memory",
    4: "video memory",
    5: "flash memory",
    6: "non-volatile RAM",
    7: "cache memory",
}
MEMORY_TYPES: Mapping[int, str] = {
    0x01: "Other",
    0x03: "DRAM",
    0x04: "EDRAM",
    0x05: "VRAM",
    0x06: "SRAM",
    0x07: "RAM",
    0x08: "ROM",
    0x09: "Flash",
    0x0A: "EEPROM",
    0x0B: "FEPROM",
    0x0C: "EPROM",
    0x0D: "CDRAM",
    0x0E: "3DRAM",
    0x0F: "SDRAM",
    0x10: "SGRAM",
    0x11: "RDRAM",
    0x12: "DDR",
    0x13: "DDR2",
    0x14: "FB-DIMM",
    0x18: "DDR3",
    0x19: "FBD2",
    0x1A: "DDR4",
    0x1B: "LPDDR",
    0x1C: "LPDDR2",
    0x1D: "LPDDR3",
    0x1E: "LPDDR4",
    0x1F: "NVDIMM",
    0x20: "HBM",
    0x21: "HBM2",
    0x22: "DDR5",
    0x23: "LPDDR5",
    0x24: "HBM3",
}
"""Memory types, from table 77 of the specification. The table calls an NVDIMM a `logical non-volatile device`."""

IN_EXTENDED_BYTE, IN_EXTENDED_SIZE, IN_EXTENDED_SPEED = 0xFF, 0x7FFF, 0xFFFF
"""Values which mean that a field is too small for its figure; the figure is in a larger field of the structure."""
UNKNOWN_SIZE, IS_IN_KIB = 0xFFFF, 0x8000
IN_EXTENDED_CAPACITY = 0x80000000


class SmbiosSource(Source[Smbios]):
    """A source that is read at most once a day, because the tables never change while the kernel runs."""

    name = SMBIOS
    paths = (ENTRY_POINT, TABLE)
    pace = Pace(min_period_s=86_400.0, retry_s=86_400.0)

    async def read(self, host: Host) -> Reading[Smbios]:
        """Reads and parses both files."""
        files = await host.read(self.paths)
        for file in files:
            failed: Reading[Smbios] | None = failed_reading(file)
            if failed is not None:
                return failed
        took_us = sum(file.took_us for file in files)
        entry_point, table = (file.data or b"" for file in files)
        try:
            entry = parse_entry_point(entry_point)
        except ValueError as error:
            return make_reading(None, Damage("strange", str(error)), ENTRY_POINT, took_us)
        value, damage = parse_table(entry, table)
        return make_reading(value, damage, TABLE, took_us)


class EntryPoint(NamedTuple):
    """The facts about the table that are in the entry point."""

    version: str
    table_bytes: int
    """Size of the table; a 64-bit entry point gives only the maximum size."""
    structures: int | None
    """Number of structures in the table. None for a 64-bit entry point, whose table ends with a structure of type 127.
    """


def parse_entry_point(data: bytes) -> EntryPoint:
    """Parses the 32-bit (`_SM_`) or the 64-bit (`_SM3_`) entry point.

    Raises:
        ValueError: if the data are not an entry point, or if a checksum is wrong.

    """
    if data.startswith(b"_SM3_") and len(data) >= 0x18:
        _check_sum(data, data[6], least=0x18)
        return EntryPoint(f"{data[7]}.{data[8]}", int.from_bytes(data[0x0C:0x10], "little"), None)
    if data.startswith(b"_SM_") and data[0x10:0x15] == b"_DMI_" and len(data) >= 0x1E:
        _check_sum(data, data[5], least=0x1E)
        _check_sum(data[0x10:], 0x0F, least=0x0F)
        table_bytes, structures = (int.from_bytes(data[at : at + 2], "little") for at in (0x16, 0x1C))
        return EntryPoint(f"{data[6]}.{data[7]}", table_bytes, structures)
    start = printable_name(decode_text(data[:8]))
    raise ValueError(f"no entry point of SMBIOS 2.1 or newer: it has {len(data)} bytes and begins with {start!r}")


def _check_sum(data: bytes, length: int, least: int) -> None:
    """Raises ValueError unless the sum of the first `length` bytes is 0 modulo 256."""
    if not least <= length <= len(data):
        raise ValueError(f"an entry point of {length} bytes, where {least} to {len(data)} can be")
    if sum(data[:length]) % 256:
        raise ValueError("the checksum of the entry point is wrong")


def parse_table(entry: EntryPoint, table: bytes) -> tuple[Smbios | None, Damage | None]:
    """Parses the structures of a table; returns the complete structures, and the worst damage. Never raises."""
    if len(table) > MAX_TABLE_BYTES:
        return None, Damage("strange", f"a table of more than {MAX_TABLE_BYTES >> 10} KiB, which no machine has")
    damages: list[Damage] = []
    found: dict[int, list[_Structure]] = {kind: [] for kind in MIN_BYTES}
    too_short = too_many = 0
    for kind, structure in _structures(entry, table[: entry.table_bytes], damages):
        if len(structure.data) < MIN_BYTES[kind]:
            too_short += 1
        elif len(found[kind]) == MAX_ROWS:
            too_many += 1
        else:
            found[kind].append(structure)
    if too_short:
        damages.append(Damage("strange", f"structures shorter than their type is are left out: {too_short}"))
    if too_many:
        damages.append(Damage("strange", f"of one type, {MAX_ROWS} structures are kept; left out are {too_many}"))
    arrays = first_of_each(map(_memory_array, found[MEMORY_ARRAY]), lambda array: array.handle, damages)
    processors, devices = map(_processor, found[PROCESSOR]), map(_memory_device, found[MEMORY_DEVICE])
    handles = Counter(structure.handle for structures in found.values() for structure in structures)
    repeated = tuple(sorted(handle for handle, number in handles.items() if number > 1))
    value = Smbios(entry.version, tuple(processors), tuple(arrays), tuple(devices), repeated)
    return value, worst_damage(damages)


class _Structure(NamedTuple):
    """A structure: its formatted area, and its strings."""

    data: bytes
    strings: tuple[bytes, ...]

    @property
    def handle(self) -> int:
        """The number of the structure, by which other structures refer to it."""
        return int.from_bytes(self.data[2:4], "little")

    def number(self, at: int, size_bytes: int) -> int | None:
        """The unsigned number at an offset; None if the structure is too short.

        Older versions of the format have shorter structures.
        """
        field = self.data[at : at + size_bytes]
        return int.from_bytes(field, "little") if len(field) == size_bytes else None

    def text(self, at: int) -> str | None:
        """The string whose number is at an offset; None if the string is missing or blank."""
        number = self.number(at, 1)
        if not number or number > len(self.strings):
            return None
        return printable_name(decode_text(self.strings[number - 1][:MAX_STRING_BYTES]).strip()) or None


def _structures(entry: EntryPoint, table: bytes, damages: list[Damage]) -> Iterator[tuple[int, _Structure]]:
    """Yields the structures of the types that are read. Adds damage if the table ends too early."""
    number = end = 0
    for number, (start, strings_at, end) in enumerate(_places(table), 1):
        kind = table[start]
        if kind in MIN_BYTES:
            strings = table[strings_at : end - 2].split(b"\0", 255)
            yield kind, _Structure(table[start:strings_at], tuple(strings))
        # A 32-bit entry point gives the number of structures. On some machines, the table continues with structures of
        # the vendor, which are not counted and not read.
        if number == entry.structures or (entry.structures is None and kind == END_OF_TABLE):
            return
        if number == MAX_STRUCTURES:
            damages.append(Damage("strange", f"more than {MAX_STRUCTURES} structures; the rest is left out"))
            return
    whole = "1 structure" if number == 1 else f"{number} structures"
    if len(table) >= end + HEADER_BYTES and table[end + 1] < HEADER_BYTES:
        what = f"after {whole} one has a length of {table[end + 1]} bytes, which no structure has; the rest is left out"
        damages.append(Damage("strange", what))
    else:
        damages.append(Damage("cut", f"the table is cut off after {whole}"))


def _places(table: bytes) -> Iterator[tuple[int, int, int]]:
    """Yields three offsets for each whole structure: its start, the start of its strings, and its end."""
    start = 0
    while len(table) >= start + HEADER_BYTES and table[start + 1] >= HEADER_BYTES:
        strings_at = start + table[start + 1]
        last = table.find(b"\0\0", strings_at)
        if last < 0:
            return
        yield start, strings_at, last + 2
        start = last + 2


def _processor(structure: _Structure) -> Processor:
    status = structure.data[0x18]
    cores, cores_enabled, threads = (
        _in_byte_or_word(structure, at, extended_at) for at, extended_at in ((0x23, 0x2A), (0x24, 0x2C), (0x25, 0x2E))
    )
    return Processor(
        designation=structure.text(0x04),
        status=STATUSES.get(status & 7, "unknown") if status & IS_POPULATED else "empty",
        manufacturer=structure.text(0x07),
        version=structure.text(0x10),
        cores=cores,
        cores_enabled=cores_enabled,
        threads=threads,
        threads_enabled=structure.number(0x30, 2) or None,
        max_speed_mhz=structure.number(0x14, 2) or None,
        current_speed_mhz=structure.number(0x16, 2) or None,
    )


def _in_byte_or_word(structure: _Structure, at: int, extended_at: int) -> int | None:
    """A number from a byte; None if the number is 0.

    If the number is too large for the byte, the number is in a word that SMBIOS 3.0 added.
    """
    number = structure.number(at, 1)
    extended = structure.number(extended_at, 2) if number == IN_EXTENDED_BYTE else None
    return (number if extended is None else extended) or None


def _memory_array(structure: _Structure) -> MemoryArray:
    capacity_kib = structure.number(0x07, 4) or 0
    capacity_bytes = structure.number(0x0F, 8) if capacity_kib == IN_EXTENDED_CAPACITY else capacity_kib << 10
    return MemoryArray(
        handle=structure.handle,
        use=USES.get(structure.data[0x05]),
        slots=structure.number(0x0D, 2) or 0,
        max_capacity_bytes=capacity_bytes or None,
    )


def _memory_device(structure: _Structure) -> MemoryDevice:
    device = MemoryDevice(
        array=structure.number(0x04, 2) or 0,
        locator=structure.text(0x10),
        bank=structure.text(0x11),
        size_bytes=_device_size_bytes(structure),
        memory_type=MEMORY_TYPES.get(structure.data[0x12]),
        max_speed_mts=None,
        configured_speed_mts=None,
        ranks=None,
    )
    if device.size_bytes == 0:
        return device  # the other fields are unused in an empty slot
    return device._replace(
        max_speed_mts=_speed_mts(structure, 0x15, 0x54),
        configured_speed_mts=_speed_mts(structure, 0x20, 0x58),
        ranks=(structure.number(0x1B, 1) or 0) & 0x0F or None,
    )


def _device_size_bytes(structure: _Structure) -> int | None:
    """The size of a memory device in bytes; 0 if the slot is empty, None if the firmware does not know the size."""
    size = structure.number(0x0C, 2)
    extended_mib = structure.number(0x1C, 4)
    if size is None or size == UNKNOWN_SIZE:
        return None
    if size == IN_EXTENDED_SIZE and extended_mib is not None:
        return (extended_mib & 0x7FFFFFFF) << 20
    return (size & ~IS_IN_KIB) << 10 if size & IS_IN_KIB else size << 20


def _speed_mts(structure: _Structure, at: int, extended_at: int) -> int | None:
    speed = structure.number(at, 2)
    if speed == IN_EXTENDED_SPEED:
        speed = (structure.number(extended_at, 4) or 0) & 0x7FFFFFFF
    return speed or None


def blank_private(table: bytes) -> bytes:
    """Erases the parts of a table that the program does not read; the returned table gives the same figures.

    A structure of type 4, 16 or 17 keeps its `KEPT_BYTES` and `KEPT_STRINGS`; any other structure keeps only its
    header. All other bytes become 0, and the characters of all other strings become blanks. Serial numbers, asset tags,
    part numbers and UUIDs are thus erased.
    """
    if len(table) > MAX_TABLE_BYTES:
        return bytes(MAX_TABLE_BYTES + 1)
    parts: list[bytes] = []
    end = 0
    for start, strings_at, end in _places(table):
        kind, size = table[start], strings_at - start
        data = table[start : start + min(size, KEPT_BYTES.get(kind, HEADER_BYTES))]
        kept = {data[at] for at in KEPT_STRINGS.get(kind, ()) if at < len(data)}
        strings = table[strings_at : end - 2].split(b"\0")
        texts = [text if number in kept else b" " * len(text) for number, text in enumerate(strings, 1)]
        parts += [data, bytes(size - len(data)), b"\0".join(texts), b"\0\0"]
    return b"".join([*parts, table[end : end + HEADER_BYTES]])
