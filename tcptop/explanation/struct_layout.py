"""What a struct's layout wastes and what fills it, in whole bytes, as pahole finds it.

A byte that a bit-field touches is used, even where bits of it are not.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from tcptop.snapshot import StructLayout, StructMember


class Hole(NamedTuple):
    """Bytes between two members that belong to neither: what alignment costs."""

    offset_bytes: int
    size_bytes: int
    after: str | None
    """The member before it; None at the struct's beginning."""


def holes(layout: StructLayout) -> tuple[Hole, ...]:
    """The holes between members, by offset; not the padding behind the last."""
    return tuple(_find_holes(layout))


def tail_padding_bytes(layout: StructLayout) -> int:
    """What lies behind the last member; all of a struct without any."""
    return layout.size_bytes - max((min(_end_bytes(each), layout.size_bytes) for each in layout.members), default=0)


def largest_members(layout: StructLayout, number: int) -> tuple[StructMember, ...]:
    """So many of the largest members, the largest first, and of equals the one that comes first."""
    return tuple(sorted(layout.members, key=lambda each: (-each.size_bytes, each.offset_bytes))[:number])


def _find_holes(layout: StructLayout) -> Iterator[Hole]:
    end, last = 0, None
    for member in sorted(layout.members, key=lambda each: each.offset_bytes):
        if member.size_bytes == 0:  # a marker of the group that follows
            continue
        start = min(member.offset_bytes, layout.size_bytes)
        if start > end:
            yield Hole(end, start - end, last)
        if _end_bytes(member) > end:
            end, last = _end_bytes(member), member.name


def _end_bytes(member: StructMember) -> int:
    return member.offset_bytes + member.size_bytes if member.size_bytes else 0
