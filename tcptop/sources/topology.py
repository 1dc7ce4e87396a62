"""/sys/devices/system/node and cpu (drivers/base/node.c, cpu.c): the nodes, their CPUs and their memory."""

from __future__ import annotations

from tcptop.hosts.host import Host
from tcptop.snapshot import NodeFacts, Reading, Topology
from tcptop.sources.meminfo import parse_fields_bytes
from tcptop.sources.source import (
    EVERY_MINUTE,
    MAX_NODES,
    Damage,
    Source,
    explain_error,
    make_reading,
    parse_count,
    small_text,
    unread,
    worst_damage,
)
from tcptop.text.printable import printable_name

NODES = "sys/devices/system/node"
ONLINE_CPUS = "sys/devices/system/cpu/online"


class TopologySource(Source[Topology]):
    """A source that is read once a minute, because only hotplug changes the topology."""

    name = "topology"
    paths = (f"{NODES}/", f"{NODES}/node*/cpulist", f"{NODES}/node*/meminfo", ONLINE_CPUS)
    pace = EVERY_MINUTE

    async def read(self, host: Host) -> Reading[Topology]:
        """Reads the folder of each node and the list of online CPUs. Node numbers may have gaps."""
        folder = await host.list_folder(NODES)
        numbers = sorted(
            int(name[4:])
            for name in folder.entries or ()
            if name.startswith("node") and name[4:].isascii() and name[4:].isdigit() and len(name) < 10
        )[:MAX_NODES]
        paths = [ONLINE_CPUS]
        for number in numbers:
            paths += [f"{NODES}/node{number}/cpulist", f"{NODES}/node{number}/meminfo"]
        files = await host.read(paths)
        took_us = folder.took_us + sum(file.took_us for file in files)
        texts = [small_text(file) for file in files]
        damages: list[Damage] = []
        nodes: list[NodeFacts] = []
        for number, cpu_list, meminfo in zip(numbers, texts[1::2], texts[2::2], strict=True):
            fields = parse_fields_bytes((meminfo or "").splitlines(), damages)
            printable_list = None if cpu_list is None else printable_name(cpu_list.strip())
            nodes.append(NodeFacts(number, printable_list, _count_cpus_in(cpu_list, damages), fields.get("MemTotal")))
        online_cpus = _count_cpus_in(texts[0], damages)
        if not nodes and online_cpus is None:
            return unread(*explain_error(NODES, folder.error or FileNotFoundError(2, "")), folder.took_us)
        return make_reading(Topology(tuple(nodes), online_cpus), worst_damage(damages), NODES, took_us)


def _count_cpus_in(text: str | None, damages: list[Damage]) -> int | None:
    try:
        return count_cpus(text) if text else None
    except ValueError:
        shown = printable_name((text or "").strip())[:60]
        damages.append(Damage("strange", f"a list of CPUs has an unknown format: {shown!r}"))
        return None


def count_cpus(text: str) -> int:
    """The number of CPUs in a list such as `0-3,8,10-11`; 0 for a blank line, which is the list of a node without CPUs.

    Raises:
        ValueError: if the list does not have this format.

    """
    total = 0
    for part in text.strip().split(","):
        if not part:
            continue
        first, dash, last = part.strip().partition("-")
        low = parse_count(first)
        high = parse_count(last.partition(":")[0]) if dash else low
        if high < low:
            raise ValueError(f"a range that runs backwards: {part!r}")
        total += high - low + 1
    return total
