"""Lab results as named tuples, for the reports. All byte figures are shares of full slabs, per endpoint."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from tcptop.accounting.kmalloc_names import kmalloc_size_bytes
from tcptop.accounting.lab_result import KtlsBytes, ktls_bytes
from tcptop.text import units

NOTABLE_BYTES = 8.0
"""The report mentions an unexplained row, or an observer's objects, only if their bytes reach this minimum."""

BUCKETS = frozenset({"tcp_bind_bucket", "tcp_bind2_bucket"})
SOCKS = frozenset({"TCP", "TCPv6", "tw_sock_TCP", "tw_sock_TCPv6"})
"""The caches of socks and of mini-sockets. Every endpoint is either one sock or one mini-socket."""

MAX_DISTURBANCE = 0.01
"""Maximum disturbance of a reliable result. A result above this maximum is in doubt, and its run is repeated. The lab
promises to mark every figure that may be wrong by more than this share."""
MAX_BLOBS = 4
"""Most objects of one unexpected kmalloc row that may be the kernel's own for each socket."""
MAX_BLOB_ERROR_OBJECTS = 0.01
"""Largest difference from a whole number of such objects for each socket."""


class LabPart(NamedTuple):
    """Objects and bytes that an endpoint holds in one slabinfo row."""

    row: str
    names: tuple[str, ...]
    """The caches whose objects the catalogue predicts in this row. Without a prediction, `names` has all caches that
    share the row."""
    objects: float
    bytes: float
    r2: float
    catalogue_objects: float | None
    """Predicted objects; None if the catalogue predicts no object in this row."""
    catalogue_bytes: float | None


