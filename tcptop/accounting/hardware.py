"""The NUMA nodes of processor sockets and memory slots.

On a machine with several nodes, the node of a slot is known only if the names of the slots agree with the kernel.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Sequence

from tcptop.accounting.contradictions.hardware_relations import CAPACITY_REMARK, THREADS_REMARK, devices_of_arrays
from tcptop.snapshot import MemoryDevice, NodeFacts, Smbios, Snapshot

NODE = re.compile(r"(?<![A-Za-z])node[ _-]?(\d{1,4})(?!\d)", re.IGNORECASE)
PROCESSOR = re.compile(r"(?<![A-Za-z])(?:p|cpu|proc|processor|socket)[ _-]?(\d{1,4})(?!\d)", re.IGNORECASE)

MIN_MANAGED_SHARE = 0.5
"""Minimum share of a node's memory that the kernel manages. The kernel does not manage memory that is reserved for
firmware or for a crash kernel."""


def find_hardware(snapshot: Snapshot) -> Smbios | None:
    """The processor sockets and memory slots with their nodes; None if the firmware's tables were not read.

    On a machine with a single node, all sockets and slots are on that node. With several nodes, a slot's node is known
    only from the word `node` in the slot's name. The names of slots are ignored if the node numbers in the names
    contradict the nodes that the kernel shows.
    """
    smbios, topology = snapshot.smbios.value, snapshot.topology.value
    if smbios is None:
        return None
    smbios = smbios._replace(remarks=_find_remarks(smbios))
    if topology is None:
        return smbios
    devices = smbios.memory_devices
    if len(topology.nodes) == 1:
        only = topology.nodes[0].node
        return smbios._replace(
            processors=tuple(each._replace(node=only) for each in smbios.processors),
            memory_devices=tuple(each._replace(node=only) for each in devices),
        )
    named = [_named_node(device) for device in devices]
    if not _agree(devices, named, topology.nodes):
        return smbios
    known = {facts.node for facts in topology.nodes}
    nodes = (number if number in known else None for number in named)
    return smbios._replace(
        memory_devices=tuple(each._replace(node=node) for each, node in zip(devices, nodes, strict=True))
    )


def _find_remarks(smbios: Smbios) -> tuple[str, ...]:
    """Remarks about figures that are wrong in some real firmware, at most one sentence for each kind of figure."""
    remarks = [
        next(filter(None, (THREADS_REMARK.failure(each, None) for each in smbios.processors)), None),
        next(filter(None, (CAPACITY_REMARK.failure(each, None) for each in devices_of_arrays(smbios))), None),
    ]
    if smbios.repeated_handles:
        handle = f"0x{smbios.repeated_handles[0]:04x}"
        remarks.append(f"Several structures have the handle {handle}, which should be unique: one may be there twice.")
    return tuple(filter(None, remarks))


def _texts(device: MemoryDevice) -> str:
    return f"{device.locator or ''} {device.bank or ''}"


def _named_node(device: MemoryDevice) -> int | None:
    """The node number in the names of a memory slot (locator and bank).

    The result is None if the names contain no node number, or different node numbers.
    """
    numbers = {int(number) for number in NODE.findall(_texts(device))}
    return numbers.pop() if len(numbers) == 1 else None


def _agree(devices: Sequence[MemoryDevice], named: Sequence[int | None], nodes: Sequence[NodeFacts]) -> bool:
    """True if the node numbers in the names of the filled slots can be the kernel's node numbers.

    The names must contain the same node numbers as the kernel shows. The slots of one node must not belong to several
    processors. The memory in the slots of a node must be at least the memory that the kernel manages on the node. The
    node numbers are checked, because some firmware numbers the nodes within each processor. Some firmware does not know
    that the kernel splits a node in two.
    """
    bytes_on: dict[int, int] = defaultdict(int)
    processors_of: dict[int, set[str]] = defaultdict(set)
    for device, node in zip(devices, named, strict=True):
        if device.size_bytes == 0:
            continue
        if device.size_bytes is None or node is None:
            return False
        bytes_on[node] += device.size_bytes
        processors_of[node].update(PROCESSOR.findall(_texts(device)))
    managed = {facts.node: facts.memory_bytes for facts in nodes if facts.memory_bytes != 0}
    return (
        managed.keys() == bytes_on.keys()
        and all(len(numbers) <= 1 for numbers in processors_of.values())
        and all(
            managed_bytes is not None and bytes_on[node] * MIN_MANAGED_SHARE <= managed_bytes <= bytes_on[node]
            for node, managed_bytes in managed.items()
        )
    )
