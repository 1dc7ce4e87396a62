"""The parts of bytes per socket in whole bytes, which add up to the figure that they are parts of."""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil, floor, isinf

from tcptop.ledger import Amount, Slice, SocketCost
from tcptop.text import units

IDLE = "idle"
"""Label of the idle part of the average."""


def missing_names(cost: SocketCost) -> tuple[str, ...]:
    """The short names of a socket's parts that are not known."""
    return tuple(name.removeprefix("struct ").partition(" (")[0] for name in cost.missing)


def whole_parts(slices: Sequence[Slice], bounds: Amount | None) -> tuple[Slice, ...]:
    """The parts in whole bytes.

    If the parts add up to the large figure apart from its rounding, the whole bytes add up to the large figure too: the
    parts with the largest fractions are rounded up. The idle part, which stands beside the large figure too, is rounded
    as it is there, if the other parts can make up for it.
    """
    if bounds is None or isinf(bounds.high):
        return tuple(slices)
    shown = round(bounds.low) if bounds.low else ceil(bounds.high - units.ROUNDING_ERROR)
    if abs(shown - sum(part.bytes for part in slices)) > 1:
        return tuple(slices)
    up = None if bounds.low else True
    fixed = {index: round(units.round_bound(part.bytes, up)) for index, part in enumerate(slices) if part.label == IDLE}
    for whole in (fixed, {}):
        parts = [whole.get(index, floor(part.bytes)) for index, part in enumerate(slices)]
        free = [index for index in range(len(parts)) if index not in whole]
        more = shown - sum(parts)
        if 0 <= more <= len(free):
            break
    else:
        return tuple(slices)
    by_fraction = sorted(free, key=lambda index: parts[index] - slices[index].bytes)
    for index in by_fraction[:more]:
        parts[index] += 1
    return tuple(Slice(part.label, whole) for part, whole in zip(slices, parts, strict=True))
