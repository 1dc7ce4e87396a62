"""/sys/firmware/dmi/tables: tables made from the specification, damaged tables, and the same figures as dmidecode."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path

import made_smbios as made
import pytest
from bounded_examples import limits
from hypothesis import given
from hypothesis import strategies as st
from made_smbios import ARRAY, DIMM, DIMM_STRINGS, SOCKET, SOCKET_STRINGS, structure, with_fields
from recorded import MemoryHost

from tcptop.hosts.run_sync import run_sync
from tcptop.snapshot import MemoryArray, MemoryDevice, Processor, Reading, Smbios
from tcptop.sources import smbios
from tcptop.sources.smbios import EntryPoint, SmbiosSource, blank_private, parse_entry_point, parse_table

SOME_ENTRY = EntryPoint("3.6", smbios.MAX_TABLE_BYTES, None)


def read(files: Mapping[str, bytes | OSError]) -> Reading[Smbios]:
    return run_sync(SmbiosSource().read(MemoryHost(dict(files))))


def parsed(*structures: bytes) -> Smbios:
    value, damage = parse_table(SOME_ENTRY, b"".join([*structures, made.END]))
    assert damage is None
    assert value is not None
    return value


def processor(**changes: int) -> Processor:
    [found] = parsed(structure(4, 1, with_fields(SOCKET, **changes), SOCKET_STRINGS)).processors
    return found


def device(**changes: int) -> MemoryDevice:
    [found] = parsed(structure(17, 1, with_fields(DIMM, **changes), DIMM_STRINGS)).memory_devices
    return found


def test_a_whole_table_has_its_sockets_arrays_and_slots() -> None:
    reading = read(made.files())
    assert (reading.state, reading.reason) == ("ok", None)
    assert reading.value is not None
    assert reading.value.version == "3.6"
    assert reading.value.processors == (
        Processor("CPU 0", "enabled", "Maker", "Model 7 @ 2.40GHz", 16, 12, 32, 24, 4000, 2400),
        Processor("CPU 1", "empty", None, None, None, None, None, None, None, None),
    )
    assert reading.value.memory_arrays == (MemoryArray(0x1000, "system memory", 4, 2 << 40),)
    filled, empty, *_ = reading.value.memory_devices
    assert filled == MemoryDevice(0x1000, "P0_DIMM_A1", "NODE 0", 16 << 30, "DDR4", 3200, 2933, 2)
    assert empty == MemoryDevice(0x1000, "P0_DIMM_A2", "NODE 0", 0, None, None, None, None)
    assert [each.size_bytes for each in reading.value.memory_devices] == [16 << 30, 0, 16 << 30, 0]


def test_both_entry_points_lead_to_the_same_table() -> None:
    table = made.small_machine()
    entry = made.entry_point_32(len(table), 9)
    reading = read({made.ENTRY_POINT: entry, made.TABLE: table})
    assert reading.state == "ok"
    assert reading.value == read(made.files()).value._replace(version="2.8")  # type: ignore[union-attr]


def test_behind_the_end_only_a_32_bit_entry_point_counts_more_structures() -> None:
    more = structure(17, 2, DIMM, DIMM_STRINGS)
    table = structure(17, 1, DIMM, DIMM_STRINGS) + made.END + more
    of_32 = read({made.ENTRY_POINT: made.entry_point_32(len(table), 3), made.TABLE: table})
    of_64 = read(made.files(table))
    for reading, slots in ((of_32, 2), (of_64, 1)):
        assert reading.state == "ok"
        assert reading.value is not None
        assert len(reading.value.memory_devices) == slots


@pytest.mark.parametrize("entry", [made.entry_point_64(100), made.entry_point_32(100, 3)])
def test_a_changed_byte_of_an_entry_point_is_strange(entry: bytes) -> None:
    for at in range(len(entry)):
        changed = entry[:at] + bytes((entry[at] ^ 0x40,)) + entry[at + 1 :]
        reading = read({made.ENTRY_POINT: changed, made.TABLE: made.small_machine()})
        assert (reading.state, reading.value) == ("strange", None), at
        assert reading.reason is not None
        assert re.fullmatch(r"/sys/firmware/dmi/tables/smbios_entry_point: .*(entry point|checksum).*", reading.reason)


@pytest.mark.parametrize("entry", [made.entry_point_64(100), made.entry_point_32(100, 3)])
def test_a_cut_entry_point_is_strange(entry: bytes) -> None:
    for end in range(1, len(entry)):
        with pytest.raises(ValueError, match="entry point"):
            parse_entry_point(entry[:end])


@pytest.mark.parametrize("path", [made.ENTRY_POINT, made.TABLE])
def test_an_unreadable_file_has_a_reason(path: str) -> None:
    for error, state in ((PermissionError(13, "Permission denied"), "refused"), (FileNotFoundError(2, ""), "missing")):
        reading = read({**made.files(), path: error})
        assert (reading.state, reading.value) == (state, None)
        assert reading.reason is not None
        assert f"/{path}" in reading.reason


def test_a_table_that_is_cut_anywhere_has_its_whole_structures() -> None:
    table = made.small_machine()
    whole = read(made.files()).value
    assert whole is not None
    ends = [end for _, _, end in smbios._places(table)]
    for end in range(1, len(table)):
        reading = read({**made.files(), made.TABLE: table[:end]})
        assert reading.state == ("empty" if not table[:end].strip(b"\0") else "cut"), end
        assert reading.value is not None
        number = sum(each <= end for each in ends)
        assert reading.reason == (
            f"/{made.TABLE}: the table is cut off after {number} structure{'' if number == 1 else 's'}"
        )
        slots = reading.value.memory_devices
        assert slots == whole.memory_devices[: len(slots)]
        assert len(slots) == sum(table[start] == 17 for start, _, own_end in smbios._places(table) if own_end <= end)


@pytest.mark.parametrize(("count", "cut_off"), [(8, False), (9, False), (10, True)])
def test_a_32_bit_entry_point_says_how_many_structures_there_are(count: int, cut_off: bool) -> None:
    table = made.small_machine()
    reading = read({made.ENTRY_POINT: made.entry_point_32(len(table), count), made.TABLE: table})
    assert reading.state == ("cut" if cut_off else "ok")


def test_a_structure_that_is_shorter_than_its_header_ends_the_table() -> None:
    table = structure(17, 1, DIMM, DIMM_STRINGS) + bytes((17, 3, 0, 0)) + made.small_machine()
    reading = read(made.files(table))
    assert reading.state == "strange"
    assert "a length of 3 bytes" in (reading.reason or "")
    assert reading.value is not None
    assert len(reading.value.memory_devices) == 1


@pytest.mark.parametrize("kind", [4, 16, 17])
def test_a_structure_that_is_shorter_than_its_type_is_left_out(kind: int) -> None:
    length = smbios.MIN_BYTES[kind]
    fields = {4: SOCKET, 16: ARRAY, 17: DIMM}[kind]
    short, shortest = (structure(kind, number, fields, length=length - 1 + number) for number in (0, 1))
    value, damage = parse_table(SOME_ENTRY, short + shortest + made.END)
    assert value is not None
    assert len((*value.processors, *value.memory_arrays, *value.memory_devices)) == 1
    assert damage is not None
    assert (damage.state, damage.what) == ("strange", "structures shorter than their type is are left out: 1")


def test_an_array_whose_handle_is_there_twice_is_strange() -> None:
    value, damage = parse_table(SOME_ENTRY, structure(16, 7, ARRAY) + structure(16, 7, ARRAY) + made.END)
    assert value is not None
    assert len(value.memory_arrays) == 1
    assert damage is not None
    assert damage.state == "strange"


@pytest.mark.parametrize(
    ("changes", "size_bytes"),
    [
        ({"at_0c": 0}, 0),
        ({"at_0c": 1}, 1 << 20),
        ({"at_0c": 0x8000 | 512}, 512 << 10),
        ({"at_0c": 0x7FFE}, 0x7FFE << 20),
        ({"at_0c": 0x7FFF, "at_1c": 65536}, 64 << 30),
        ({"at_0c": 0x7FFF, "at_1c": 0x80000000 | 65536}, 64 << 30),
        ({"at_0c": 0xFFFF}, None),
    ],
)
def test_the_size_of_a_memory_device(changes: dict[str, int], size_bytes: int | None) -> None:
    assert device(**changes).size_bytes == size_bytes


def test_an_old_structure_without_the_extended_size_has_the_size_of_its_word() -> None:
    data = structure(17, 1, with_fields(DIMM, at_0c=0x7FFF), DIMM_STRINGS, length=0x1B)
    [found] = parsed(data).memory_devices
    assert found.size_bytes == 0x7FFF << 20
    assert (found.max_speed_mts, found.configured_speed_mts, found.ranks) == (3200, None, None)


@pytest.mark.parametrize(
    ("changes", "speeds"),
    [
        ({}, (3200, 2933)),
        ({"at_15": 0, "at_20": 0}, (None, None)),
        ({"at_15": 0xFFFF, "at_54": 70_000, "at_20": 0xFFFF, "at_58": 66_000}, (70_000, 66_000)),
        ({"at_15": 0xFFFF, "at_54": 0, "at_20": 0xFFFF, "at_58": 0x80000000}, (None, None)),
    ],
)
def test_the_speeds_of_a_memory_device(changes: dict[str, int], speeds: tuple[int | None, int | None]) -> None:
    found = device(**changes)
    assert (found.max_speed_mts, found.configured_speed_mts) == speeds


@pytest.mark.parametrize(
    ("changes", "numbers"),
    [
        ({}, (16, 12, 32)),
        ({"at_23": 0, "at_24": 0, "at_25": 0}, (None, None, None)),
        ({"at_23": 0xFF, "at_2a": 384, "at_24": 0xFF, "at_2c": 300, "at_25": 0xFF, "at_2e": 768}, (384, 300, 768)),
        ({"at_23": 254, "at_2a": 384}, (254, 12, 32)),
    ],
)
def test_the_cores_and_threads_of_a_processor(changes: dict[str, int], numbers: tuple[int | None, ...]) -> None:
    found = processor(**changes)
    assert (found.cores, found.cores_enabled, found.threads) == numbers


def test_an_old_structure_without_the_extended_cores_has_255() -> None:
    data = structure(4, 1, with_fields(SOCKET, at_23=0xFF), SOCKET_STRINGS, length=0x2A)
    [found] = parsed(data).processors
    assert (found.cores, found.threads_enabled) == (255, None)


@pytest.mark.parametrize(
    ("status", "words"),
    [
        (0x41, "enabled"),
        (0x42, "disabled by user"),
        (0x43, "disabled by firmware"),
        (0x44, "idle"),
        (0x40, "unknown"),
        (0x45, "unknown"),
        (0x47, "other"),
        (0x00, "empty"),
        (0x01, "empty"),
    ],
)
def test_the_status_of_a_processor(status: int, words: str) -> None:
    assert processor(at_18=status).status == words


def test_a_string_that_is_not_there_or_blank_is_unknown_and_any_other_is_printable() -> None:
    texts = (b" \x1b[31m\xff\xe2\x80\xae A1 ", b"   ")
    [found] = parsed(structure(17, 1, DIMM, texts)).memory_devices
    assert found.locator == "\\x1b[31m\\xff\\u202e A1"
    assert found.bank is None
    assert device(at_10=7, at_11=0).locator is None


def test_a_long_string_is_cut() -> None:
    [found] = parsed(structure(17, 1, DIMM, ("A" * 100_000,))).memory_devices
    assert found.locator is not None
    assert len(found.locator) == 80


@pytest.mark.slow
def test_more_structures_than_any_machine_has_are_left_out_within_the_limits() -> None:
    slots = structure(17, 1, {}, length=0x15) * (smbios.MAX_TABLE_BYTES // 23 - 1) + made.END
    small = structure(200, 1, {}, length=4) * (smbios.MAX_TABLE_BYTES // 6)
    strings = structure(17, 1, {}, [b"a"] * (smbios.MAX_TABLE_BYTES // 2 - 100))
    large = made.small_machine() + bytes(smbios.MAX_TABLE_BYTES)
    for table, what in (
        (slots, f"{smbios.MAX_ROWS} structures are kept"),
        (small, f"more than {smbios.MAX_STRUCTURES} structures"),
        (strings, "cut off after 1 structure"),
        (large, "a table of more than 1024 KiB"),
    ):
        with limits():
            reading = read({**made.files(), made.ENTRY_POINT: made.entry_point_64(0xFFFFFFFF), made.TABLE: table})
            blank_private(table)
        assert reading.state in ("strange", "cut")
        assert what in (reading.reason or "")
        assert reading.value is None or len(reading.value.memory_devices) <= smbios.MAX_ROWS


small_numbers = st.integers(0, 255)
texts = st.lists(st.binary(min_size=1, max_size=12).map(lambda text: text.replace(b"\0", b" ")), max_size=8)
any_structures = st.lists(
    st.tuples(st.sampled_from([0, 1, 4, 16, 17, 20, 127]), st.integers(0, 65535), st.binary(max_size=100), texts),
    max_size=12,
).map(
    lambda rows: b"".join(
        bytes((kind, 4 + len(data)))
        + handle.to_bytes(2, "little")
        + data
        + (b"".join(text + b"\0" for text in strings) or b"\0")
        + b"\0"
        for kind, handle, data, strings in rows
    )
)


@given(st.binary(max_size=400) | any_structures, st.binary(max_size=40), st.booleans())
def test_any_bytes_are_parsed_or_refused_in_one_line(table: bytes, entry: bytes, is_valid: bool) -> None:
    reading = read({made.ENTRY_POINT: made.entry_point_64(len(table)) if is_valid else entry, made.TABLE: table})
    assert reading.value is not None or reading.reason
    assert reading.reason is None or reading.reason.isprintable()


@given(st.binary(max_size=400) | any_structures, st.integers(0, 40), st.booleans())
def test_a_table_without_what_is_private_parses_alike(table: bytes, cut_bytes: int, is_32: bool) -> None:
    table = table[: len(table) - cut_bytes]
    entry = EntryPoint("2.8", len(table) + 5, 3) if is_32 else SOME_ENTRY
    assert parse_table(entry, blank_private(table)) == parse_table(entry, table)
    assert blank_private(blank_private(table)) == blank_private(table)


def test_no_serial_number_asset_tag_part_number_or_uuid_is_left() -> None:
    table = made.small_machine()
    assert table.count(made.SECRET.encode()) == 10
    blanked = blank_private(table)
    assert len(blanked) == len(table)
    assert made.SECRET.encode() not in blanked
    assert 0x1122334455667788.to_bytes(8, "little") not in blanked


def test_what_a_vendor_adds_to_a_structure_is_not_left() -> None:
    for kind, fields in ((4, SOCKET), (16, ARRAY), (17, DIMM)):
        data = structure(kind, 1, fields)
        longer = bytes((kind, data[1] + 6)) + data[2 : data[1]] + made.SECRET.encode() + b"\0\0"
        assert made.SECRET.encode() not in blank_private(longer + made.END)


def dump(entry: bytes, table: bytes) -> bytes:
    """A file for `dmidecode --from-dump`: the entry point, with 32 as the address of the table, and the table at this
    address.
    """
    is_64 = entry.startswith(b"_SM3_")
    size_bytes = entry[6] if is_64 else entry[5]
    at, field_bytes, sums = (0x10, 8, (0x05,)) if is_64 else (0x18, 4, (0x15, 0x04))
    moved = bytearray(entry[:size_bytes])
    moved[at : at + field_bytes] = (0x20).to_bytes(field_bytes, "little")
    for place in sums:
        moved[place] = 0
        moved[place] = -sum(moved[0x10:0x1F] if place == 0x15 else moved) % 256
    return bytes(moved).ljust(0x20, b"\0") + table


def dmidecode(place: Path, content: bytes, kind: int) -> list[dict[str, str]]:
    """The output of dmidecode for each structure of a type."""
    place.write_bytes(content)
    command = ["dmidecode", "--from-dump", str(place), "--type", str(kind)]
    printed = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert "Invalid" not in printed
    return [
        dict(re.findall(r"^\t([^\t:]+): (.*)$", block, re.MULTILINE))
        for block in re.split(r"\n\n", printed)
        if f"DMI type {kind}," in block
    ]


def number(text: str | None, unit: str = "") -> int | None:
    """A number in dmidecode's output; None if the output says that the number is unknown."""
    if text is None or text in ("Unknown", "None", "Not Provided"):
        return None
    assert text.endswith(unit)
    return int(text.removesuffix(unit))


