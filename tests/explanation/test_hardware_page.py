"""The page of processor sockets and memory slots, its lines in the report, and the node of each slot."""

from __future__ import annotations

import re
from pathlib import Path

import made_smbios as made
import pytest
from made_smbios import DIMM, structure, with_fields
from recorded import copy_recording, ledger, ledger_of, snapshot, write_tree

from tcptop.accounting import account
from tcptop.explanation.hardware_page import NO_NODE, hardware_page, hardware_sentences, whole_size
from tcptop.explanation.pages import find_page
from tcptop.ledger import Ledger
from tcptop.report.as_text import as_text
from tcptop.snapshot import MemoryArray, MemoryDevice, Processor, Reading, Smbios
from tcptop.text.line import text_of

EMPTY_SLOT = MemoryDevice(1, "B", None, 0, None, None, None, None)
ARRAY = MemoryArray(1, "system memory", 4, 64 << 30)
SOCKET = Processor("CPU 0", "enabled", "Maker", "Model", 16, 12, 32, 24, 4000, 2400)


def with_tables(
    devices: list[MemoryDevice], kernel: str = "6.1-4n", processors: tuple[Processor, ...] = (SOCKET,)
) -> Ledger:
    value = Smbios("3.2", processors, (ARRAY,), tuple(devices))
    return account(snapshot(kernel, "established")._replace(smbios=Reading("ok", value, None, 0.0, 1, 1.0, None, None)))


def slot(locator: str, bank: str | None = None, size_gib: float = 2.0) -> MemoryDevice:
    return MemoryDevice(1, locator, bank, int(size_gib * (1 << 30)), "DDR4", 3200, 2933, 2)


def page_text(figures: Ledger, columns: int = 100) -> str:
    return "\n".join(text_of(line).rstrip() for line in hardware_page(figures, columns))


def nodes_of(figures: Ledger) -> list[int | None]:
    assert figures.hardware is not None
    return [device.node for device in figures.hardware.memory_devices]


def test_the_page_has_a_row_for_each_socket_and_slot(tmp_path: Path) -> None:
    root = write_tree(copy_recording("6.1-1n", "established", tmp_path), made.files())
    rows = [re.split(r"  +", line.strip()) for line in page_text(ledger_of(root)).splitlines()]
    assert ["CPU 0", "enabled", "12 of 16", "24 of 32", "2 400", "4 000", "0", "Maker Model 7 @ 2.40GHz"] in rows
    assert ["CPU 1", "empty", "–", "–", "–", "–", "0"] in rows
    assert ["P0_DIMM_A1", "16 GiB", "DDR4", "2 933", "3 200", "2", "0", "NODE 0"] in rows
    assert ["P0_DIMM_A2", "empty", "–", "–", "–", "–", "0", "NODE 0"] in rows
    report = as_text(ledger_of(root), width=100)
    assert "\n  1 of 2 processor sockets populated, 12 cores, 24 threads.\n" in report
    assert "\n  2 of 4 memory slots filled: 2 x 16 GiB DDR4 at 2 933 MT/s; 32 GiB in all, 2 TiB at most.\n" in report


@pytest.mark.parametrize("columns", [40, 60, 76, 80, 100, 120])
def test_the_page_fits_with_every_name_whole(columns: int) -> None:
    name = "PROC 12 DIMM 24 of the board"
    lines = page_text(with_tables([slot(name, "P1_Node1_Channel3_Dimm1")] * 3), columns).splitlines()
    assert max(map(len, lines)) <= columns
    words = " ".join(" ".join(lines).split())
    assert words.count(name) == 3
    assert words.count("P1_Node1_Channel3_Dimm1") == 3


def test_what_is_not_known_is_in_no_sum() -> None:
    unknown = slot("A")._replace(size_bytes=None)
    first, second = hardware_sentences(with_tables([unknown, slot("B", size_gib=16)], processors=(SOCKET, SOCKET)))
    assert first == "2 of 2 processor sockets populated, 24 cores, 48 threads."
    assert "≥ 16 GiB in all" in second
    without_cores = SOCKET._replace(cores=None, cores_enabled=None)
    first, _ = hardware_sentences(with_tables([unknown], processors=(SOCKET, without_cores)))
    assert first == "2 of 2 processor sockets populated, 48 threads."


