"""The page of processor sockets and memory slots: the figures of `dmidecode -t processor` and `-t memory`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

from tcptop.ledger import Ledger
from tcptop.snapshot import MemoryDevice, Processor, Smbios
from tcptop.text import units
from tcptop.text.line import EMPTY_LINE, Line, paragraph
from tcptop.text.table import TableRow, make_headings, table_lines

SYSTEM_MEMORY = "system memory"
OF_THE_FIRMWARE = (
    "The firmware wrote these tables when the machine started (SMBIOS); the kernel does not check them. Memory that was"
    " added or switched off since then, or that a hypervisor gave or took, is not in them."
)
NO_NODE = (
    "– The node is unknown: the machine has several, and the names of the filled slots do not each have the number of a"
    " node whose memory fits. A number of a processor in a name is not the number of a node."
)
NOT_READ = (
    "The firmware's tables (SMBIOS) have them, for root alone. Containers, machines with a device tree and some virtual"
    " machines have no such tables."
)


def hardware_page(ledger: Ledger, columns: int) -> list[Line]:
    """The page with a row for each processor socket and for each memory slot."""
    hardware = ledger.hardware
    if hardware is None:
        reason = ledger.sources["smbios"].reason or units.UNKNOWN
        lines = paragraph(f" Processor sockets and memory slots are not known: {reason}.", columns - 1, "text")
        return [*lines, EMPTY_LINE, *paragraph(f" {NOT_READ}", columns - 1, "dim")]
    lines = []
    for sentence in hardware_sentences(ledger):
        lines += paragraph(f" {sentence}", columns - 1, "text")
    if hardware.processors:
        lines += [EMPTY_LINE, *_processor_table(hardware.processors, columns)]
    if hardware.memory_devices:
        lines += [EMPTY_LINE, *_memory_table(hardware, columns), EMPTY_LINE]
    if any(device.node is None for device in hardware.memory_devices):
        lines += paragraph(f" {NO_NODE}", columns - 1, "dim")
    return [*lines, *paragraph(f" {OF_THE_FIRMWARE}", columns - 1, "dim")]


def hardware_sentences(ledger: Ledger) -> Iterator[str]:
    """One line about the processor sockets, and one about the slots of system memory."""
    hardware = ledger.hardware
    if hardware is None:
        return
    populated = [each for each in hardware.processors if each.status != "empty"]
    sockets = f"{_of(len(populated), len(hardware.processors), 'processor socket')} populated"
    cores = _sum_text("core", [each.cores_enabled or each.cores for each in populated])
    threads = _sum_text("thread", [_threads_of(each) for each in populated])
    yield f"{', '.join(filter(None, (sockets, cores, threads)))}."
    slots = _system_devices(hardware)
    filled = [each for each in slots if each.size_bytes != 0]
    known_bytes = sum(each.size_bytes or 0 for each in filled)
    at_least = "≥ " if any(each.size_bytes is None for each in filled) else ""
    parts = [f"{_of(len(filled), len(slots), 'memory slot')} filled"]
    if filled:
        kinds = Counter(map(_device_text, filled))
        parts.append(f": {', '.join(f'{number} × {text}' for text, number in kinds.items())}")
        parts.append(f"; {at_least}{whole_size(known_bytes)} in all")
    capacities = [each.max_capacity_bytes for each in hardware.memory_arrays if each.use == SYSTEM_MEMORY]
    capacity = sum(filter(None, capacities))
    if capacities and None not in capacities and capacity >= known_bytes:
        parts.append(f", {whole_size(capacity)} at most")
    yield f"{''.join(parts)}."
    yield from hardware.remarks


def _threads_of(processor: Processor) -> int | None:
    """The enabled threads of a processor; None if unknown, or if the firmware counts the threads of one core only."""
    if processor.threads is not None and processor.cores is not None and processor.threads < processor.cores:
        return None
    return processor.threads_enabled or processor.threads


def _of(number: int, total: int, noun: str) -> str:
    return f"{units.count(number)} of {units.count(total)} {noun}{'' if total == 1 else 's'}"


def _sum_text(noun: str, numbers: Sequence[int | None]) -> str:
    """Text such as `64 cores`; empty if a number is unknown."""
    known = [number for number in numbers if number is not None]
    if not known or len(known) < len(numbers):
        return ""
    return f"{units.count(sum(known))} {noun}{'' if sum(known) == 1 else 's'}"


def _device_text(device: MemoryDevice) -> str:
    speed = device.configured_speed_mts or device.max_speed_mts
    at_speed = None if speed is None else f"at {units.grouped(speed)} MT/s"
    texts = (whole_size(device.size_bytes), device.memory_type, at_speed)
    return " ".join(filter(None, texts))


def whole_size(size_bytes: int | None) -> str:
    """An amount in the largest unit that gives a whole number, as dmidecode prints it: `1536 GiB`."""
    if size_bytes is None:
        return units.UNKNOWN
    step = 0
    while size_bytes and size_bytes % 1024 == 0 and step + 1 < len(units.SHORT_UNITS):
        size_bytes, step = size_bytes >> 10, step + 1
    unit = units.SHORT_UNITS[step]
    return f"{units.grouped(size_bytes)} {unit}iB" if unit else f"{units.grouped(size_bytes)} B"


def _system_devices(hardware: Smbios) -> list[MemoryDevice]:
    """The slots of system memory; slots of other arrays, such as the firmware's flash memory, are left out."""
    others = {array.handle for array in hardware.memory_arrays if array.use not in (None, SYSTEM_MEMORY)}
    return [device for device in hardware.memory_devices if device.array not in others]