def size_bytes(text: str) -> int | None:
    if text in ("No Module Installed", "Unknown"):
        return 0 if text.startswith("No") else None
    amount, unit = text.split()
    return int(amount) << 10 * ("bytes", "kB", "MB", "GB", "TB", "PB", "EB").index(unit)


def string(text: str) -> str | None:
    return None if text.strip() in ("", "Not Specified", "<BAD INDEX>") else text.strip()


STATUS_WORDS = {
    "Enabled": "enabled",
    "Disabled By User": "disabled by user",
    "Disabled By BIOS": "disabled by firmware",
    "Idle": "idle",
    "Other": "other",
}
TYPE_WORDS = {
    "Logical non-volatile device": "NVDIMM",
    "DDR2 FB-DIMM": "FB-DIMM",
    "Unknown": None,
    "<OUT OF SPEC>": None,
}


def assert_same(place: Path, entry: bytes, table: bytes) -> Smbios:
    """Every figure equals that of dmidecode."""
    value = read({made.ENTRY_POINT: entry, made.TABLE: table}).value
    assert value is not None
    content = dump(entry, table)
    for own, printed in zip(value.processors, dmidecode(place, content, 4), strict=True):
        status = printed["Status"].removeprefix("Populated, ")
        assert own == Processor(
            string(printed["Socket Designation"]),
            "empty" if status == "Unpopulated" else STATUS_WORDS.get(status, "unknown"),  # type: ignore[arg-type]
            string(printed["Manufacturer"]),
            string(printed["Version"]),
            number(printed.get("Core Count")),
            number(printed.get("Core Enabled")),
            number(printed.get("Thread Count")),
            own.threads_enabled,  # dmidecode 3.4 does not print this field
            number(printed["Max Speed"], " MHz"),
            number(printed["Current Speed"], " MHz"),
        )
    for array, printed in zip(value.memory_arrays, dmidecode(place, content, 16), strict=True):
        assert array.slots == number(printed["Number Of Devices"])
        assert array.max_capacity_bytes == size_bytes(printed["Maximum Capacity"])
        assert (array.use or "unknown").lower() == printed["Use"].lower()
    for device, printed in zip(value.memory_devices, dmidecode(place, content, 17), strict=True):
        printed_type = printed["Type"].removeprefix("Reserved")
        assert device == MemoryDevice(
            int(printed["Array Handle"], 16),
            string(printed["Locator"]),
            string(printed["Bank Locator"]),
            size_bytes(printed["Size"]),
            TYPE_WORDS.get(printed_type, printed_type) or None,
            number(printed.get("Speed"), " MT/s"),
            number(printed.get("Configured Memory Speed"), " MT/s"),
            number(printed.get("Rank")),
        )
    assert value.processors
    assert value.memory_devices
    return value


