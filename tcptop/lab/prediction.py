"""Uses the catalogue to predict the objects and bytes of an endpoint in each slabinfo row.

The lab compares its measurements with the prediction. `tcptop` also shows the prediction in reports for this machine.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from tcptop.accounting.cache_table import CacheTable
from tcptop.accounting.kmalloc_names import kmalloc_size_bytes
from tcptop.accounting.socket_cost import IPV4, IPV6, socket_cost
from tcptop.accounting.state_costs import unread_fin_parts
from tcptop.hosts.host import Host
from tcptop.kernel.objects import (
    BIND2_BUCKET,
    BIND_BUCKET,
    CGROUP_VECTORS,
    DENTRY,
    FILE,
    LSM_INODE_BLOB,
    REQUEST6_SOCK,
    REQUEST_SOCK,
    SK_BUFF,
    SKB_HEAD,
    SOCKET_ALLOC,
    TCP6_SOCK,
    TCP_SOCK,
    TW6_SOCK,
    TW_SOCK,
    KernelObject,
    State,
)
from tcptop.lab.fit import OBSERVER_ROW, RelatedRows, RowShape
from tcptop.lab.runs import WatchedRows
from tcptop.lab.vectors import VECTORS
from tcptop.ledger import ObjectCost, SocketCost
from tcptop.sampling.sampler import Sampler, read_due
from tcptop.sampling.source_list import kernel_sources
from tcptop.snapshot import Snapshot

WATCHED_OBJECTS = (
    TCP_SOCK,
    TCP6_SOCK,
    SOCKET_ALLOC,
    TW_SOCK,
    TW6_SOCK,
    BIND_BUCKET,
    BIND2_BUCKET,
    REQUEST_SOCK,
    REQUEST6_SOCK,
)
"""Types of objects whose counts show that the kernel has finished allocating and freeing sockets."""


@dataclass(slots=True)
class PredictedRow:
    """Objects and bytes that the catalogue predicts in one slabinfo row."""

    objects: float = 0.0
    bytes: float = 0.0
    names: list[str] = field(default_factory=list)

    def add(self, name: str, objects: float, amount: float) -> None:
        """Adds the objects and bytes of one cache."""
        self.objects += objects
        self.bytes += amount
        if name not in self.names:
            self.names.append(name)


class Prediction(NamedTuple):
    """The prediction for one state, either for one endpoint or for both ends of a connection.

    Bytes are shares of full slabs.
    """

    rows: Mapping[str, PredictedRow]
    """Predicted objects and bytes by slabinfo row, without vectors."""
    missing: tuple[str, ...]
    """Names of the parts whose size is unknown on this machine."""
    vectors: Mapping[str, PredictedRow]
    """Memory cgroups' obj_cgroup vectors, by kmalloc row."""

    @property
    def all_vectors(self) -> PredictedRow | None:
        """The sum of the vectors of all kmalloc rows; None if there are no vectors."""
        rows = self.vectors.values()
        objects, amount = sum(row.objects for row in rows), sum(row.bytes for row in rows)
        return PredictedRow(objects, amount, [VECTORS]) if rows else None

    @property
    def bytes(self) -> float:
        """Sum of the bytes of all rows and vectors."""
        return sum(row.bytes for row in (*self.rows.values(), *self.vectors.values()))


