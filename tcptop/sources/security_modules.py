"""/sys/kernel/security/lsm (security/inode.c): which Linux security modules are active.

The file is often missing in containers, because containers rarely mount securityfs. If the file cannot be read, the
program reads other files, which any user may read. Without the file `lsm`, the program finds only those active modules
that keep data for each socket.
"""

from __future__ import annotations

from tcptop.hosts.host import CutFileError, FileRead, Host
from tcptop.snapshot import Reading, SecurityModules
from tcptop.sources.source import (
    EVERY_MINUTE,
    Damage,
    Source,
    explain_error,
    failed_reading,
    make_reading,
    read_small_files,
    small_text,
    unread,
)
from tcptop.text.printable import SMALL_FILE_BYTES, decode_text, printable_name

PATH = "sys/kernel/security/lsm"

FILESYSTEMS = "proc/filesystems"
OWN_FILESYSTEM = {"selinux": "selinuxfs", "smack": "smackfs"}
"""Maps the name of a security module to the file system of the module. The module registers this file system only if
the module was enabled at boot (security/selinux/selinuxfs.c, init_sel_fs, and security/smack/smackfs.c).
"""

MODULES = "sys/module"
APPARMOR = "apparmor"
APPARMOR_ENABLED = f"{MODULES}/{APPARMOR}/parameters/enabled"
"""A file that has Y if AppArmor is enabled, otherwise N (security/apparmor/lsm.c, apparmor_enabled). The file is
missing if the kernel has no AppArmor."""


class SecurityModulesSource(Source[SecurityModules]):
    """A source that is read once a minute.

    The file `lsm` has no final newline. The file is missing if securityfs is not mounted.
    """

    name = "security_modules"
    paths = (PATH, FILESYSTEMS, APPARMOR_ENABLED, f"{MODULES}/")
    pace = EVERY_MINUTE

    async def read(self, host: Host) -> Reading[SecurityModules]:
        """Reads the comma-separated list of active modules. If the list cannot be read, calls `find_by_other_files`.

        The list has no final newline, so a list whose end is lost looks complete. Other files may show active modules
        that the list lacks.
        """
        [file] = await host.read([PATH])
        failed: Reading[SecurityModules] | None = failed_reading(file)
        if failed is not None:
            value, cut, took_us = await find_by_other_files(host)
            if cut is not None and cut.error is not None:
                return unread(*explain_error(cut.path, cut.error), file.took_us + took_us)
            return failed if value is None else make_reading(value, None, PATH, file.took_us + took_us)
        names = decode_text(file.data or b"", SMALL_FILE_BYTES).strip().split(",")
        others = await read_small_files(host, (FILESYSTEMS, APPARMOR_ENABLED))
        took_us = file.took_us + sum(other.took_us for other in others)
        lost = [name for name in _active_by_other_files(*others) if name not in names]
        damage = Damage("strange", f"it lacks {' and '.join(lost)}, which other files show as active") if lost else None
        return make_reading(SecurityModules(tuple(map(printable_name, names))), damage, PATH, took_us)


def _active_by_other_files(filesystems: FileRead, enabled: FileRead) -> list[str]:
    """The modules that the list of file systems and AppArmor's parameter show as active."""
    names = [name for name, filesystem in OWN_FILESYSTEM.items() if filesystem in _registered(filesystems)]
    return [*names, APPARMOR] if (enabled.data or b"").strip() == b"Y" else names


def _registered(filesystems: FileRead) -> set[str]:
    """The names in /proc/filesystems."""
    return {line.split()[-1] for line in (small_text(filesystems) or "").splitlines() if line.strip()}


async def find_by_other_files(host: Host) -> tuple[SecurityModules | None, FileRead | None, int]:
    """Finds the active modules that keep data for each socket, without the file `lsm`.

    Returns the modules, the first file that is cut, and the duration of the reads in us. The modules are None if the
    files do not show which modules are active. The second result is None if all files are complete.
    """
    filesystems, enabled = await read_small_files(host, (FILESYSTEMS, APPARMOR_ENABLED))
    took_us = filesystems.took_us + enabled.took_us
    registered = _registered(filesystems)
    cut = next((file for file in (filesystems, enabled) if isinstance(file.error, CutFileError)), None)
    answer = (enabled.data or b"").strip()
    if isinstance(enabled.error, FileNotFoundError):
        modules = await host.list_folder(MODULES)
        took_us += modules.took_us
        if modules.entries and APPARMOR not in modules.entries:
            answer = b"N"
    # The kernel always registers the file system proc, so a file without proc is not the kernel's list.
    if "proc" not in registered or answer not in (b"Y", b"N"):
        return None, cut, took_us
    names = [name for name, filesystem in OWN_FILESYSTEM.items() if filesystem in registered]
    if answer == b"Y":
        names.append(APPARMOR)
    return SecurityModules(tuple(names)), cut, took_us
