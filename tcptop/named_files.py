"""Opens, reads and writes files that the user names.

A program that runs as root must not overwrite a file through another user's link. The program must not wait for a named
pipe, and must not read a device that has no end.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress

from tcptop.errors import TcptopError
from tcptop.text.printable import printable

READ_FLAGS = os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY
"""O_NONBLOCK: opening a named pipe must not block."""
FOLDER_FLAGS = os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
NEW_FLAGS = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC

MAX_LINKS = 40
"""Maximum number of links in a path, as in the kernel (include/linux/namei.h, MAXSYMLINKS)."""
NOT_REGULAR = "not a regular file"
NO_SUCH_NAME = "no file can have such a name"


def open_to_read(path: str) -> int:
    """A descriptor for reading a regular file.

    Raises:
        OSError: if the file does not exist, cannot be read, or is not regular.

    """
    try:
        _check_regular(os.stat(path))  # noqa: PTH116 (first: opening a device may act on it)
        descriptor = os.open(path, READ_FLAGS)
    except ValueError:  # a NUL byte
        raise OSError(errno.EINVAL, NO_SUCH_NAME) from None
    return require_regular(descriptor)


def require_regular(descriptor: int) -> int:
    """Returns the descriptor if its file is regular; otherwise closes the descriptor and raises OSError."""
    try:
        _check_regular(os.fstat(descriptor))
    except OSError:
        os.close(descriptor)
        raise
    return descriptor


def _check_regular(status: os.stat_result) -> None:
    if stat.S_ISDIR(status.st_mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
    if not stat.S_ISREG(status.st_mode):
        raise OSError(errno.EINVAL, NOT_REGULAR)


def read_bytes(path: str, max_bytes: int) -> bytes:
    """The contents of a regular file.

    Raises the same errors as `open_to_read`; also raises OSError if the file is larger than `max_bytes`.
    """
    data = read_start(path, max_bytes + 1)
    if len(data) > max_bytes:
        raise OSError(errno.EFBIG, f"larger than {max_bytes >> 10} KiB")
    return data


def read_start(path: str, max_bytes: int) -> bytes:
    """The first bytes of a regular file, at most `max_bytes`; raises the same errors as `open_to_read`."""
    descriptor = open_to_read(path)
    data = b""
    try:
        # os.read() raises an error if reading a file of /proc would block; read() of a file object would return None.
        while len(data) < max_bytes and (piece := os.read(descriptor, max_bytes - len(data))):
            data += piece
    finally:
        os.close(descriptor)
    return data


def write_bytes(path: str, data: bytes, mode: int | None = None, is_lasting: bool = True) -> None:
    """Replaces or creates a file in one step.

    The file never has only a part of `data`: the file has either the old contents or all of `data`.

    A replaced file keeps its owner if the kernel permits this. A replaced file keeps its mode unless `mode` is given.
    If the path is a link, the target of the link is replaced, not the link. If `is_lasting` is False, a crash of the
    machine may lose the file.

    Raises:
        OSError: if the file cannot be written or is not regular, or if another user's link leads to the file.

    """
    with _open_parent(path) as (folder, name):
        status = _writable_status(folder, name)
        temporary, descriptor = _create_beside(folder, 0o666 if status is None else 0o600)
        try:
            with os.fdopen(descriptor, "wb") as file:
                if status is not None:
                    with suppress(PermissionError):
                        os.fchown(descriptor, status.st_uid, status.st_gid)
                    os.fchmod(descriptor, stat.S_IMODE(status.st_mode) & 0o777)
                if mode is not None:
                    os.fchmod(descriptor, mode)
                file.write(data)
                file.flush()
                if is_lasting:
                    os.fsync(descriptor)
            os.rename(temporary, name, src_dir_fd=folder, dst_dir_fd=folder)
        except BaseException:
            with suppress(OSError):
                os.unlink(temporary, dir_fd=folder)
            raise


def write_new_bytes(path: str, data: bytes) -> None:
    """Writes a new file, which only this user may read.

    Raises:
        FileExistsError: if there is a file or a link at the path, even a link that leads nowhere.
        OSError: if the file cannot be written.

    """
    descriptor = os.open(path, NEW_FLAGS, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
    except OSError:
        with suppress(OSError):
            os.unlink(path)  # noqa: PTH108 (pathlib is not imported elsewhere)
        raise


def check_writable(path: str) -> None:
    """Checks that `write_bytes` can write a file, without creating the file.

    Raises the same errors as `write_bytes`.
    """
    with _open_parent(path) as (folder, name):
        _writable_status(folder, name)


def make_folders(path: str) -> None:
    """Makes a folder and its missing parents, with access for this user only.

    Raises the same errors as `write_bytes`.
    """
    names = path.split("/")
    for count in range(1, len(names) + 1):
        if names[count - 1]:
            with suppress(FileExistsError), _open_parent("/".join(names[:count])) as (folder, name):
                os.mkdir(name, 0o700, dir_fd=folder)


@contextmanager
def new_file(path: str, mode: int, companions: Sequence[str] = ()) -> Iterator[str]:
    """Context manager that makes a new file at a path if the block ends without an exception.

    The block receives the path of an empty temporary file in the same folder, and writes into this file. If the path
    leads to an empty file, the new file replaces the empty file. Companions of an earlier file at the path are removed.
    A companion is a file whose name is the path plus a suffix in `companions`. If the block raises a TcptopError whose
    text contains the temporary path, the error is raised again with `path` instead.

    Raises:
        FileExistsError: if the path leads to a file that is not empty.
        OSError: if the file cannot be created, or if another user's link leads to the file.

    """
    with _open_parent(path) as (folder, name):
        temporary, descriptor = _create_beside(folder, mode)
        os.close(descriptor)
        try:
            with _errors_naming(path, f"/proc/self/fd/{folder}/{temporary}") as place:
                yield place
            is_empty = _is_empty(folder, name)
            if is_empty or not _exists(folder, name):
                for suffix in companions:
                    with suppress(FileNotFoundError):
                        os.unlink(f"{name}{suffix}", dir_fd=folder)
            if is_empty:
                os.rename(temporary, name, src_dir_fd=folder, dst_dir_fd=folder)
            else:
                _link(folder, temporary, name)
        finally:
            with suppress(FileNotFoundError):
                os.unlink(temporary, dir_fd=folder)


@contextmanager
def new_folder(path: str) -> Iterator[str]:
    """Context manager that makes a new folder at a path if the block ends without an exception.

    The block receives the path of an empty temporary folder in the same parent folder, and writes into this folder.
    After an exception, the temporary folder is removed.

    Raises:
        FileExistsError: if there is a file or folder at the path.
        OSError: in the same cases as for `new_file`.

    """
    with _open_parent(path.rstrip("/") or path) as (folder, name):
        if _exists(folder, name):
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST))
        temporary = _free_name()
        os.mkdir(temporary, 0o700, dir_fd=folder)
        try:
            with _errors_naming(path, f"/proc/self/fd/{folder}/{temporary}") as place:
                yield place
            if _exists(folder, name):
                raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST))
            os.rename(temporary, name, src_dir_fd=folder, dst_dir_fd=folder)
        except BaseException:
            import shutil

            shutil.rmtree(f"/proc/self/fd/{folder}/{temporary}", ignore_errors=True)
            raise


@contextmanager
def _errors_naming(path: str, place: str) -> Iterator[str]:
    """Context manager that yields a temporary path; in errors, the temporary path is replaced by the user's path."""
    try:
        yield place
    except TcptopError as error:
        raise TcptopError(str(error).replace(place, printable(path))) from None


