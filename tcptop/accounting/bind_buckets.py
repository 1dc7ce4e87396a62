"""The kernel memory of bind buckets (tcp_bind_bucket) and bind2 buckets (tcp_bind2_bucket), with bounds."""

from tcptop.accounting.cache_table import CacheTable
from tcptop.kernel.objects import BIND2_BUCKET, BIND_BUCKETS
from tcptop.ledger import CacheLine, MemoryPart, SocketCounts


def bind_bucket_parts(table: CacheTable, sockets: SocketCounts, missing: list[str]) -> list[MemoryPart]:
    """The memory of the bind buckets and bind2 buckets; adds the caches whose memory is unknown to `missing`.

    If only bind buckets use a cache, the memory of the whole cache is counted. In a merged cache, the number of bind
    buckets has two upper bounds: the active objects of the cache, and the number of full sockets and mini-sockets. If
    bind buckets and bind2 buckets are merged into one row, at most half of the row's active objects are bind buckets.
    Each port has one bind bucket, and one bind2 bucket for each local address of the port. A port has at least one
    local address. At least one active object of the merged row is a bind bucket, and the others may be bind2 buckets.
    Both kinds together are at most the active objects of the row (`row_max_bytes`).
    The estimated number of buckets supposes that each port has one local address. The estimated memory is half of the
    memory of the estimated number of buckets. Half is the middle between 0 and the upper bound, and the middle
    minimises the largest possible error.
    """
    lines: list[CacheLine] = []
    for item in BIND_BUCKETS:
        lookup = table.find(item)
        if lookup.line is not None and lookup.line.slab_share_bytes is not None:
            lines.append(lookup.line)
        elif lookup.status != "absent":
            missing.append(item.caches[0])
    parts: list[MemoryPart] = []
    rows = [line.row for line in lines]
    for line in lines:
        if line.bytes is not None and not line.aliases:
            parts.append(MemoryPart(line.name, line.row, line.bytes, line.bytes, line.bytes, estimated=False))
            continue
        active = table.row_max_in_use(line)
        if sockets.allocated is None or active is None or sockets.time_wait_machine_max is None:
            missing.append(line.name)
            continue
        most = sockets.allocated + sockets.time_wait_machine_max
        likely = high = min(most, active // rows.count(line.row))
        if rows.count(line.row) > 1 and line.name in BIND2_BUCKET.caches:
            high = min(most, max(0, active - 1))
        share = (line.slab_share_bytes or 0.0) * table.fallback_factor(line.name)
        amounts = round(likely * share) // 2, 0, round(high * share)
        row_max = None if line.row is None else table.row_max_bytes(line.row)
        parts.append(MemoryPart(line.name, line.row, *amounts, estimated=True, row_max_bytes=row_max))
    return parts
