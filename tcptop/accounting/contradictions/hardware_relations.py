"""Relations of the firmware's tables (SMBIOS), and remarks about figures that are wrong in some real firmware.

A figure with a remark is shown, and the state of the figure's source does not become `strange`.
"""

from collections import defaultdict
from typing import NamedTuple

from tcptop.accounting.contradictions.relation import Machine, Relation
from tcptop.snapshot import MemoryArray, Processor, Smbios

TABLE = "/sys/firmware/dmi/tables/DMI"
ENABLED_AT_START = "none: what is switched on is a part of what is there (DSP0134, processor information)"


class ArrayDevices(NamedTuple):
    """An array of memory slots, and the memory devices that belong to this array according to the firmware."""

    array: MemoryArray
    devices: int
    size_bytes: int
    """Sum of the known sizes of the devices."""


PROCESSOR_RELATIONS: tuple[Relation[Processor, Machine], ...] = (
    Relation(
        "enabled cores of a processor",
        TABLE,
        ("cores", "cores_enabled"),
        lambda processor, _: (processor.cores_enabled, processor.cores),
        "a processor has {figure} enabled cores of {bound}",
        ENABLED_AT_START,
    ),
    Relation(
        "enabled threads of a processor",
        TABLE,
        ("threads", "threads_enabled"),
        lambda processor, _: (processor.threads_enabled, processor.threads),
        "a processor has {figure} enabled threads of {bound}",
        ENABLED_AT_START,
    ),
)

ARRAY_RELATION: Relation[ArrayDevices, Machine] = Relation(
    "memory devices of an array",
    TABLE,
    ("slots",),
    lambda pair, _: (pair.devices, pair.array.slots),
    "an array of {bound} memory slots has {figure} memory devices",
    "none: a device is a slot of its array, filled or empty (DSP0134, physical memory array)",
)

THREADS_REMARK: Relation[Processor, None] = Relation(
    "cores of threads",
    TABLE,
    (),
    lambda processor, _: (processor.cores, processor.threads),
    "A processor has {figure} cores and fewer threads, {bound}: some firmware gives the threads of one core. No sum "
    "has them.",
    "none in the specification; QEMU before 8.1 gives the threads of one core",
)

CAPACITY_REMARK: Relation[ArrayDevices, None] = Relation(
    "memory of an array",
    TABLE,
    (),
    lambda pair, _: (pair.size_bytes, pair.array.max_capacity_bytes),
    "The memory devices of an array have {figure} B, more than its maximum, {bound} B: the maximum is often wrong.",
    "none in the specification; boards take larger modules than their firmware knows",
)


def devices_of_arrays(smbios: Smbios) -> list[ArrayDevices]:
    """Each array of memory slots with its memory devices."""
    numbers: dict[int, int] = defaultdict(int)
    sizes: dict[int, int] = defaultdict(int)
    for device in smbios.memory_devices:
        numbers[device.array] += 1
        sizes[device.array] += device.size_bytes or 0
    return [ArrayDevices(array, numbers[array.handle], sizes[array.handle]) for array in smbios.memory_arrays]
