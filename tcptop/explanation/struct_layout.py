"""Holes, tail padding and largest members of a struct, as pahole(1) defines them.

All sizes are whole bytes. A byte that a bit-field touches counts as used, even if some bits of the byte are free.
"""

from __future__ import annotations

from typing import NamedTuple

from tcptop.snapshot import StructLayout, StructMember


class Hole(NamedTuple):
    """Unused bytes between two members of a struct, caused by the alignment of the second member."""

    offset_bytes: int
    size_bytes: int


def holes(layout: StructLayout) -> list[Hole]:
    """The holes of a struct, sorted by offset, without the padding after the last member."""
    found: list[Hole] = []
    end_bytes = 0
    for member in sorted(layout.members, key=lambda each: each.offset_bytes):
        if member.size_bytes == 0:  # a zero-size marker, such as __cacheline_group_begin
            continue
        start_bytes = min(member.offset_bytes, layout.size_bytes)
        if start_bytes > end_bytes:
            found.append(Hole(end_bytes, start_bytes - end_bytes))
        end_bytes = max(end_bytes, _end_bytes(member))
    return found


def tail_padding_bytes(layout: StructLayout) -> int:
    """The number of bytes after the last member; for a struct without members, the size of the struct."""
    return layout.size_bytes - max((min(_end_bytes(each), layout.size_bytes) for each in layout.members), default=0)


def largest_members(layout: StructLayout, number: int) -> tuple[StructMember, ...]:
    """The `number` largest members of a struct, the largest first; members of equal size are sorted by offset."""
    return tuple(sorted(layout.members, key=lambda each: (-each.size_bytes, each.offset_bytes))[:number])


WORD_BYTES = 8
USED_WORD, PARTLY_USED_WORD, UNUSED_WORD = "█", "▒", "░"


def word_map(layout: StructLayout) -> str:
    """One sign for each word of eight bytes of a struct: used by members, partly used, or a hole."""
    used = bytearray(layout.size_bytes)
    for member in layout.members:
        end = min(_end_bytes(member), layout.size_bytes)
        used[member.offset_bytes : end] = b"\1" * max(0, end - member.offset_bytes)
    words = [used[start : start + WORD_BYTES] for start in range(0, layout.size_bytes, WORD_BYTES)]
    return "".join(UNUSED_WORD if not any(word) else USED_WORD if all(word) else PARTLY_USED_WORD for word in words)


def _end_bytes(member: StructMember) -> int:
    return member.offset_bytes + member.size_bytes if member.size_bytes else 0
