"""What a lab found, as frozen dataclasses that the reports show. Bytes are shares of full slabs, per endpoint."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

NOTABLE_BYTES = 8.0
"""An object that neither the catalogue nor the observer explains is worth a line in the report from here on."""


BUCKETS = frozenset({"tcp_bind_bucket", "tcp_bind2_bucket"})


@dataclass(frozen=True, slots=True)
class LabPart:
    """What an endpoint holds in one slabinfo row."""

    row: str
    names: tuple[str, ...]
    """The caches that the objects are of, by the catalogue; else all that share the row."""
    objects: float
    bytes: float
    r2: float
    catalogue_objects: float | None
    """None where the catalogue has no such object in this state."""
    catalogue_bytes: float | None


@dataclass(frozen=True, slots=True)
class StateResult:
    """What one endpoint of one state and side costs; for `pair` and `few_ports`, both ends together."""

    connections: int
    sockets: int
    parts: tuple[LabPart, ...]
    vectors: LabPart | None
    """Memory cgroups' vectors: in `bytes` only where the catalogue has them too."""
    catalogue_bytes: float
    catalogue_missing: tuple[str, ...]
    """With any, `catalogue_bytes` is a lower bound."""
    catalogue_counts_vectors: bool
    observer: LabPart
    control_bytes: float
    all_rows_bytes: float
    """What endpoints hold in all rows, at most; with vectors."""
    other_programs_bytes: float
    """What else the rows grew by, for each endpoint; below 0 where other programs freed objects."""
    uncertain_bytes: float
    """By how much the known rows may be off, since other programs use them too."""
    local_ports: int
    other_sockets: int
    """By how many the machine's other sockets changed meanwhile."""

    @property
    def bytes(self) -> float:
        """What was measured, to hold against the catalogue."""
        counted = self.vectors.bytes if self.vectors and self.catalogue_counts_vectors else 0.0
        return sum(part.bytes for part in self.parts) + counted

    @property
    def with_vectors_bytes(self) -> float:
        """The same with the vectors in any case."""
        return sum(part.bytes for part in self.parts) + (self.vectors.bytes if self.vectors else 0.0)

    @property
    def buckets_per_connection(self) -> float:
        """Objects of local ports, bind and bind2 buckets together, for each connection."""
        return sum(part.objects for part in self.parts if BUCKETS & set(part.names))

    @property
    def difference(self) -> float | None:
        """How much more was measured than the catalogue says, as a share of that; None without a catalogue's figure."""
        return self.bytes / self.catalogue_bytes - 1.0 if self.catalogue_bytes else None

    @property
    def unexplained(self) -> tuple[LabPart, ...]:
        """The parts that the catalogue does not know."""
        return tuple(part for part in self.parts if part.catalogue_objects is None)

    @property
    def unexplained_bytes(self) -> float:
        """Their sum."""
        return sum(part.bytes for part in self.unexplained)

    @property
    def disturbance(self) -> float:
        """What endpoints may hold beside their known parts, or by what those are in doubt, as a share of the endpoint.

        All of it where a part of the catalogue did not follow the endpoints at all; at least the share of other
        programs' sockets that came or went, which no reading of slabs can tell from the lab's.
        """
        if not all(part.objects for part in self.parts):
            return 1.0
        known = self.with_vectors_bytes - self.unexplained_bytes
        moved = abs(self.all_rows_bytes - known) / known if known else 1.0
        return max(moved, self.uncertain_bytes / known if known else 0.0, self.other_sockets / self.sockets)


@dataclass(frozen=True, slots=True)
class LabResult:
    """Everything that a lab found on one kernel."""

    kernel: str | None
    build_id: str | None
    taken_at_unix_s: float
    """When it began."""
    page_size_bytes: int
    ipv6: bool
    connections: int
    took_s: float
    results: Mapping[str, StateResult]
    """By the key of the run: `established/accepted`."""
