"""/sys/kernel/notes (kernel/ksysfs.c, notes_read): the ELF notes of the kernel, including its build ID."""

from __future__ import annotations

import struct

from tcptop.text.printable import SMALL_FILE_BYTES

PATH = "sys/kernel/notes"

BUILD_ID_TYPE = 3
"""NT_GNU_BUILD_ID (include/uapi/linux/elf.h)."""
OWNER = b"GNU\0"
MAX_BYTES = 64
"""Maximum length of a build ID in bytes: a SHA-1 has 20 bytes, a SHA-512 has 64 bytes."""


def parse_build_id(data: bytes) -> str | None:
    """The GNU build ID in hexadecimal; None if the notes have no build ID. Never raises.

    The notes have the byte order of the machine on which the notes were saved, so both byte orders are tried.
    """
    return _find_build_id(data, "<") or _find_build_id(data, ">")


def _find_build_id(data: bytes, order: str) -> str | None:
    data = data[:SMALL_FILE_BYTES]
    at = 0
    while at + 12 <= len(data):
        name_bytes, content_bytes, kind = struct.unpack_from(f"{order}III", data, at)
        content_at = at + 12 + _aligned(name_bytes)
        content = data[content_at : content_at + content_bytes]
        if len(content) < content_bytes:
            return None
        if kind == BUILD_ID_TYPE and data[at + 12 : at + 12 + name_bytes] == OWNER:
            return content.hex() if 0 < len(content) <= MAX_BYTES else None
        at = content_at + _aligned(content_bytes)
    return None


def _aligned(size: int) -> int:
    return size + 3 & ~3
