"""From a path to a host: a saved tree in whatever wrapping, or this machine's own root."""

from __future__ import annotations

import errno
import os
import stat

from tcptop.hosts.folder import FolderHost
from tcptop.hosts.host import Host
from tcptop.hosts.saved_by_sos import is_sosreport


def open_host(path: str) -> Host:
    """The host whose files are in a folder (a root, a saved tree, a sosreport) or in an archive of one.

    Raises:
        OSError: with one line in its `strerror`, where there is no such thing.
    """
    mode = os.stat(path).st_mode  # noqa: PTH116
    if stat.S_ISREG(mode):
        return _in_archive(path)
    if not stat.S_ISDIR(mode):
        raise OSError(errno.EINVAL, "neither a folder nor a file")
    folder = FolderHost(path)
    if not os.path.isdir(os.path.join(path, "proc")):  # noqa: PTH112, PTH118
        folder.close()
        raise OSError(errno.ENOENT, "there is no proc folder in it; give the folder that holds proc and sys")
    if folder.identity.live:
        return folder
    name = os.path.basename(os.path.abspath(path))  # noqa: PTH100, PTH119
    return _as_sosreport(folder) if is_sosreport(name, folder) else folder


def _in_archive(path: str) -> Host:
    """Imported only where it is needed: what unpacks costs more than a look at this machine's own files."""
    from tcptop.hosts.archive import ArchiveHost

    archive = ArchiveHost(path)
    return _as_sosreport(archive) if is_sosreport(archive.top, archive) else archive


def _as_sosreport(tree: Host) -> Host:
    from tcptop.hosts.sosreport import SosreportHost

    return SosreportHost(tree)
