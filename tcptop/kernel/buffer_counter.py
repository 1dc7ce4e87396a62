"""sockstat's counter of buffers, `mem`: its unit, and the reserves of the CPUs that it leaves out.

Four commits of Linux 6.0 belong together: `mem` counts pages again (100fdd1faf50), and each CPU has a reserve
(0defbb0af775, 3cd3399dd7a8). A kernel that has the reserves therefore counts pages, whatever its release.
"""

from tcptop.kernel.release import Release, may_have_backports

FIXED_UNIT_SINCE: Release = (4, 9)
"""First kernel release that counts sockstat's `mem` in units of 4096 bytes; earlier kernels count pages.

The unit of 4096 bytes is SK_MEM_QUANTUM (include/net/sock.h). The sysctl tcp_mem is in pages on every kernel: from 4.9
to 5.19, sk_prot_mem_limits() converts it into units of SK_MEM_QUANTUM before it compares `mem` with it.
"""
FIXED_UNIT_BYTES = 4096

RESERVES_SINCE: Release = (6, 0)
"""First kernel release that counts `mem` in pages again, with a reserve for each CPU."""

RESERVE_BYTES = 1 << 20
"""Reserve of a CPU, if net.core.mem_pcpu_rsv has its default or does not exist (SK_MEMORY_PCPU_RESERVE).

Each CPU may have up to this number of bytes that it has not added to `mem`, or not subtracted from it.
"""

RESERVE_SYSCTL_SINCE: Release = (6, 7)
"""First kernel release that surely has net.core.mem_pcpu_rsv; later versions of 6.1 and 6.6 have it too."""

PROTO, RESERVE_MEMBER = "proto", "per_cpu_fw_alloc"
"""A struct and its member, by which BTF shows that the kernel has the reserves."""


def has_reserves(release: Release | None, text: str | None) -> bool | None:
    """True if a kernel of this release has reserves of CPUs; None if the release does not tell.

    `text` is the release as the kernel prints it. Vendors have taken the reserves into kernels of earlier releases.
    """
    if release is None:
        return None
    if release >= RESERVES_SINCE:
        return True
    return None if release >= FIXED_UNIT_SINCE and may_have_backports(text) else False