def require_own(path: str) -> None:
    """Checks that a file belongs to this user or to root, and that no other user's link leads to the file.

    Raises:
        OSError: if the file does not exist, is not regular or belongs to another user, or if another user's link leads
            to the file.

    """
    with _open_parent(path) as (folder, name):
        status = os.stat(name, dir_fd=folder, follow_symlinks=False)
    _check_regular(status)
    if status.st_uid not in (0, os.geteuid()):
        raise OSError(errno.EPERM, f"it belongs to another user (uid {status.st_uid}); give a new file")


@contextmanager
def _open_parent(path: str) -> Iterator[tuple[int, str]]:
    """Opens the folder that contains a path; yields the folder's descriptor, and the file's name in the folder.

    Links on the path are followed, even if the last name of the path is a link. Raises OSError if another user owns a
    link on the path.
    """
    if "\0" in path:
        raise OSError(errno.EINVAL, NO_SUCH_NAME)
    if not path:
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT))
    names = path.split("/")[::-1]
    folder = os.open("/" if path.startswith("/") else ".", FOLDER_FLAGS)
    links = 0
    try:
        while True:
            name = names.pop()
            is_last = not any(names)
            target = _link_target(folder, name)
            if target is not None:
                links += 1
                if links > MAX_LINKS:
                    raise OSError(errno.ELOOP, os.strerror(errno.ELOOP))
                names += target.split("/")[::-1]
                if target.startswith("/"):
                    folder = _step(folder, "/")
                continue
            if is_last and name not in ("", ".", ".."):
                if names:
                    raise OSError(errno.EISDIR, os.strerror(errno.EISDIR))  # the path ends in `/`
                yield folder, name
                return
            if is_last:
                raise OSError(errno.EISDIR, os.strerror(errno.EISDIR))
            folder = _step(folder, name or ".")
    finally:
        os.close(folder)


