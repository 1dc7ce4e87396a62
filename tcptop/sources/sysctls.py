"""/proc/sys, /proc/cmdline and /sys/kernel/notes: host name, kernel release and build, tcp_mem, slab debugging.

In a saved tree without /proc/sys, the kernel release is taken from /proc/version. If the two name different releases,
the files are of different kernels, and the release is unknown.
"""

from __future__ import annotations

from tcptop.hosts.host import Host
from tcptop.kernel.architecture import find_architecture
from tcptop.snapshot import Reading, Sysctls
from tcptop.sources.command_line import PATH as COMMAND_LINE
from tcptop.sources.command_line import parse_command_line
from tcptop.sources.kernel_notes import PATH as NOTES
from tcptop.sources.kernel_notes import parse_build_id
from tcptop.sources.source import (
    EVERY_MINUTE,
    Damage,
    Source,
    explain_error,
    has_cut,
    make_reading,
    parse_count,
    parse_longs,
    parse_sysctl,
    read_small_files,
    report_unread,
    stripped_texts,
    unread,
    worst_damage,
)
from tcptop.text.printable import printable_name

HOST_NAME = "proc/sys/kernel/hostname"
RELEASE = "proc/sys/kernel/osrelease"
VERSION = "proc/version"
TCP_MEM = "proc/sys/net/ipv4/tcp_mem"
PER_CPU_RESERVE = "proc/sys/net/core/mem_pcpu_rsv"
ZONE_RECLAIM_MODE = "proc/sys/vm/zone_reclaim_mode"
MEM_PROFILING = "proc/sys/vm/mem_profiling"
NR_OPEN = "proc/sys/fs/nr_open"

DEBUG_OPTIONS = ("slub_debug", "slab_debug")
NO_MERGE_OPTIONS = ("slub_nomerge", "slab_nomerge")


class SysctlsSource(Source[Sysctls]):
    """A source that is read once a minute."""

    name = "sysctls"
    paths = (
        HOST_NAME,
        RELEASE,
        VERSION,
        TCP_MEM,
        PER_CPU_RESERVE,
        COMMAND_LINE,
        ZONE_RECLAIM_MODE,
        MEM_PROFILING,
        NR_OPEN,
        NOTES,
    )
    pace = EVERY_MINUTE

    async def read(self, host: Host) -> Reading[Sysctls]:
        """Reads the files that exist; any of them may be missing. The value of an unparsable text is None.

        Any unparsable text is also reported as damage.
        """
        *files, notes = await read_small_files(host, self.paths)
        took_us = sum(file.took_us for file in files) + notes.took_us
        texts = stripped_texts(files)
        build_id = parse_build_id(notes.data or b"")
        damages: list[Damage] = []
        report_unread((*files, notes), "proc/sys", damages)
        if not any(texts.values()) and build_id is None and not has_cut(damages):
            return unread(*explain_error("proc/sys", files[1].error or OSError("empty")), took_us)
        release, banner = texts[RELEASE], _release_in_banner(texts[VERSION])
        architecture = find_architecture(release or banner, texts[VERSION])
        if release and banner and release != banner:
            names = f"{printable_name(release)} in osrelease and {printable_name(banner)} in /proc/version"
            damages.append(Damage("strange", f"two releases of the kernel: {names}"))
            release = banner = ""
        options = {parameter.name for parameter in parse_command_line(texts[COMMAND_LINE])}
        mem_profiling = parse_sysctl(texts, MEM_PROFILING, parse_count, damages)
        [profiling_file] = [file for file in files if file.path == MEM_PROFILING]
        value = Sysctls(
            host_name=printable_name(texts[HOST_NAME]) or None,
            kernel_release=printable_name(release or banner) or None,
            memory_per_cpu_reserve_pages=parse_sysctl(texts, PER_CPU_RESERVE, parse_count, damages),
            tcp_mem=parse_sysctl(texts, TCP_MEM, parse_tcp_mem, damages),
            zone_reclaim_mode=parse_sysctl(texts, ZONE_RECLAIM_MODE, parse_count, damages),
            slab_debug=not options.isdisjoint(DEBUG_OPTIONS),
            build_id=build_id,
            architecture=architecture,
            merges_caches=options.isdisjoint(NO_MERGE_OPTIONS),
            mem_profiling=mem_profiling,
            mem_profiling_is_unread=mem_profiling is None
            and not isinstance(profiling_file.error, (FileNotFoundError, NotADirectoryError)),
            nr_open=parse_sysctl(texts, NR_OPEN, parse_count, damages),
        )
        return make_reading(value, worst_damage(damages), "proc/sys", took_us)


def _release_in_banner(text: str) -> str:
    """The release in /proc/version (fs/proc/version.c, version_proc_show), which prints it as osrelease does."""
    words = text.split() if text.startswith("Linux version ") else []
    return words[2] if len(words) > 2 else ""


def parse_tcp_mem(text: str) -> tuple[int, int, int]:
    """The three thresholds of tcp_mem: min, pressure and max. Raises ValueError if the text is not three numbers."""
    low, pressure, high = parse_longs(text.split())
    return low, pressure, high
