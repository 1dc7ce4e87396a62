"""The machine: its name, kernel, page size, CPUs and memory."""

from tcptop.kernel.release import Release, may_have_backports, release_numbers
from tcptop.ledger import HostFacts
from tcptop.snapshot import DAMAGED, Snapshot

HOTPLUG_SHARE = 0.01
"""Largest share of the memory that may be added or removed between the reads of meminfo and zoneinfo."""


def machine_facts(snapshot: Snapshot, page_bytes: int | None) -> HostFacts:
    """The machine: its name, kernel, page size, CPUs and memory.

    The memory is unknown if meminfo may be a container's or another machine's.
    """
    sysctls, load = snapshot.sysctls.value, snapshot.machine_load.value
    is_machines = is_of_machine(snapshot, page_bytes)
    meminfo = snapshot.meminfo.value if is_machines else None
    # psutil's figure is an estimate where meminfo has none, before 3.14.
    available = (meminfo.available_bytes if meminfo else None, load.memory_available_bytes if load else None)
    return HostFacts(
        name=sysctls.host_name if sysctls else None,
        place=snapshot.place,
        net_namespace=snapshot.net_namespace,
        kernel=sysctls.kernel_release if sysctls else None,
        page_size_bytes=page_bytes,
        cpus=_online_cpus(snapshot),
        memory_bytes=meminfo.total_bytes if meminfo else None,
        memory_available_bytes=next((each for each in available if each is not None and is_machines), None),
        cpu_busy_percent=load.cpu_busy_percent if load else None,
        boot_id=snapshot.boot_id,
        net_namespace_id=snapshot.net_namespace_id,
    )


def release_of(snapshot: Snapshot) -> Release | None:
    """The kernel release as numbers, such as (6, 1); None if the release is unknown."""
    sysctls = snapshot.sysctls.value
    return release_numbers(sysctls.kernel_release) if sysctls else None


def may_be_newer(snapshot: Snapshot) -> bool:
    """True if the kernel may behave as one of a later release: its vendor takes much from later releases."""
    sysctls = snapshot.sysctls.value
    return may_have_backports(sysctls.kernel_release if sysctls else None)


def _online_cpus(snapshot: Snapshot) -> int | None:
    """Number of online CPUs.

    If sysfs does not show the online CPUs, zoneinfo gives the number. In zoneinfo, each zone has one page list per CPU.
    The zone with the most page lists is used.
    """
    topology, zoneinfo = snapshot.topology.value, snapshot.zoneinfo.value
    if topology is not None and topology.online_cpus is not None:
        return topology.online_cpus
    return max((zone.cpus for zone in zoneinfo.zones if zone.cpus), default=None) if zoneinfo else None


def reserve_cpus(snapshot: Snapshot) -> int | None:
    """Number of CPUs that may hold a reserve of socket buffers; None if unknown.

    A CPU that is switched off keeps its reserve (net/core/sock.c handles no CPU that goes offline), so all present CPUs
    count. If sysfs does not show the present CPUs, only the online CPUs count.
    """
    topology = snapshot.topology.value
    counts = (_online_cpus(snapshot), topology.present_cpus if topology else None)
    return max((count for count in counts if count is not None), default=None)


def node_count(snapshot: Snapshot) -> int | None:
    """Number of NUMA nodes; None if unknown.

    A kernel without NUMA has one node and no /sys/devices/system/node, and a saved tree may lack that folder. The nodes
    are then those that zoneinfo or buddyinfo names. A file that is cut may lack nodes, so it does not count.
    """
    topology = snapshot.topology.value
    if topology is not None and topology.nodes:
        return len(topology.nodes)
    zoneinfo, buddyinfo = snapshot.zoneinfo, snapshot.buddyinfo
    named: set[int] = set()
    if zoneinfo.value is not None and zoneinfo.state not in DAMAGED:
        named |= {zone.node for zone in zoneinfo.value.zones}
    if buddyinfo.value is not None and buddyinfo.state not in DAMAGED:
        named |= {area.node for area in buddyinfo.value.areas}
    return len(named) or None


def is_of_machine(snapshot: Snapshot, page_bytes: int | None) -> bool:
    """False if meminfo shows less memory than the zones manage, so that its figures may not be the machine's.

    Such a meminfo is a container's (lxcfs) or another machine's. Without MemTotal or zoneinfo, the result is True.
    """
    meminfo, zoneinfo = snapshot.meminfo.value, snapshot.zoneinfo.value
    managed_pages = sum(zone.managed_pages or 0 for zone in zoneinfo.zones) if zoneinfo else 0
    memory_bytes = meminfo.total_bytes if meminfo else None
    return memory_bytes is None or memory_bytes >= managed_pages * (page_bytes or 0) * (1 - HOTPLUG_SHARE)
