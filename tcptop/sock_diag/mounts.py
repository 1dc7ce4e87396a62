"""Reads the mounts of a mount namespace from a mountinfo file below /proc (fs/proc_namespace.c, show_mountinfo)."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import suppress
from typing import NamedTuple

OWN_MOUNTS = "/proc/self/mountinfo"
MAX_BYTES = 1 << 23
"""Maximum number of bytes that are read from a mountinfo file; enough for about 50 000 mounts."""


class Mount(NamedTuple):
    """One mount."""

    root: str
    """The part of the file system that is mounted: a folder, or the name of a namespace such as `net:[4026532300]`."""
    path: str
    """The folder or file on which the file system is mounted."""
    kind: str
    """Type of the file system."""
    options: str = ""
    """Options of the file system, separated by commas; not those of the mount point."""


def read_mounts(path: str = OWN_MOUNTS) -> Iterator[Mount]:
    """The mounts that a mountinfo file lists; empty if the file cannot be read.

    A line that is not in the format of mountinfo is left out.
    """
    data = b""
    with suppress(OSError), open(path, "rb") as file:
        data = file.read(MAX_BYTES)
    for line in data.split(b"\n")[:-1]:
        start, dash, end = line.partition(b" - ")
        fields, [kind, *source] = start.split(b" "), end.split(b" ")
        if dash and kind and len(fields) > 5:
            options = source[1] if len(source) > 1 else b""
            yield Mount(_text(fields[3]), _text(fields[4]), _text(kind), _text(options))


def _text(field: bytes) -> str:
    r"""Decodes the octal escapes in a field, such as `\040` for a space (fs/seq_file.c, mangle_path)."""
    return os.fsdecode(re.sub(rb"\\([0-3][0-7][0-7])", lambda match: bytes([int(match[1], 8)]), field))