def _processor_table(processors: Sequence[Processor], columns: int) -> list[Line]:
    titles = ("<CPU SOCKET", "<STATUS", "CORES", "THREADS", "MHZ", "MAX MHZ", "NODE", "PROCESSOR")
    headings = make_headings(*titles, least=("MAX MHZ", "MHZ", "NODE"))
    rows = [
        TableRow(
            (
                each.designation or units.UNKNOWN,
                each.status,
                _enabled(each.cores_enabled, each.cores),
                _enabled(each.threads_enabled, each.threads),
                units.count(each.current_speed_mhz),
                units.count(each.max_speed_mhz),
                units.count(each.node),
            ),
            " ".join(filter(None, (each.manufacturer, each.version))),
            role="dim" if each.status == "empty" else "text",
        )
        for each in processors
    ]
    return table_lines(headings, rows, columns)


def _enabled(enabled: int | None, number: int | None) -> str:
    """Text such as `16 of 32` (enabled, all); only `32` if all are enabled, or if the enabled number is unknown."""
    if enabled is None or number is None or enabled == number:
        return units.count(number if enabled is None else enabled)
    return f"{units.count(enabled)} of {units.count(number)}"


def _memory_table(hardware: Smbios, columns: int) -> list[Line]:
    uses = {array.handle: array.use for array in hardware.memory_arrays if array.use != SYSTEM_MEMORY}
    headings = make_headings(
        "<SLOT", "SIZE", "<TYPE", "MT/S", "MAX MT/S", "RANKS", "NODE", "BANK", least=("MAX MT/S", "RANKS", "NODE")
    )
    rows = [
        TableRow(
            (
                each.locator or units.UNKNOWN,
                "empty" if each.size_bytes == 0 else whole_size(each.size_bytes),
                each.memory_type or units.UNKNOWN,
                units.count(each.configured_speed_mts),
                units.count(each.max_speed_mts),
                units.count(each.ranks),
                units.count(each.node),
            ),
            ", ".join(filter(None, (each.bank, uses.get(each.array)))),
            role="dim" if each.size_bytes == 0 else "text",
        )
        for each in hardware.memory_devices
    ]
    return table_lines(headings, rows, columns)
