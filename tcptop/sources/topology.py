"""/sys/devices/system/node and cpu (drivers/base/node.c, cpu.c): the nodes, their CPUs, memory and distances."""

from __future__ import annotations

from collections.abc import Sequence

from tcptop.hosts.host import Host
from tcptop.snapshot import NodeFacts, Reading, Topology
from tcptop.sources.meminfo import parse_fields_bytes, parse_huge_pages
from tcptop.sources.source import (
    EVERY_MINUTE,
    MAX_NODES,
    Damage,
    Source,
    explain_error,
    has_cut,
    make_reading,
    parse_count,
    read_small_files,
    report_unread,
    small_text,
    unread,
    worst_damage,
)
from tcptop.text.printable import printable_name, quoted

NODES = "sys/devices/system/node"
NODE_FILES = ("cpulist", "meminfo", "distance")
ONLINE_CPUS = "sys/devices/system/cpu/online"
PRESENT_CPUS, POSSIBLE_CPUS = "sys/devices/system/cpu/present", "sys/devices/system/cpu/possible"
CPU_LISTS = (ONLINE_CPUS, PRESENT_CPUS, POSSIBLE_CPUS)

MAX_CPUS = 1 << 16
"""Upper bound on the number of CPUs of a kernel; CONFIG_NR_CPUS is at most 8192 on all architectures."""


class TopologySource(Source[Topology]):
    """A source that is read once a minute, because only hotplug changes the topology."""

    name = "topology"
    paths = (f"{NODES}/", *(f"{NODES}/node*/{name}" for name in NODE_FILES), *CPU_LISTS)
    pace = EVERY_MINUTE

    async def read(self, host: Host) -> Reading[Topology]:
        """Reads the folder of each node and the lists of CPUs. Node numbers may have gaps."""
        folder = await host.list_folder(NODES)
        numbers = sorted(
            int(name[4:])
            for name in folder.entries or ()
            if name.startswith("node") and name[4:].isascii() and name[4:].isdigit() and len(name) < 10
        )[:MAX_NODES]
        paths = [*CPU_LISTS]
        for number in numbers:
            paths += [f"{NODES}/node{number}/{name}" for name in NODE_FILES]
        files = await read_small_files(host, paths)
        took_us = folder.took_us + sum(file.took_us for file in files)
        texts = [small_text(file) for file in files]
        damages: list[Damage] = []
        report_unread(files, NODES, damages)
        numbers_of = {
            number: _parse_cpus(cpu_list, f"of node {number}", damages)
            for number, cpu_list in zip(numbers, texts[3::3], strict=True)
        }
        _drop_cpus_of_two_nodes(numbers_of, damages)
        nodes: list[NodeFacts] = []
        for number, cpu_list, meminfo, distance in zip(numbers, texts[3::3], texts[4::3], texts[5::3], strict=True):
            lines = _own_lines(meminfo, number, damages)
            fields = parse_fields_bytes(lines, damages)
            cpus = numbers_of[number]
            printable_list = None if cpu_list is None or cpus is None else printable_name(cpu_list.strip())
            nodes.append(
                NodeFacts(
                    node=number,
                    cpu_list=printable_list,
                    cpus=None if cpus is None else len(cpus),
                    memory_bytes=fields.get("MemTotal"),
                    free_bytes=fields.get("MemFree"),
                    distances=_parse_distances(distance, numbers, number, damages),
                    huge_pages=parse_huge_pages(lines),
                )
            )
        kinds = ("that are online", "that are present", "that are possible")
        online, present, possible = (
            _parse_cpus(text, kind, damages) for text, kind in zip(texts[:3], kinds, strict=True)
        )
        online_cpus = None if online is None else len(online)
        installed = possible if present is None else present
        present_cpus = None if installed is None else len(installed)
        if not nodes and online_cpus is None and not has_cut(damages):
            return unread(*explain_error(NODES, folder.error or FileNotFoundError(2, "")), folder.took_us)
        return make_reading(Topology(tuple(nodes), online_cpus, present_cpus), worst_damage(damages), NODES, took_us)


def _own_lines(meminfo: str | None, number: int, damages: list[Damage]) -> list[str]:
    """The lines of a node's meminfo, such as `Node 0 MemTotal: …` (node_read_meminfo).

    If a line is from another node, no line is returned.
    """
    lines = (meminfo or "").splitlines()
    words = [line.split(maxsplit=2) for line in lines if line.startswith("Node ")]
    others = {each[1] for each in words if len(each) > 1}
    others.discard(str(number))
    if not others:
        return lines
    damages.append(Damage("strange", f"the meminfo of node {number} is of node {printable_name(min(others))[:20]}"))
    return []


def _parse_distances(
    text: str | None, numbers: Sequence[int], number: int, damages: list[Damage]
) -> dict[int, int] | None:
    """The distances from a node to all nodes: one number for each online node, in order (node_read_distance).

    The result is None if the text is missing, or lacks a number for one of the nodes `numbers`.
    """
    if not text:
        return None
    name = f"the distance file of node {number}"
    try:
        distances = [parse_count(word) for word in text.split()]
    except ValueError:
        damages.append(Damage("strange", f"{name} has an unknown format: {printable_name(text.strip())[:60]!r}"))
        return None
    if len(distances) != len(numbers):
        damages.append(Damage("strange", f"{name} has {len(distances)} numbers for {len(numbers)} nodes"))
        return None
    return dict(zip(numbers, distances, strict=True))


def _drop_cpus_of_two_nodes(cpus: dict[int, frozenset[int] | None], damages: list[Damage]) -> None:
    """If several nodes list the same CPU, sets the CPUs of these nodes to None, which means unknown.

    The kernel never puts a CPU on two nodes (drivers/base/node.c, register_cpu_under_node).
    """
    first_with: dict[int, int] = {}
    shared: set[int] = set()
    for node, numbers in cpus.items():
        for cpu in sorted(numbers or ()):
            other = first_with.setdefault(cpu, node)
            if other != node:
                if not shared:
                    damages.append(Damage("strange", f"CPU {cpu} is in the lists of nodes {other} and {node}"))
                shared |= {other, node}
    cpus.update(dict.fromkeys(shared))


def _parse_cpus(text: str | None, what: str, damages: list[Damage]) -> frozenset[int] | None:
    """The numbers of the CPUs in a list; None if there is no list.

    If the text is not a list that a kernel can print, the result is None, and damage is added to `damages`.
    """
    try:
        return parse_cpus(text) if text else None
    except ValueError as error:
        damages.append(Damage("strange", f"the list of CPUs {what}: {error}"))
        return None


def parse_cpus(text: str) -> frozenset[int]:
    """The CPUs in a list such as `0-3,8,10-11`; a blank line is the list of a node without CPUs.

    Raises:
        ValueError: if the list has another format, repeats a CPU, or has a number that is too large for a CPU.

    """
    cpus: set[int] = set()
    for part in text.strip().split(","):
        if not part:
            continue
        first, dash, last = part.strip().partition("-")
        try:
            low = parse_count(first)
            high = parse_count(last.partition(":")[0]) if dash else low
        except ValueError:
            raise ValueError(f"it has an unknown format: {quoted(text.strip()[:60])}") from None
        if high < low:
            raise ValueError(f"a range that runs backwards: {quoted(part)}")
        if high >= MAX_CPUS:
            raise ValueError(f"CPU {high}, and a kernel has {MAX_CPUS} at most")
        more = range(low, high + 1)
        if not cpus.isdisjoint(more):
            raise ValueError(f"{quoted(part)} has a CPU for the second time")
        cpus.update(more)
    return frozenset(cpus)
