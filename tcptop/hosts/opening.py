"""Opens a path as a host: this machine's root, a saved tree, an archive of one, or a sosreport."""

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
    """The host that reads a folder (a root, a saved tree, a sosreport) or an archive of one.

    Under sudo, a saved tree that does not belong to root alone is read without root's privileges.
    `wanted_paths` are patterns as in `Source.paths`; of an archive, only files that match one of them are kept.

    Raises:
        OSError: with one line in `strerror`, if the path is no such folder or archive.
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
    """A SosreportHost for the tree if the tree is a sosreport, by its name or by a folder in it; otherwise the tree."""
    if not name.startswith(SOSREPORT_NAME_START) and run_sync(tree.list_folder(SOSREPORT_FOLDER)).entries is None:
        return tree
    from tcptop.hosts.sosreport import SosreportHost

    return SosreportHost(tree)