def _step(folder: int, name: str) -> int:
    """Opens a subfolder of the open folder `folder`, then closes `folder`."""
    opened = os.open(name, FOLDER_FLAGS, dir_fd=folder)
    os.close(folder)
    return opened


def _link_target(folder: int, name: str) -> str | None:
    """The target of a link; None if the name is not a link.

    Links of the caller of sudo are refused, too. Sudo may let the caller run only this command as root, but a link of
    the caller could lead the command to any file.

    Raises:
        OSError: if the link belongs neither to this user nor to root.

    """
    try:
        link = os.open(name or ".", os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=folder)
    except FileNotFoundError:
        return None
    try:
        status = os.fstat(link)
        if not stat.S_ISLNK(status.st_mode):
            return None
        if status.st_uid not in (0, os.geteuid()):
            raise OSError(
                errno.EPERM, f"{printable(name)} is a link of another user (uid {status.st_uid}); give the file itself"
            )
        return os.readlink("", dir_fd=link)
    finally:
        os.close(link)


def _writable_status(folder: int, name: str) -> os.stat_result | None:
    """The status of a file that may be replaced; None if the file does not exist and may be created.

    Raises OSError if the path leads to something other than a regular file, or if this user has no right to write the
    file.
    """
    try:
        status = os.stat(name, dir_fd=folder, follow_symlinks=False)
    except FileNotFoundError:
        status = None
    if status is not None:
        _check_regular(status)
    place = "." if status is None else name
    if not os.access(place, os.W_OK, dir_fd=folder):
        # access() tells only that it may not be written.
        number = errno.EROFS if _is_on_read_only(folder, place) else errno.EACCES
        raise OSError(number, os.strerror(number))
    return status


def _is_on_read_only(folder: int, name: str) -> bool:
    """True if a file or folder is on a file system, or a mount, that is read-only."""
    descriptor = os.open(name, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=folder)
    try:
        return bool(os.fstatvfs(descriptor).f_flag & os.ST_RDONLY)
    finally:
        os.close(descriptor)


def _link(folder: int, temporary: str, name: str) -> None:
    """Gives a file a second name; raises FileExistsError if the name is in use."""
    try:
        os.link(temporary, name, src_dir_fd=folder, dst_dir_fd=folder, follow_symlinks=False)
    except FileExistsError:
        raise
    except OSError:  # the file system, for example vfat, has no hard links
        if _exists(folder, name):
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST)) from None
        os.rename(temporary, name, src_dir_fd=folder, dst_dir_fd=folder)


def _create_beside(folder: int, mode: int) -> tuple[str, int]:
    temporary = _free_name()
    return temporary, os.open(temporary, NEW_FLAGS, mode, dir_fd=folder)


def _free_name() -> str:
    """A hidden name that cannot be predicted; the caller creates a file with O_EXCL or a folder with mkdir."""
    return f".tcptop-{os.urandom(8).hex()}"


def _exists(folder: int, name: str) -> bool:
    with suppress(FileNotFoundError):
        os.stat(name, dir_fd=folder, follow_symlinks=False)
        return True
    return False


def _is_empty(folder: int, name: str) -> bool:
    """True if the folder has an empty regular file of this name."""
    with suppress(FileNotFoundError):
        status = os.stat(name, dir_fd=folder, follow_symlinks=False)
        return stat.S_ISREG(status.st_mode) and status.st_size == 0
    return False
