"""What was found in the BTF of this machine's kernel, kept below the user's cache folder from one start to the next.

Each file is `btf-<build id>-<what was looked for>.json`. Whatever goes wrong here, the BTF itself is read instead.
"""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Collection, Iterator
from contextlib import contextmanager, suppress
from typing import Any
from zlib import crc32

from tcptop.snapshot import Btf, StructLayout, StructMember
from tcptop.text.printable import printable

SCHEMA = 1
"""To be raised with every change of what a layout holds or how its members are named."""

FOLDER = "tcptop"
MAX_BYTES = 4 << 20
MAX_NUMBER = 1 << 32
MAX_MEMBERS = 10_000
"""Of one struct with those in it: far more than the kernel has in one, and an end to what a hostile tree may hold."""
MAX_NAME_CHARACTERS = 4_000

OPEN = os.O_CLOEXEC | os.O_NOFOLLOW


def load(build_id: str, structs: Collection[str]) -> Btf | None:
    """What was kept for this build of the kernel and these structs; None where that is nothing that can be trusted."""
    try:
        with _folder() as folder:
            descriptor = os.open(file_name(build_id, structs), os.O_RDONLY | os.O_NONBLOCK | OPEN, dir_fd=folder)
            with os.fdopen(descriptor, "rb") as file:
                if not stat.S_ISREG(_own(descriptor)):
                    return None
                data = file.read(MAX_BYTES + 1)
        return from_json(data, build_id, structs) if len(data) <= MAX_BYTES else None
    except (OSError, ValueError, RecursionError):
        return None


def store(build_id: str, structs: Collection[str], btf: Btf) -> None:
    """Keeps what was found, if that can be done; a reader sees the whole file or none."""
    name = file_name(build_id, structs)
    passing = f".{name}.{os.urandom(4).hex()}"
    with suppress(OSError), _folder(make=True) as folder:
        try:
            descriptor = os.open(passing, os.O_WRONLY | os.O_CREAT | os.O_EXCL | OPEN, 0o600, dir_fd=folder)
            with os.fdopen(descriptor, "wb") as file:
                file.write(to_json(build_id, structs, btf))
            os.rename(passing, name, src_dir_fd=folder, dst_dir_fd=folder)
        except OSError:
            with suppress(FileNotFoundError):
                os.unlink(passing, dir_fd=folder)
            raise


def file_name(build_id: str, structs: Collection[str]) -> str:
    """Another schema, or other structs to look for, make another file; what is in it says so in full."""
    asked = "\0".join([str(SCHEMA), *sorted(structs)])
    return f"btf-{build_id}-{crc32(asked.encode()):08x}.json"


def to_json(build_id: str, structs: Collection[str], btf: Btf) -> bytes:
    """The layouts as text."""
    layouts = [
        [
            layout.name,
            layout.size_bytes,
            layout.has_free_pointer,
            [[each.name, each.offset_bytes, each.size_bytes, each.bits] for each in layout.members],
        ]
        for layout in btf.structs.values()
    ]
    kept = {"schema": SCHEMA, "build_id": build_id, "asked": sorted(structs), "layouts": layouts}
    return json.dumps(kept, separators=(",", ":")).encode()


def from_json(data: bytes, build_id: str, structs: Collection[str]) -> Btf:
    """The layouts of that text.

    Raises:
        ValueError: for anything that `to_json` does not give for this build and these structs.
        RecursionError: for a text that is nested without end.

    """
    kept = json.loads(data)
    if not isinstance(kept, dict) or kept.keys() != {"schema", "build_id", "asked", "layouts"}:
        raise ValueError("not a kept BTF")
    if (kept["schema"], kept["build_id"], kept["asked"]) != (SCHEMA, build_id, sorted(structs)):
        raise ValueError("kept for something else")
    layouts = [_layout(*_fields(each, 4)) for each in _list(kept["layouts"], len(structs))]
    found = {layout.name: layout for layout in layouts}
    if not found or len(found) < len(layouts) or not found.keys() <= set(structs):
        raise ValueError("other structs than were asked for")
    return Btf(found)


def _layout(name: Any, size: Any, has_free_pointer: Any, members: Any) -> StructLayout:  # noqa: ANN401 (JSON)
    if not isinstance(has_free_pointer, bool):
        raise ValueError("neither true nor false")
    found = tuple(_member(*_fields(each, 4)) for each in _list(members, MAX_MEMBERS))
    return StructLayout(_name(name), _number(size), found, has_free_pointer)


def _member(name: Any, offset: Any, size: Any, bits: Any) -> StructMember:  # noqa: ANN401 (JSON)
    return StructMember(_name(name), _number(offset), _number(size), None if bits is None else _number(bits))


def _fields(found: Any, length: int) -> list[Any]:  # noqa: ANN401 (JSON)
    if len(_list(found, length)) != length:
        raise ValueError("another number of fields")
    return _list(found, length)


def _list(found: Any, most: int) -> list[Any]:  # noqa: ANN401 (JSON)
    if not isinstance(found, list) or len(found) > most:
        raise ValueError("no list, or too long a one")
    return found


def _name(found: Any) -> str:  # noqa: ANN401 (JSON)
    if not isinstance(found, str) or len(found) > MAX_NAME_CHARACTERS or printable(found) != found:
        raise ValueError("no name")
    return found


def _number(found: Any) -> int:  # noqa: ANN401 (JSON)
    if not isinstance(found, int) or isinstance(found, bool) or not 0 <= found < MAX_NUMBER:
        raise ValueError("no number")
    return found


@contextmanager
def _folder(make: bool = False) -> Iterator[int]:
    """A descriptor of tcptop's folder; raises OSError where there is none, or where another user may write into it."""
    base = os.environ.get("XDG_CACHE_HOME", "").rstrip("/")
    if not base.startswith("/"):  # as the XDG base directory specification has it
        base = os.path.expanduser("~/.cache")  # noqa: PTH111 (pathlib raises another error without a home)
    parent = os.open(os.path.dirname(base), os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)  # noqa: PTH120
    opened = [parent]
    try:
        for name in (os.path.basename(base), FOLDER):  # noqa: PTH119
            # Root, called from another user's home, makes no folder there and follows no link of that user's.
            above_is_own = os.fstat(opened[-1]).st_uid == os.geteuid()
            if make and above_is_own:
                with suppress(FileExistsError):
                    os.mkdir(name, 0o700, dir_fd=opened[-1])
            may_be_link = above_is_own and name != FOLDER
            flags = os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC | (0 if may_be_link else os.O_NOFOLLOW)
            opened.append(os.open(name, flags, dir_fd=opened[-1]))
            _own(opened[-1])
        yield opened[-1]
    finally:
        for descriptor in opened:
            os.close(descriptor)


def _own(descriptor: int) -> int:
    """The mode of what only this user may write; raises PermissionError for anything else."""
    status = os.fstat(descriptor)
    if status.st_uid != os.geteuid() or status.st_mode & 0o022:
        raise PermissionError
    return status.st_mode