needs_dmidecode = pytest.mark.skipif(
    shutil.which("dmidecode") is None, reason="needs dmidecode of the package dmidecode"
)


GUESTS = Path(__file__).with_name("smbios")
"""The tables of guests of QEMU with two nodes, of 512 MiB and of 10 GiB each:
`-smbios type=4,sock_pfx=SKT,manufacturer=Maker,version=Model,max-speed=4000,current-speed=2600,serial=S3CR3T1,…` and
`-smbios type=17,loc_pfx=DIMM,bank=BANK,speed=3200,serial=S3CR3T4,…`; the second with smbios-entry-point-type=64."""


def guest(name: str) -> tuple[bytes, bytes]:
    entry, table = ((GUESTS / name / file).read_bytes() for file in ("smbios_entry_point", "DMI"))
    return entry, table


@pytest.mark.parametrize(
    ("name", "version", "designation", "sizes_bytes"),
    [("guest-32", "2.8", "SKT 0", [1 << 30]), ("guest-64", "3.0", "CPU 0", [16 << 30, 4 << 30])],
)
def test_the_tables_of_a_guest_are_what_it_was_started_with(
    name: str, version: str, designation: str, sizes_bytes: list[int]
) -> None:
    entry, table = guest(name)
    reading = read({made.ENTRY_POINT: entry, made.TABLE: table})
    assert (reading.state, reading.reason) == ("ok", None)
    assert reading.value is not None
    assert reading.value.version == version
    assert reading.value.processors == (Processor(designation, "enabled", "Maker", "Model", 4, 4, 4, None, 4000, 2600),)
    assert [device.size_bytes for device in reading.value.memory_devices] == sizes_bytes
    assert made.SECRET.encode() in table
    assert made.SECRET.encode() not in blank_private(table)


