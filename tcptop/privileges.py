"""Reads a file without root's privileges if users other than root can write to the file (docs/security.md).

Under sudo, a file is read as root only if the file belongs to root and no other user can write to the file. Every other
file is an untrusted file, and is read with the ids and groups of the user who called sudo. A command that does not need
this machine's kernel files drops root's privileges for good before reading an untrusted file (`drop_root_for`). A
command that needs this machine's kernel files keeps root's privileges, and reads an untrusted file in a child process
(`read_without_root`).
"""

import errno
import os
import stat
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any, NamedTuple

from tcptop.errors import TcptopError
from tcptop.named_files import MAX_LINKS, NO_SUCH_NAME
from tcptop.text.printable import printable, quoted

MAX_ID = (1 << 32) - 2
MAX_TREE_ENTRIES = 200_000
"""Maximum number of files and folders whose owners are checked; a larger tree is read without root's privileges."""
MAX_ANSWER_CHARACTERS = 64 << 20
PR_SET_DUMPABLE, PR_SET_NO_NEW_PRIVS = 4, 38
NOT_FOR_A_REPORT = (
    "tcptop.__main__",
    "tcptop.screen",
    "tcptop.widgets",
    "tcptop.terminal",
    "tcptop.sources.machine_load",
)
IMPORTED_LATE = (
    "_strptime",
    "ctypes",
    "concurrent.futures.thread",
    "encodings.ascii",
    "encodings.latin_1",
    "tomli",
    "tomllib",
)
IMPORTED_LATE_BY_SCREEN = ("textual.pilot", "textual.drivers.headless_driver")
LATE_PACKAGES_OF_SCREEN = ("textual.layouts", "rich._unicode_data")
"""Packages of Textual and Rich whose modules are imported only while the screen runs."""


class Caller(NamedTuple):
    """User who called sudo."""

    uid: int
    gid: int


_dropped: list[str] = []
"""The text added to errors after this process has dropped its privileges; empty before that."""


def find_caller() -> Caller | None:
    """The user who called sudo; None without sudo, if root called sudo, or if this process does not run as root.

    Raises:
        TcptopError: if SUDO_UID or SUDO_GID is not an id.

    """
    if os.geteuid() != 0 or "SUDO_UID" not in os.environ:
        return None
    caller = Caller(_parse_id("SUDO_UID"), _parse_id("SUDO_GID"))
    return None if caller.uid == 0 else caller


def is_strangers(path: str) -> bool:
    """True if a file or tree must be read without root's privileges.

    Under sudo, root's privileges must not be used if users other than root can write to the file or tree.

    Raises:
        OSError: if the file or tree does not exist.
        TcptopError: if SUDO_UID or SUDO_GID is not an id.

    """
    caller = find_caller()
    return caller is not None and not _belongs_to_root(path, caller)


def drop_root_for(*paths: str) -> None:
    """Drops root's privileges for good if users other than root can write to any of the files or trees.

    Raises:
        OSError: if any of the files or trees does not exist.
        TcptopError: if the privileges cannot be dropped.

    """
    for path in paths:
        if is_strangers(path):
            _become_caller(path)
            # After a change of ids, the kernel forbids the process to read its own /proc/self/fd, until the process
            # sets PR_SET_DUMPABLE. For SQLite, named_files.py needs /proc/self/fd.
            _control_process(PR_SET_DUMPABLE)


def read_without_root(path: str, read: Callable[[], Any]) -> Any:  # noqa: ANN401 (any JSON value)
    """Calls `read`, and returns the JSON value that `read` returns.

    If users other than root can write to the file at `path`, `read` runs in a child process without root's privileges.

    Raises:
        OSError: if the file does not exist, or if `read` raises OSError.
        TcptopError: if `read` raises TcptopError, or if the child fails.

    """
    if not is_strangers(path):
        return read()
    import json

    descriptor, child_descriptor = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            try:
                _become_caller(path)
                answer = {"value": read()}
            except OSError as error:
                answer = {"os_error": [error.errno, add_note(error.strerror or "")]}
            except TcptopError as error:
                answer = {"error": add_note(str(error))}
            with open(child_descriptor, "w", encoding="utf-8") as pipe:  # noqa: PTH123
                json.dump(answer, pipe, default=str)
        finally:
            os._exit(0)
    os.close(child_descriptor)
    with open(descriptor, encoding="utf-8") as pipe:  # noqa: PTH123
        text = pipe.read(MAX_ANSWER_CHARACTERS)
    os.waitpid(child, 0)
    try:
        answer = json.loads(text)
    except ValueError:
        raise TcptopError(f"{printable(path)}: the process that read it has failed") from None
    if "os_error" in answer:
        raise OSError(*answer["os_error"])
    if "error" in answer:
        raise TcptopError(answer["error"])
    return answer["value"]


def _belongs_to_root(path: str, caller: Caller) -> bool:
    """True if only root can have written the file or tree at a path.

    Root must own the file, or the tree and everything in the tree. Only root may have the right to write to the file or
    tree. Every folder and link on the path must belong to root or to the caller of sudo. If other users may write to a
    folder on the path, the folder must be sticky, as /tmp is.
    """
    if "\0" in path:
        raise OSError(errno.EINVAL, NO_SUCH_NAME)
    names = (path if path.startswith("/") else f"{os.getcwd()}/{path}").split("/")[::-1]  # noqa: PTH109
    place, links = "/", 0
    while names:
        name = names.pop()
        if name in ("", "."):
            continue
        if name == "..":
            place = os.path.dirname(place)  # noqa: PTH120
            continue
        if not _is_safe_folder(os.lstat(place), caller):
            return False
        status = os.lstat(os.path.join(place, name))  # noqa: PTH118
        if stat.S_ISLNK(status.st_mode):
            links += 1
            if links > MAX_LINKS or status.st_uid not in (0, caller.uid):
                return False
            target = os.readlink(os.path.join(place, name))  # noqa: PTH115, PTH118
            place = "/" if target.startswith("/") else place
            names += target.split("/")[::-1]
        else:
            place = os.path.join(place, name)  # noqa: PTH118
    return all(_is_of_root_alone(status) and count < MAX_TREE_ENTRIES for count, status in enumerate(_statuses(place)))