def test_an_array_for_another_use_is_in_no_sum() -> None:
    value = with_tables([slot("A"), slot("BIOS")._replace(array=2)]).hardware
    assert value is not None
    flash = MemoryArray(2, "flash memory", 1, 1 << 24)
    figures = ledger("6.1-4n", "established")._replace(hardware=value._replace(memory_arrays=(ARRAY, flash)))
    _, memory = hardware_sentences(figures)
    assert memory == "1 of 1 memory slot filled: 1 × 2 GiB DDR4 at 2 933 MT/s; 2 GiB in all, 64 GiB at most."
    assert re.search(r"BIOS .*flash memory", page_text(figures))


def test_tables_that_were_not_read_have_a_reason_on_the_page_and_no_lines_in_the_report() -> None:
    figures = ledger("6.1-4n", "established")
    assert figures.hardware is None
    assert "there is no /sys/firmware/dmi/tables/smbios_entry_point here" in " ".join(page_text(figures).split())
    assert "firmware" not in as_text(figures)


def test_a_plain_user_learns_that_the_tables_are_for_root() -> None:
    sample = snapshot("6.1-4n", "established")
    reading: Reading[Smbios] = Reading("refused", None, "/sys/x is for root only", None, 1, None, None, None)
    figures = account(sample._replace(smbios=reading))
    assert "not known: /sys/x is for root only" in page_text(figures)
    assert re.search(r"^  smbios +refused +/sys/x is for root only$", as_text(figures), re.MULTILINE)


def test_names_of_the_page() -> None:
    figures = ledger("6.1-4n", "established")
    for name in ("hardware", "DIMM", "SMBIOS", "dmidecode"):
        page = find_page(figures, name)
        assert page is not None
        assert page.name == "hardware"


def test_every_slot_is_on_the_only_node() -> None:
    assert nodes_of(with_tables([slot("A"), EMPTY_SLOT], "6.1-1n")) == [0, 0]


# Four nodes with 1 479, 1 505, 1 505 and 1 480 MiB of memory that the kernel manages.
NAMED = [
    [slot("DIMM_A", f"NODE {node}") for node in range(4)],
    [slot(f"P{node}_Node{node}_Channel0_Dimm0") for node in range(4)],
    [slot(f"_Node{node}_Dimm{dimm}", None, 1) for node in range(4) for dimm in range(2)],
]