class Predictor:
    """Predicts the slab memory of IPv4 endpoints or of IPv6 endpoints, from a snapshot of this machine."""

    def __init__(self, snapshot: Snapshot, ipv6: bool) -> None:
        self.snapshot = snapshot
        self.table = CacheTable(snapshot, snapshot.page_size_bytes)
        self._mix = IPV6 if ipv6 else IPV4

    def predict_endpoint(self, state: State, owns_port: bool) -> Prediction:
        """Predicts one endpoint in a state; the prediction for CLOSE_WAIT includes the sk_buff of the unread FIN."""
        costs = [socket_cost(self.snapshot, self.table, state, self._mix, owns_port)]
        fin = unread_fin_parts(self.snapshot, self.table) if state is State.CLOSE_WAIT else []
        return self._predict(costs, fin)

    def predict_pair(self, state: State, ports_per_connection: float = 1.0) -> Prediction:
        """Predicts both ends of a connection.

        Args:
            state: the state of both ends.
            ports_per_connection: the number of local ports divided by the number of connections. `ports_per_connection`
                is below 1 if several connections share a local port and the port's bind buckets.

        """
        accepted, outgoing = (
            socket_cost(self.snapshot, self.table, state, self._mix, owns_port) for owns_port in (False, True)
        )
        predicted = self._predict([accepted, outgoing])
        for bucket in (BIND_BUCKET, BIND2_BUCKET):
            line = self.table.find(bucket).line
            if line is not None and line.row is not None and line.row in predicted.rows:
                shared = 1.0 - ports_per_connection
                predicted.rows[line.row].objects -= shared
                predicted.rows[line.row].bytes -= shared * (line.slab_share_bytes or 0.0)
                self._remove_vectors(predicted, line.row, shared)
        return predicted

    def _remove_vectors(self, predicted: Prediction, row: str, objects: float) -> None:
        """Removes from a prediction the vectors that a number of objects in the row (`objects`) need."""
        row_shapes = self.row_shapes()
        vector_row = self.related_rows().vector_row(row_shapes[row])
        if vector_row is not None and vector_row in predicted.vectors:
            vectors = predicted.vectors[vector_row]
            count = min(vectors.objects, objects / row_shapes[row].objects_per_slab)
            vectors.bytes = max(0.0, vectors.bytes - count * row_shapes[vector_row].share_bytes)
            vectors.objects -= count

    def row_shapes(self) -> dict[str, RowShape]:
        """Slab size and objects per slab of every slabinfo row."""
        page_bytes = self.snapshot.page_size_bytes or 0
        return {
            line.name: RowShape(line.objects_per_slab or 0, (line.pages_per_slab or 0) * page_bytes)
            for line in self.table.lines
            if line.name == line.row
        }

    def related_rows(self) -> RelatedRows:
        """The rows whose counts depend on the counts of other rows (see `RelatedRows` in fit.py)."""
        kmalloc: dict[int, str] = {}
        for name in self.row_shapes():
            size = kmalloc_size_bytes(name)
            if size is not None and "-rnd-" not in name:
                kmalloc[size] = name
        return RelatedRows(dentry=self._row(DENTRY), inode_blob=self._row(LSM_INODE_BLOB), kmalloc=kmalloc)

    def watched_rows(self) -> WatchedRows:
        """The rows that a run watches: the rows of `WATCHED_OBJECTS`, the row of files, and `OBSERVER_ROW`."""
        return WatchedRows(
            settling=self._rows((*WATCHED_OBJECTS, FILE)) | {OBSERVER_ROW},
            releasing=self._rows(each for each in WATCHED_OBJECTS if each.tcp_only),
            mini_sockets=self._rows((TW_SOCK, TW6_SOCK)),
        )

    def tls_rows(self) -> frozenset[str]:
        """The rows that may hold objects of kernel TLS: all kmalloc rows, and the rows of sk_buffs and sk_buff heads.

        Since kernel 6.0, the parser on the receiving side keeps an empty sk_buff (net/tls/tls_strp.c, tls_strp_init).
        """
        kmalloc = {row for row in self.row_shapes() if kmalloc_size_bytes(row) is not None}
        return self._rows((SK_BUFF, SKB_HEAD)) | kmalloc

    def cache_names(self, row: str) -> list[str]:
        """The name of the row itself, and the names of all other caches that are merged into the row."""
        line = self.table.get(row)
        return [row, *line.aliases] if line else [row]

    def _row(self, kernel_object: KernelObject) -> str | None:
        line = self.table.find(kernel_object).line
        return line.row if line else None

    def _rows(self, kernel_objects: Iterable[KernelObject]) -> frozenset[str]:
        return frozenset(filter(None, map(self._row, kernel_objects)))

    def _predict(self, costs: Sequence[SocketCost], more_parts: Sequence[ObjectCost] = ()) -> Prediction:
        rows: dict[str, PredictedRow] = {}
        vectors: dict[str, PredictedRow] = {}
        missing: dict[str, None] = {}
        for each in costs:
            missing.update(dict.fromkeys(each.missing))
        for part in (*(part for each in costs for part in each.parts), *more_parts):
            line = self.table.get(part.cache)
            row = (line.row if line else None) or part.cache
            into = vectors if part.object == CGROUP_VECTORS.struct else rows
            into.setdefault(row, PredictedRow()).add(part.cache, part.count, part.slab_bytes or 0.0)
        return Prediction(rows, tuple(missing), vectors)


def read_predictor(host: Host, ipv6: bool) -> Predictor:
    """Reads all sources of a host once, and returns a predictor that uses no saved lab result."""
    sampler = Sampler(host, kernel_sources())
    read_due(sampler)
    return Predictor(sampler.snapshot(), ipv6)
