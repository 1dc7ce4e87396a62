"""/proc/sys, /proc/cmdline and /sys/kernel/notes: host name, kernel release and build, tcp_mem, slab debugging.

In a saved tree without /proc/sys, the kernel release is taken from /proc/version.
"""

from __future__ import annotations

from tcptop.hosts.host import Host
from tcptop.snapshot import Reading, Sysctls
from tcptop.sources.kernel_notes import PATH as NOTES
from tcptop.sources.kernel_notes import parse_build_id
from tcptop.sources.source import EVERY_MINUTE, Damage, Source, explain_error, make_reading, parse_count, unread
from tcptop.text.printable import SMALL_FILE_BYTES, decode_text, printable_name

FILES = (
    "proc/sys/kernel/hostname",
    "proc/sys/kernel/osrelease",
    "proc/version",
    "proc/sys/net/ipv4/tcp_mem",
    "proc/sys/net/core/mem_pcpu_rsv",
    "proc/cmdline",
)

DEBUG_OPTIONS = ("slub_debug", "slab_debug")


class SysctlsSource(Source[Sysctls]):
    """A source read once a minute."""

    name = "sysctls"
    paths = (*FILES, NOTES)
    pace = EVERY_MINUTE

    async def read(self, host: Host) -> Reading[Sysctls]:
        """Reads the files that exist; no single file is required."""
        *files, notes = await host.read(self.paths)
        took_us = sum(file.took_us for file in files) + notes.took_us
        texts = [decode_text(file.data, SMALL_FILE_BYTES).strip() if file.data is not None else "" for file in files]
        kernel_build = parse_build_id(notes.data or b"")
        if not any(texts) and kernel_build is None:
            return unread(*explain_error("proc/sys", files[1].error or OSError("empty")), took_us)
        value, damage = parse(*texts)
        return make_reading(value._replace(build_id=kernel_build), damage, "proc/sys", took_us)


def parse(
    name: str, release: str, version: str, tcp_mem: str, reserve: str, command_line: str = ""
) -> tuple[Sysctls, Damage | None]:
    """Parses the texts. An empty text gives None; an unparsable text, None and damage."""
    damage: Damage | None = None
    if not release and version.startswith("Linux version "):
        release = version.split()[2]
    thresholds: tuple[int, int, int] | None = None
    per_cpu: int | None = None
    try:
        if tcp_mem:
            low, pressure, high = map(parse_count, tcp_mem.split())
            thresholds = (low, pressure, high)
    except ValueError:
        damage = Damage("strange", "net/ipv4/tcp_mem has an unknown format")
    try:
        per_cpu = parse_count(reserve) if reserve else None
    except ValueError:
        damage = Damage("strange", "net/core/mem_pcpu_rsv has an unknown format")
    slab_debug = any(option.partition("=")[0] in DEBUG_OPTIONS for option in command_line.split())
    return Sysctls(
        printable_name(name) or None, printable_name(release) or None, thresholds, slab_debug, per_cpu
    ), damage
