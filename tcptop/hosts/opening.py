"""Opens a path as a host: this machine's root, a saved tree, an archive of a saved tree, or a sosreport."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Sequence

from tcptop.hosts.folder import FolderHost, is_on_procfs
from tcptop.hosts.host import Host
from tcptop.hosts.run_sync import run_sync
from tcptop.privileges import drop_root_for, find_caller

SOSREPORT_NAME_START = "sosreport-"
SOSREPORT_FOLDER = "sos_commands"


def open_host(path: str, wanted_paths: Sequence[str]) -> Host:
    """The host for a folder (a root, a saved tree, a sosreport) or for an archive of such a folder.

    Under sudo, root's privileges are dropped before a saved tree is read, if users other than root can write to the
    tree. `wanted_paths` are patterns as in `Source.paths`. From an archive, only the files that match one of these
    patterns are kept.

    Raises:
        OSError: if the path is neither a folder nor an archive that tcptop can read; `strerror` gives the reason in one
        line.
    """
    if find_caller() is not None and not is_on_procfs(os.path.join(path, "proc")):  # noqa: PTH118
        drop_root_for(path)
    mode = os.stat(path).st_mode  # noqa: PTH116
    if stat.S_ISREG(mode):
        return _open_archive(path, wanted_paths)
    if not stat.S_ISDIR(mode):
        raise OSError(errno.EINVAL, "neither a folder nor a file")
    folder = FolderHost(path)
    if not os.path.isdir(os.path.join(path, "proc")):  # noqa: PTH112, PTH118
        folder.close()
        raise OSError(errno.ENOENT, "there is no proc folder in it; give the folder that holds proc and sys")
    if folder.identity.live:
        return folder
    name = os.path.basename(os.path.abspath(path))  # noqa: PTH100, PTH119
    return _unwrap_sosreport(name, folder)


def _open_archive(path: str, wanted_paths: Sequence[str]) -> Host:
    # Imported here, because importing the decompressors takes longer than reading this machine's files.
    from tcptop.hosts import sosreport
    from tcptop.hosts.archive import ArchiveHost

    archive = ArchiveHost(path, (*wanted_paths, *sosreport.PATHS))
    return _unwrap_sosreport(archive.top or "", archive)


def _unwrap_sosreport(name: str, tree: Host) -> Host:
    """Returns a SosreportHost for the tree if the tree is a sosreport, otherwise the tree itself.

    A sosreport is recognised by its name, or by a folder inside the sosreport.
    """
    if not name.startswith(SOSREPORT_NAME_START) and run_sync(tree.list_folder(SOSREPORT_FOLDER)).entries is None:
        return tree
    from tcptop.hosts.sosreport import SosreportHost

    return SosreportHost(tree)
