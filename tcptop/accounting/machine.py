"""The machine: its name, kernel, page size, CPUs and memory."""

from tcptop.ledger import HostFacts
from tcptop.snapshot import Snapshot


def machine_facts(snapshot: Snapshot, page_bytes: int | None) -> HostFacts:
    """The machine: its name, kernel, page size, CPUs and memory."""
    sysctls = snapshot.sysctls.value
    meminfo, load = snapshot.meminfo.value, snapshot.machine_load.value
    available = (load.memory_available_bytes if load else None, meminfo.available_bytes if meminfo else None)
    return HostFacts(
        name=sysctls.host_name if sysctls else None,
        place=snapshot.place,
        net_namespace=snapshot.net_namespace,
        kernel=sysctls.kernel_release if sysctls else None,
        page_size_bytes=page_bytes,
        cpus=_online_cpus(snapshot),
        memory_bytes=meminfo.total_bytes if meminfo else None,
        memory_available_bytes=next((each for each in available if each is not None), None),
        cpu_busy_percent=load.cpu_busy_percent if load else None,
    )


def _online_cpus(snapshot: Snapshot) -> int | None:
    """Number of online CPUs.

    If sysfs does not show the online CPUs, zoneinfo gives the number. In zoneinfo, each zone has one page list per CPU.
    The zone with the most page lists is used.
    """
    topology, zoneinfo = snapshot.topology.value, snapshot.zoneinfo.value
    if topology is not None and topology.online_cpus is not None:
        return topology.online_cpus
    return max((zone.cpus for zone in zoneinfo.zones if zone.cpus), default=None) if zoneinfo else None
