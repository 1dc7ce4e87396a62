"""The list of sources: the sources of a report, the source of a memory cgroup, and the paths that all of them read."""

from tcptop.errors import TcptopError
from tcptop.hosts.host import Host
from tcptop.hosts.run_sync import run_sync
from tcptop.kernel.buffer_counter import PROTO, RESERVE_MEMBER
from tcptop.kernel.objects import BTF_STRUCTS, LSM_SOCKET_BLOB_STRUCTS, SLAB_CACHES
from tcptop.kernel.relations import member_paths
from tcptop.sampling.sampler import AnySource
from tcptop.sock_diag import SOCKETS_PATH
from tcptop.sources.btf import BtfSource
from tcptop.sources.buddyinfo import BuddyinfoSource
from tcptop.sources.cache_attributes import CacheAttributesSource
from tcptop.sources.conntrack_stats import ConntrackStatsSource
from tcptop.sources.meminfo import MeminfoSource
from tcptop.sources.memory_cgroups import MemoryCgroupsSource
from tcptop.sources.netstat import NetstatSource
from tcptop.sources.pagetypeinfo import PagetypeinfoSource
from tcptop.sources.protocols import ProtocolsSource
from tcptop.sources.security_modules import SecurityModulesSource
from tcptop.sources.slab_sysfs import SlabCountsSource, SlabLinksSource, SlabSizesSource
from tcptop.sources.slabinfo import SlabinfoSource
from tcptop.sources.smbios import SmbiosSource
from tcptop.sources.snmp import SnmpSource
from tcptop.sources.socket_limits import SocketLimitsSource
from tcptop.sources.sockstat import Sockstat6Source, SockstatSource
from tcptop.sources.sysctls import SysctlsSource
from tcptop.sources.tls_stat import TlsStatSource
from tcptop.sources.topology import TopologySource
from tcptop.sources.zoneinfo import ZoneinfoSource


def kernel_sources() -> list[AnySource]:
    """All sources of a report.

    The sysctls come first: they contain the kernel release, on which the choice of the other sources depends.
    """
    return [
        SysctlsSource(),
        TopologySource(),
        SmbiosSource(),
        SecurityModulesSource(),
        MemoryCgroupsSource(),
        BtfSource(BTF_STRUCTS, LSM_SOCKET_BLOB_STRUCTS, {**member_paths(), PROTO: {RESERVE_MEMBER}}),
        ProtocolsSource(),
        SlabLinksSource(),
        SlabSizesSource(SLAB_CACHES),
        SockstatSource(),
        Sockstat6Source(),
        SnmpSource(),
        NetstatSource(),
        ConntrackStatsSource(),
        TlsStatSource(),
        SocketLimitsSource(),
        MeminfoSource(),
        BuddyinfoSource(),
        SlabCountsSource(SLAB_CACHES),
        SlabinfoSource(),
        ZoneinfoSource(),
        PagetypeinfoSource(),
    ]


def cgroup_sources(cgroup: str | None) -> list[AnySource]:
    """A list with the source that reads the memory cgroup at a path; empty if `cgroup` is None.

    Raises TcptopError if no cgroup can have this path.
    """
    if cgroup is None:
        return []
    # Imported here, because most users name no cgroup.
    from tcptop.sources.cgroup_memory import CgroupMemorySource

    try:
        return [CgroupMemorySource(cgroup)]
    except ValueError as error:
        raise TcptopError(f"--cgroup: {error}") from None


def wanted_paths() -> tuple[str, ...]:
    """Patterns of all paths that the sources of a report may read, written in the same way as `Source.paths`."""
    paths = (path for source in kernel_sources() for path in source.paths)
    return (*paths, *CacheAttributesSource.paths, SOCKETS_PATH)


def has_saved_sockets(host: Host) -> bool:
    """True if the host is a saved tree that contains a socket table; False for a running machine."""
    if host.identity.live:
        return False
    [file] = run_sync(host.read((SOCKETS_PATH,)))
    return file.data is not None