@pytest.mark.parametrize("devices", NAMED)
def test_names_that_agree_with_the_kernels_nodes_tell_the_node(devices: list[MemoryDevice]) -> None:
    expected = [node for node in range(4) for _ in range(len(devices) // 4)]
    assert nodes_of(with_tables(devices)) == expected
    assert NO_NODE[:20] not in page_text(with_tables(devices))
    empty = slot("x", "NODE 3")._replace(size_bytes=0)
    nowhere = slot("x", "NODE 9")._replace(size_bytes=0)
    assert nodes_of(with_tables([*devices, empty, nowhere, EMPTY_SLOT])) == [*expected, 3, None, None]


@pytest.mark.parametrize(
    "devices",
    [
        [slot(f"P{node}_DIMM_A1") for node in range(4)],  # the word names a processor, not a node
        [slot(f"CPU{node}_DIMM_A1") for node in range(4)],
        [slot("A", f"NODE {node}") for node in range(2)],  # a processor consists of two nodes
        [slot("A", f"NODE {node}") for node in range(1, 5)],  # counted from 1
        [slot(f"P{part}_Node{node}_A") for part in range(2) for node in range(4)],  # within each processor
        [slot("A", f"NODE {node}", 1) for node in range(4)],  # less than the kernel has there
        [slot("A", f"NODE {node}", 16) for node in range(4)],  # far more
        [*(slot("A", f"NODE {node}") for node in range(4)), slot("B", "BANK 1")],  # one without a node
        [*(slot("A", f"NODE {node}") for node in range(3)), slot("Node 2", "Node 3")],  # two numbers
        [slot("A", f"UNODE{node}") for node in range(4)],
    ],
    ids=lambda devices: f"{devices[0].locator} {devices[0].bank} x {len(devices)}",
)
def test_names_that_do_not_agree_leave_the_node_unknown(devices: list[MemoryDevice]) -> None:
    figures = with_tables(devices)
    assert nodes_of(figures) == [None] * len(devices)
    assert " ".join(NO_NODE.split()) in " ".join(page_text(figures).split())


@pytest.mark.parametrize(
    ("size_bytes", "text"),
    [
        (0, "0 B"),
        (512 << 10, "512 KiB"),
        (16 << 30, "16 GiB"),
        (1536 << 30, "1 536 GiB"),
        (2 << 40, "2 TiB"),
        (3, "3 B"),
    ],
)
def test_a_size_is_a_whole_number_as_dmidecode_prints_it(size_bytes: int, text: str) -> None:
    assert whole_size(size_bytes) == text


def test_names_of_a_hostile_table_are_plain_text(tmp_path: Path) -> None:
    names = (b"[red]\x1b[2J\xe2\x80\xae\n", b"\x9b31m")
    table = structure(17, 1, with_fields(DIMM, at_11=2), names) + made.END
    root = write_tree(copy_recording("6.1-1n", "established", tmp_path), made.files(table))
    page = page_text(ledger_of(root))
    assert "[red]\\x1b[2J\\u202e" in page
    assert "\x1b" not in page


# Figures that real firmware gets wrong are shown with a remark


def with_firmware(tmp_path: Path, *structures: bytes) -> Ledger:
    table = b"".join([*structures, made.END])
    return ledger_of(write_tree(copy_recording("6.1-1n", "established", tmp_path), made.files(table)))


def test_threads_of_one_core_are_in_no_sum(tmp_path: Path) -> None:
    """QEMU before 8.1 gives 4 cores and 1 thread for four cores of one thread each."""
    per_core = with_fields(made.SOCKET, at_23=4, at_24=4, at_25=1, at_30=0)
    figures = with_firmware(tmp_path, structure(4, 1, per_core), structure(4, 2, made.SOCKET))
    assert figures.sources["smbios"].state == "ok"
    first, *remarks = [line for line in hardware_sentences(figures) if "slot" not in line]
    assert first == "2 of 2 processor sockets populated, 16 cores."
    assert remarks == [
        "A processor has 4 cores and fewer threads, 1: some firmware gives the threads of one core. No sum has them."
    ]
    assert "A processor has 4 cores and fewer threads, 1" in as_text(figures)
    assert figures.hardware is not None
    assert figures.hardware.remarks == tuple(remarks)


def test_more_memory_than_the_maximum_of_its_array_is_shown_with_a_remark(tmp_path: Path) -> None:
    small = with_fields(made.ARRAY, at_07=16 << 20)
    slots = [structure(17, 0x1100 + at, DIMM) for at in range(4)]
    for number, is_beyond in ((1, False), (2, True), (4, True)):
        figures = with_firmware(tmp_path / str(number), structure(16, 0x1000, small), *slots[:number])
        assert figures.sources["smbios"].state == "ok"
        sentences = list(hardware_sentences(figures))
        assert f"{16 * number} GiB in all" in sentences[1]
        assert (len(sentences) == 3) == is_beyond
        assert ("16 GiB at most" in sentences[1]) is not is_beyond
    assert "have 68 719 476 736 B, more than its maximum, 17 179 869 184 B" in sentences[2]


@pytest.mark.parametrize(("kind", "fields"), [(4, made.SOCKET), (17, DIMM)])
def test_structures_of_one_handle_are_shown_with_a_remark(
    kind: int, fields: dict[int, tuple[int, int]], tmp_path: Path
) -> None:
    """VMware gives several processors one handle."""
    figures = with_firmware(tmp_path, structure(kind, 4, fields), structure(kind, 4, fields), structure(16, 5, {}))
    assert figures.sources["smbios"].state == "ok"
    assert figures.hardware is not None
    assert len((*figures.hardware.processors, *figures.hardware.memory_devices)) == 2
    assert figures.hardware.repeated_handles == (4,)
    assert "Several structures have the handle 0x0004, which should be unique" in " ".join(as_text(figures).split())
