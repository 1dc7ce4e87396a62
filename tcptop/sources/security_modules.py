"""/sys/kernel/security/lsm (security/inode.c): which Linux security modules are active."""

from __future__ import annotations

from tcptop.hosts.host import Host
from tcptop.printable import SMALL_FILE_BYTES, decoded, printable_name
from tcptop.snapshot import Reading, SecurityModules
from tcptop.sources.source import EVERY_MINUTE, Source, failure, reading

PATH = "sys/kernel/security/lsm"


class SecurityModulesSource(Source[SecurityModules]):
    """Once a minute. The file has no line break at its end; it is missing where securityfs is not mounted."""

    name = "security_modules"
    pace = EVERY_MINUTE

    async def read(self, host: Host) -> Reading[SecurityModules]:
        """Reads the comma-separated list."""
        [file] = await host.read([PATH])
        failed: Reading[SecurityModules] | None = failure(file)
        if failed is not None:
            return failed
        names = decoded(file.data or b"", SMALL_FILE_BYTES).strip().split(",")
        return reading(SecurityModules(tuple(map(printable_name, names))), None, PATH, file.took_us)
