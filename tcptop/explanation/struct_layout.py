"""Holes, tail padding and largest members of a struct, in whole bytes, as pahole(1) reports them.

A byte that a bit-field touches counts as used, even if some of its bits are free.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from tcptop.snapshot import StructLayout, StructMember


class Hole(NamedTuple):
    """Bytes between the members of a struct, left unused by the alignment of the next member."""

    offset_bytes: int
    size_bytes: int
    after: str | None
    """Name of the member before the hole; None at the start of the struct."""


def holes(layout: StructLayout) -> tuple[Hole, ...]:
    """The holes of a struct by offset, without the padding after the last member."""
    return tuple(_find_holes(layout))


def tail_padding_bytes(layout: StructLayout) -> int:
    """The bytes after the last member; all bytes of a struct without members."""
    return layout.size_bytes - max((min(_end_bytes(each), layout.size_bytes) for each in layout.members), default=0)


def largest_members(layout: StructLayout, number: int) -> tuple[StructMember, ...]:
    """The `number` largest members of a struct, the largest first; members of equal size are sorted by offset."""
    return tuple(sorted(layout.members, key=lambda each: (-each.size_bytes, each.offset_bytes))[:number])


def _find_holes(layout: StructLayout) -> Iterator[Hole]:
    end, last = 0, None
    for member in sorted(layout.members, key=lambda each: each.offset_bytes):
        if member.size_bytes == 0:  # a zero-size marker, such as __cacheline_group_begin
            continue
        start = min(member.offset_bytes, layout.size_bytes)
        if start > end:
            yield Hole(end, start - end, last)
        if _end_bytes(member) > end:
            end, last = _end_bytes(member), member.name


def _end_bytes(member: StructMember) -> int:
    return member.offset_bytes + member.size_bytes if member.size_bytes else 0