def add_note(error: str) -> str:
    """The text of an error.

    If dropped privileges may be the cause of the error, the text also says that privileges were dropped.
    """
    return f"{error}{_dropped[0]}" if _dropped and "Permission denied" in error else error


def _parse_id(name: str) -> int:
    text = os.environ.get(name, "")
    if not (text.isascii() and text.isdigit() and len(text) < 11 and int(text) <= MAX_ID):
        raise TcptopError(f"{name}={quoted(text)} is not an id; run tcptop with sudo, or unset it")
    return int(text)


def _is_safe_folder(status: os.stat_result, caller: Caller) -> bool:
    """True if only root and the caller of sudo can replace files in the folder."""
    by_group = status.st_mode & stat.S_IWGRP and status.st_gid not in (0, caller.gid)
    can_write = status.st_mode & stat.S_IWOTH or by_group
    return status.st_uid in (0, caller.uid) and not (can_write and not status.st_mode & stat.S_ISVTX)


def _is_of_root_alone(status: os.stat_result) -> bool:
    is_writable = status.st_mode & (stat.S_IWGRP | stat.S_IWOTH) and not stat.S_ISLNK(status.st_mode)
    return status.st_uid == 0 and not is_writable


def _statuses(place: str) -> Iterator[os.stat_result]:
    """The status of a file; for a folder, also the status of every file and folder below it. Links are not followed."""
    status = os.lstat(place)
    yield status
    for folder, folders, files in os.walk(place) if stat.S_ISDIR(status.st_mode) else ():
        for name in (*folders, *files):
            yield os.lstat(os.path.join(folder, name))  # noqa: PTH118


def _become_caller(path: str) -> None:
    """Takes on the caller's ids and groups for good.

    Raises TcptopError if this process could still become root afterwards.
    """
    caller = find_caller()
    assert caller is not None
    where = f"{printable(path)} does not belong to root alone"
    try:
        os.setgroups(_groups(caller))
        if not _can_read_installation(caller):
            _import_everything()
        os.setresgid(caller.gid, caller.gid, caller.gid)
        os.setresuid(caller.uid, caller.uid, caller.uid)
    except OSError as error:
        raise TcptopError(f"{where}, and tcptop cannot become user {caller.uid}: {error.strerror}") from None
    no_new_privileges = _control_process(PR_SET_NO_NEW_PRIVS)
    is_caller = {*os.getresuid()} == {caller.uid} and {*os.getresgid()} == {caller.gid}
    if not (no_new_privileges and is_caller) or _can_be_root():
        raise TcptopError(f"{where}, and root's privileges cannot be dropped")
    _dropped[:] = [f" (read as user {caller.uid}: {where})"]


def _groups(caller: Caller) -> list[int]:
    """The groups of the caller. If /etc/passwd has no entry for the caller, the only group is the group in SUDO_GID."""
    import pwd

    try:
        return os.getgrouplist(pwd.getpwuid(caller.uid).pw_name, caller.gid)
    except KeyError:
        return [caller.gid]


def _can_read_installation(caller: Caller) -> bool:
    """True if the caller may read the folders in which tcptop and Python are installed.

    On some machines, only root may read the folder of an installed program.
    """
    os.setegid(caller.gid)
    os.seteuid(caller.uid)
    try:
        return all(map(os.listdir, (sys.base_prefix, sys.prefix, os.path.dirname(__file__))))  # noqa: PTH120
    except OSError:
        return False
    finally:
        os.seteuid(0)
        os.setegid(0)


def _import_everything() -> None:
    """Imports the modules needed later, because the files of the modules may be unreadable without root's privileges.

    The modules of the screen are imported only if the screen is in use. The modules of the exporter are imported only
    if the exporter is in use.
    """
    from importlib import import_module
    from pkgutil import walk_packages

    not_needed = ("tcptop.__main__",) if "textual" in sys.modules else NOT_FOR_A_REPORT
    for module in walk_packages([os.path.dirname(__file__)], "tcptop."):  # noqa: PTH120
        if module.name.startswith("tcptop.exporter"):
            if "prometheus_client" in sys.modules:
                with suppress(ImportError):  # tcptop was installed without the extra `web-config`
                    import_module(module.name)
        elif not module.name.startswith(not_needed):
            import_module(module.name)
    late = [*IMPORTED_LATE]
    if "textual" in sys.modules:
        late += IMPORTED_LATE_BY_SCREEN
        for package in LATE_PACKAGES_OF_SCREEN:
            late += [module.name for module in walk_packages(import_module(package).__path__, f"{package}.")]
    for name in late:
        with suppress(ImportError):
            import_module(name)


def _control_process(option: int) -> bool:
    """Sets an option of prctl(2) to 1; False if the kernel refuses."""
    import ctypes

    return bool(ctypes.CDLL(None).prctl(option, 1, 0, 0, 0) == 0)


def _can_be_root() -> bool:
    try:
        os.setuid(0)
    except OSError:
        return False
    return True