class StateResult(NamedTuple):
    """Result of the run for one state and side.

    In most runs, the figures apply to one endpoint. In the runs `pair` and `few_ports`, figures are the sums for both
    ends of a connection.
    """

    connections: int
    sockets: int
    parts: tuple[LabPart, ...]
    vectors: LabPart | None
    """Memory cgroups' obj_cgroup vectors. `bytes` includes measured vectors only if the catalogue also predicts
    vectors."""
    catalogue_bytes: float
    catalogue_missing: tuple[str, ...]
    """Parts whose size is unknown on this machine. If the size of a part is unknown, `catalogue_bytes` is a lower
    bound."""
    catalogue_counts_vectors: bool
    observer: LabPart
    """Inodes of /proc that exist because a process walks /proc/PID/fd. All other figures of the result exclude inodes
    of /proc.
    """
    control_bytes: float
    """Growth per connection in the control run, which is already subtracted from all other figures."""
    all_rows_bytes: float
    """Upper bound on the bytes of one endpoint in all rows, including vectors."""
    other_programs_bytes: float
    """Growth of all rows minus the sum of `all_rows_bytes`, `control_bytes` and the bytes of `observer`. Negative if
    other programs freed objects."""
    uncertain_bytes: float
    """Largest possible error of the bytes in the catalogued rows. The error is caused by objects of other programs in
    the catalogued rows."""
    local_ports: int
    """Number of local ports that connections shared; 0 in all runs except the run with few ports."""
    other_sockets: int
    """Number of other programs' sockets that were opened or closed during the run; slab rows also count these
    sockets."""
    tls_rows: frozenset[str] = frozenset()
    """Rows in which the endpoints have objects of kernel TLS; the catalogue does not predict these objects."""

    @property
    def bytes(self) -> float:
        """Measured bytes, to compare with `catalogue_bytes`."""
        counted = self.vectors.bytes if self.vectors and self.catalogue_counts_vectors else 0.0
        return sum(part.bytes for part in self.parts) + counted

    @property
    def with_vectors_bytes(self) -> float:
        """Measured bytes with the measured vectors, even if the catalogue predicts no vectors."""
        return sum(part.bytes for part in self.parts) + (self.vectors.bytes if self.vectors else 0.0)

    @property
    def buckets_per_connection(self) -> float:
        """Total number of bind buckets and bind2 buckets, per connection."""
        return sum(part.objects for part in self.parts if BUCKETS & set(part.names))

    @property
    def difference(self) -> float | None:
        """(measured bytes − predicted bytes) ÷ predicted bytes; None without a prediction."""
        return self.bytes / self.catalogue_bytes - 1.0 if self.catalogue_bytes else None

    @property
    def unexplained(self) -> tuple[LabPart, ...]:
        """The parts of unexpected rows.

        A row is unexpected if the catalogue predicts no object in the row, and `tls_rows` does not contain the row.
        """
        return tuple(part for part in self.parts if part.catalogue_objects is None and part.row not in self.tls_rows)

    @property
    def unexplained_bytes(self) -> float:
        """Sum of the bytes of the parts in `unexplained`."""
        return sum(part.bytes for part in self.unexplained)

    @property
    def disturbance(self) -> float:
        """Share of the endpoint's bytes that may be wrong or missing; a run is repeated if this share is large.

        The known bytes are the measured bytes of the expected parts, of the vectors, and of kmalloc rows that are not
        expected but have 1 to MAX_BLOBS whole objects for each socket. Such objects are the kernel's own, as the blob
        of a security module that the catalogue does not know; other programs leave fractions. The disturbance is the
        largest of five shares:

        - (`all_rows_bytes` − known bytes) ÷ known bytes;
        - `uncertain_bytes` ÷ known bytes;
        - number of sockets that other programs opened or closed ÷ number of sockets of the run;
        - `sock_error`;
        - `fraction_bytes` ÷ known bytes.

        If the measurement found no objects of a predicted part, the disturbance is 1.
        """
        if not all(part.objects for part in self.parts):
            return 1.0
        known = self.with_vectors_bytes - sum(part.bytes for part in self.unexplained if not _may_be_a_blob(part))
        unaccounted = max(0.0, self.all_rows_bytes - known) / known if known else 1.0
        uncertain, fractions = (
            amount / known if known else 0.0 for amount in (self.uncertain_bytes, self.fraction_bytes)
        )
        return max(unaccounted, uncertain, fractions, self.other_sockets / self.sockets, self.sock_error)

    @property
    def fraction_bytes(self) -> float:
        """Bytes by which the measured numbers of objects differ from whole numbers.

        An endpoint holds whole inodes and files. If the measured number has a fraction, the run counted objects of
        other programs. For dentries, the difference from the predicted number is used, because another program may
        leave whole dentries behind. Bind buckets are left out, because sockets may share a bucket. Socks are left out,
        because `sock_error` covers the socks.
        """
        return sum(
            abs(part.objects - (part.catalogue_objects if "dentry" in part.names else round(part.objects)))
            * (part.bytes / part.objects)
            for part in self.parts
            if part.objects and part.catalogue_objects and not (BUCKETS | SOCKS) & set(part.names)
        )

    @property
    def sock_error(self) -> float:
        """Relative difference between the measured number of socks and the true number.

        The true number is known without the catalogue, since each socket has exactly one sock. If the measured number
        of socks differs from the true number, the measurement is wrong.
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
        """The reason why the result may be wrong by more than `MAX_DISTURBANCE`; None if the result is not in doubt."""
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


def _may_be_a_blob(part: LabPart) -> bool:
    """True if a kmalloc row has 1 to `MAX_BLOBS` objects for each socket, within `MAX_BLOB_ERROR_OBJECTS`."""
    whole = round(part.objects)
    is_whole = abs(part.objects - whole) <= MAX_BLOB_ERROR_OBJECTS
    return kmalloc_size_bytes(part.row) is not None and 1 <= whole <= MAX_BLOBS and is_whole


class LabResult(NamedTuple):
    """Results of all runs of a lab on one kernel."""

    kernel: str | None
    build_id: str | None
    taken_at_unix_s: float
    """Time at which the lab started."""
    page_size_bytes: int | None
    ipv6: bool
    connections: int
    took_s: float
    results: Mapping[str, StateResult]
    """Result of each run, by the key of the run (`Run.key`), for example `established/accepted`."""
    skipped: Mapping[str, str] = {}
    """Each requested state that this kernel does not support, with the reason."""

    @property
    def ktls(self) -> KtlsBytes | None:
        """Bytes of kernel TLS per socket; None if not measured."""
        return ktls_bytes({key: state.with_vectors_bytes for key, state in self.results.items()})
