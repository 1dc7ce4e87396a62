"""Opens a recording of any kind; recognises the kind by the contents, not by the name."""

from __future__ import annotations

import os
import stat

from tcptop.errors import TcptopError
from tcptop.named_files import read_start
from tcptop.privileges import drop_root_for
from tcptop.recording.exported_folder import LIST_NAME, ExportedFolder
from tcptop.recording.reader import FileRecording
from tcptop.recording.recording import Recording
from tcptop.recording.saved_tree import SavedTree
from tcptop.recording.sqlite_file import HEADER_BYTES, errors_in_one_line, file_status, is_sqlite
from tcptop.text.printable import printable

ACCEPTED = "a file of tcptop record, a folder that holds proc and sys, an archive of one, or an export of tcptop"


def open_recording(path: str) -> Recording:
    """Opens the recording at a path.

    Under sudo, root's privileges are dropped first if users other than root can write to the recording.

    Raises:
        TcptopError: if the path does not exist, cannot be read, or is not a recording.

    """
    with errors_in_one_line(path):
        journal = f"{path}-journal"
        file_status(path)
        drop_root_for(path, *([journal] if os.path.lexists(journal) else []))
        mode = file_status(path).st_mode
        if stat.S_ISDIR(mode):
            return _open_folder(path)
        if stat.S_ISREG(mode):
            return _open_regular_file(path)
    raise TcptopError(f"{printable(path)}: neither a file nor a folder; give {ACCEPTED}")


def _open_folder(path: str) -> Recording:
    os.listdir(path)  # noqa: PTH208 (raises the error of a folder that may not be read)
    if os.path.isdir(os.path.join(path, "proc")):  # noqa: PTH112, PTH118
        return SavedTree(path)
    if os.path.isfile(os.path.join(path, LIST_NAME)):  # noqa: PTH113, PTH118
        return ExportedFolder(path)
    raise TcptopError(f"{printable(path)}: holds no recording; give {ACCEPTED}")


def _open_regular_file(path: str) -> Recording:
    if is_sqlite(read_start(path, HEADER_BYTES)):
        return FileRecording(path)
    return SavedTree(path)