@needs_dmidecode
@pytest.mark.parametrize("name", ["guest-32", "guest-64"])
def test_a_guest_has_the_figures_of_dmidecode_also_without_what_is_private(name: str, tmp_path: Path) -> None:
    entry, table = guest(name)
    assert assert_same(tmp_path / "dump", entry, table) == assert_same(tmp_path / "dump", entry, blank_private(table))


@needs_dmidecode
def test_a_small_machine_has_the_figures_of_dmidecode(tmp_path: Path) -> None:
    table = made.small_machine()
    assert_same(tmp_path / "dump", made.entry_point_64(len(table)), table)
    assert_same(tmp_path / "dump", made.entry_point_32(len(table), 9), table)


SIZES = (0, 1, 512, 1024, 16384, 0x7FFE, 0x7FFF, 0x8001, 0x8200, 0x8400, 0xFFFE, 0xFFFF)
SPEEDS = (0, 1, 2400, 0xFFFE, 0xFFFF)
BYTES = (0, 1, 2, 64, 0xFE, 0xFF)


@needs_dmidecode
def test_structures_of_every_length_and_edge_have_the_figures_of_dmidecode(tmp_path: Path) -> None:
    """A table with each limit value of each field, with each length of a structure in the versions of the
    specification.
    """
    rows: list[bytes] = []
    for handle, length in enumerate((0x1A, 0x20, 0x23, 0x28, 0x2A, 0x30, 0x32)):
        rows += [
            structure(
                4,
                handle,
                with_fields(
                    SOCKET,
                    at_23=count,
                    at_24=count,
                    at_25=count,
                    at_2a=300,
                    at_2c=290,
                    at_2e=600,
                    at_14=0xF00 * (count & 1),
                    at_16=count,
                    at_18=0x40 * (count != 64) | (count & 7),
                ),
                SOCKET_STRINGS,
                length,
            )
            for count in BYTES
        ]
    for kind in range(0x24):
        rows.append(structure(17, 0x100 + kind, with_fields(DIMM, at_12=kind), DIMM_STRINGS))
    for length in (0x15, 0x17, 0x1B, 0x1C, 0x20, 0x22, 0x28, 0x54, 0x5C):
        rows += [
            structure(17, 0x200, with_fields(DIMM, at_0c=size, at_1c=0x80000000 | 3 << 19), DIMM_STRINGS, length)
            for size in SIZES
        ]
        rows += [
            structure(
                17,
                0x300,
                with_fields(DIMM, at_15=speed, at_20=speed, at_54=70_000, at_58=66_000, at_1b=speed & 15),
                DIMM_STRINGS,
                length,
            )
            for speed in SPEEDS
        ]
    uses = [with_fields(ARRAY, at_05=use, at_07=kib) for use in range(1, 8) for kib in (1 << 20, 0x80000000)]
    rows += [structure(16, 0x400 + at, fields) for at, fields in enumerate(uses)]
    table = b"".join([*rows, made.END])
    value = assert_same(tmp_path / "dump", made.entry_point_64(len(table)), table)
    assert (len(value.processors), len(value.memory_arrays)) == (42, 14)
    assert len(value.memory_devices) == 0x24 + 9 * (len(SIZES) + len(SPEEDS))
