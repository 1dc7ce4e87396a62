"""Origin of a sample: the machine, kernel, boot and network namespace where the sample was taken.

Growth is never computed between samples of different origins.
"""

from __future__ import annotations

from typing import NamedTuple

from tcptop.accounting.events import UNKNOWN_COUNTS, EventCounts, event_totals
from tcptop.snapshot import Snapshot


class Origin(NamedTuple):
    """Where a sample was taken, and the figures that reveal another boot. A field is None if its value is unknown."""

    host_name: str | None = None
    kernel_release: str | None = None
    net_namespace: str | None = None
    monotonic_s: float | None = None
    """Time since boot, measured by the clock of the machine that took the sample."""
    totals: EventCounts = UNKNOWN_COUNTS
    """The totals of all event counters; a smaller total shows another boot or another network namespace."""
    net_namespace_id: str | None = None
    boot_id: str | None = None

    @property
    def is_unknown(self) -> bool:
        """True if nothing of the sample could be read; the network namespace is then unknown too."""
        names = (self.host_name, self.kernel_release, *self.totals.values())
        return all(value is None for value in names)


UNKNOWN_ORIGIN = Origin()


def origin_of(snapshot: Snapshot) -> Origin:
    """Finds the origin of a sample."""
    sysctls = snapshot.sysctls.value
    return Origin(
        sysctls.host_name if sysctls else None,
        sysctls.kernel_release if sysctls else None,
        snapshot.net_namespace,
        snapshot.monotonic_s or None,  # monotonic_s is 0 in a saved tree, and in an unreadable sample
        event_totals(snapshot),
        snapshot.net_namespace_id,
        snapshot.boot_id,
    )


def continue_origin(before: Origin, after: Origin) -> Origin | None:
    """The common origin of a sample and of the sample before it; None if the two samples have different origins.

    If a value is unknown in the sample `after`, the last known value is kept.
    """
    if after.is_unknown:
        return before
    if not before.is_unknown and before.net_namespace != after.net_namespace:
        return None
    names = (
        (before.host_name, after.host_name),
        (before.kernel_release, after.kernel_release),
        (before.net_namespace_id, after.net_namespace_id),
        (before.boot_id, after.boot_id),
    )
    if any(None not in pair and pair[0] != pair[1] for pair in names):
        return None
    numbers = [(before.monotonic_s, after.monotonic_s)]
    numbers += [(before.totals[name], total) for name, total in after.totals.items()]
    if any(old is not None and new is not None and new < old for old, new in numbers):
        return None
    return Origin(
        before.host_name if after.host_name is None else after.host_name,
        before.kernel_release if after.kernel_release is None else after.kernel_release,
        after.net_namespace,
        before.monotonic_s if after.monotonic_s is None else after.monotonic_s,
        {name: before.totals[name] if total is None else total for name, total in after.totals.items()},
        before.net_namespace_id if after.net_namespace_id is None else after.net_namespace_id,
        before.boot_id if after.boot_id is None else after.boot_id,
    )
