"""Lab results as named tuples, for the reports. All byte figures are shares of full slabs, per endpoint."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from tcptop.accounting.lab_result import KtlsBytes, ktls_bytes
from tcptop.text import units

NOTABLE_BYTES = 8.0
"""Least bytes of an unexplained row, or of the observer's objects, that the report mentions in a note."""

BUCKETS = frozenset({"tcp_bind_bucket", "tcp_bind2_bucket"})
SOCKS = frozenset({"TCP", "TCPv6", "tw_sock_TCP", "tw_sock_TCPv6"})
"""Caches of which an endpoint has exactly one object, whatever else it holds."""

MAX_DISTURBANCE = 0.01
"""Largest disturbance of a result without a doubt: the accuracy that the lab promises. A run above it is repeated."""


class LabPart(NamedTuple):
    """Objects and bytes that an endpoint holds in one slabinfo row."""

    row: str
    names: tuple[str, ...]
    """The caches in which the catalogue predicts these objects; without a prediction, all caches that share the row."""
    objects: float
    bytes: float
    r2: float
    catalogue_objects: float | None
    """None if the catalogue predicts no object in this row."""
    catalogue_bytes: float | None


class StateResult(NamedTuple):
    """Result for one endpoint of one state and side; for `pair` and `few_ports`, for both ends together."""

    connections: int
    sockets: int
    parts: tuple[LabPart, ...]
    vectors: LabPart | None
    """Memory cgroups' obj_cgroup vectors; counted in `bytes` only if the catalogue predicts them too."""
    catalogue_bytes: float
    catalogue_missing: tuple[str, ...]
    """Parts whose size is unknown on this machine; if there are any, `catalogue_bytes` is a lower bound."""
    catalogue_counts_vectors: bool
    observer: LabPart
    """Inodes of /proc that exist because a process walks /proc/PID/fd; they are not part of any other figure."""
    control_bytes: float
    """Growth of the control run, subtracted from the other figures."""
    all_rows_bytes: float
    """Upper bound on what an endpoint holds in all rows, vectors included."""
    other_programs_bytes: float
    """Growth of all rows beyond `all_rows_bytes`; below 0 if other programs freed objects."""
    uncertain_bytes: float
    """Error bound on the bytes of catalogued rows, which other programs use too."""
    local_ports: int
    """Local ports that connections shared; 0 in all runs except the run with few ports."""
    other_sockets: int
    """Sockets of other programs that came or went during the run."""
    tls_rows: frozenset[str] = frozenset()
    """Rows in which the endpoints have objects of kernel TLS, for which the catalogue has no prediction."""

    @property
    def bytes(self) -> float:
        """Measured bytes, to compare with `catalogue_bytes`."""
        counted = self.vectors.bytes if self.vectors and self.catalogue_counts_vectors else 0.0
        return sum(part.bytes for part in self.parts) + counted

    @property
    def with_vectors_bytes(self) -> float:
        """Measured bytes, vectors always included."""
        return sum(part.bytes for part in self.parts) + (self.vectors.bytes if self.vectors else 0.0)

    @property
    def buckets_per_connection(self) -> float:
        """Bind and bind2 buckets together, per connection."""
        return sum(part.objects for part in self.parts if BUCKETS & set(part.names))

    @property
    def difference(self) -> float | None:
        """Measured minus predicted bytes, divided by the predicted bytes; None without a prediction."""
        return self.bytes / self.catalogue_bytes - 1.0 if self.catalogue_bytes else None

    @property
    def unexplained(self) -> tuple[LabPart, ...]:
        """The parts in whose rows neither the catalogue nor `tls_rows` expects an object."""
        return tuple(part for part in self.parts if part.catalogue_objects is None and part.row not in self.tls_rows)

    @property
    def unexplained_bytes(self) -> float:
        """Sum of the bytes of `unexplained`."""
        return sum(part.bytes for part in self.unexplained)

    @property
    def disturbance(self) -> float:
        """Share of the endpoint's bytes that may be wrong or missing; a run with a large share is repeated.

        The largest of four shares, where the known bytes are the measured bytes of expected parts and of vectors:

        - what `all_rows_bytes` has beyond the known bytes, relative to the known bytes;
        - the error bound `uncertain_bytes`, relative to the known bytes;
        - the sockets of other programs that came or went, relative to the run's sockets: slab rows count the sockets of
          all programs;
        - `sock_error`.

        The disturbance is 1 if a predicted part did not grow with the endpoints at all.
        """
        if not all(part.objects for part in self.parts):
            return 1.0
        known = self.with_vectors_bytes - self.unexplained_bytes
        unaccounted = max(0.0, self.all_rows_bytes - known) / known if known else 1.0
        uncertain = self.uncertain_bytes / known if known else 0.0
        return max(unaccounted, uncertain, self.other_sockets / self.sockets, self.sock_error)

    @property
    def sock_error(self) -> float:
        """Relative difference between the measured and the true number of socks, which is one for each socket.

        The number of socks is known without the catalogue, so a difference is an error of the measurement.
        """
        return max(
            (
                abs(part.objects / part.catalogue_objects - 1.0)
                for part in self.parts
                if part.catalogue_objects and SOCKS & set(part.names)
            ),
            default=0.0,
        )

    @property
    def doubt(self) -> str | None:
        """The reason why figures may be wrong by more than `MAX_DISTURBANCE`; None if they are not in doubt."""
        gone = [part.row for part in self.parts if not part.objects]
        if gone:
            return f"{', '.join(gone)} did not follow the sockets"
        if self.disturbance <= MAX_DISTURBANCE:
            return None
        if self.sock_error > max(MAX_DISTURBANCE, self.other_sockets / self.sockets):
            return f"the socks counted differ from the sockets by {100 * self.sock_error:.1f} %"
        if self.other_sockets > MAX_DISTURBANCE * self.sockets:
            return f"{units.grouped(self.other_sockets)} sockets of other programs came or went"
        return f"other programs moved the machine's slabs by {100 * self.disturbance:.1f} % of it"


class LabResult(NamedTuple):
    """Results of all runs of a lab on one kernel."""

    kernel: str | None
    build_id: str | None
    taken_at_unix_s: float
    """Start of the lab."""
    page_size_bytes: int | None
    ipv6: bool
    connections: int
    took_s: float
    results: Mapping[str, StateResult]
    """Result of each run, by the key of the run, for example `established/accepted`."""
    skipped: Mapping[str, str] = {}
    """The reason for each state that was asked for and that this kernel does not have."""

    @property
    def ktls(self) -> KtlsBytes | None:
        """Bytes of kernel TLS per socket; None if not measured."""
        return ktls_bytes({key: state.with_vectors_bytes for key, state in self.results.items()})
