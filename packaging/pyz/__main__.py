"""Starts tcptop from one file. Its packages, two of them compiled, are unpacked once below the user's own cache."""

import os
import stat
import sys
from importlib.machinery import EXTENSION_SUFFIXES
from pathlib import Path

from pyz_target import NEEDS, SUFFIX

ARCHIVE = Path(__file__).absolute().parent


def stop(text: str) -> None:
    """Prints one line and ends the program."""
    sys.exit(f"{ARCHIVE.name}: {text}")


def cache_folder() -> Path:
    """The folder below the cache of the user with the rights of this process, made if it is not there."""
    base = os.environ.get("XDG_CACHE_HOME", "")
    if not base.startswith("/"):
        import pwd  # not $HOME, which sudo may leave to the caller

        base = f"{pwd.getpwuid(os.geteuid()).pw_dir}/.cache"
    folder = Path(base).resolve() / "tcptop"
    folder.parent.mkdir(0o700, parents=True, exist_ok=True)
    folder.mkdir(0o700, exist_ok=True)
    stop_if_not_own(folder)
    return folder


def stop_if_not_own(folder: Path) -> None:
    """Ends the program if another user owns a folder, may write to it, or could put another one in its place."""
    user = os.geteuid()
    found = folder.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != user or found.st_mode & 0o077:
        stop(f"{folder} is not a folder of user {user} alone; remove it, or set XDG_CACHE_HOME")
    for above in folder.parents:
        found = above.stat()
        if found.st_uid not in (0, user) or (found.st_mode & 0o022 and not found.st_mode & stat.S_ISVTX):
            stop(f"others than user {user} may write to {above}; set XDG_CACHE_HOME to a folder that is yours alone")


def unpacked() -> Path:
    """The folder with the packages of this very file."""
    import hashlib

    folder = cache_folder() / hashlib.sha256(ARCHIVE.read_bytes()).hexdigest()[:32]
    if not folder.is_dir():
        import shutil
        import tempfile
        from zipfile import ZipFile

        place = Path(tempfile.mkdtemp(dir=str(folder.parent)))
        try:
            with ZipFile(str(ARCHIVE)) as archive:
                archive.extractall(str(place))
            place.rename(folder)
        except OSError:
            shutil.rmtree(str(place), ignore_errors=True)
            if not folder.is_dir():  # another start was faster
                raise
    return folder


def main() -> None:
    """Runs tcptop, or says in one line why it does not."""
    if SUFFIX not in EXTENSION_SUFFIXES:
        here = f"Python {sys.version_info[0]}.{sys.version_info[1]} ({EXTENSION_SUFFIXES[0]})"
        stop(f"needs {NEEDS} ({SUFFIX}), and this is {here}")
    try:
        sys.path[0] = str(unpacked())
    except (OSError, KeyError) as error:
        stop(f"cannot unpack below the user's cache: {error}; set XDG_CACHE_HOME to a folder of your own")
    from tcptop.__main__ import main as run

    run()


main()
