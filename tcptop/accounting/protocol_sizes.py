"""Sizes of the socks of each protocol, from /proc/net/protocols, which also has counts that change all the time."""

from functools import lru_cache

from tcptop.recall import Same
from tcptop.snapshot import Protocols

ProtocolSizes = tuple[tuple[str, int], ...]
"""Name of each protocol, which is also the name of its cache, with the size of its socks in bytes."""


def protocol_sizes(protocols: Protocols | None) -> ProtocolSizes:
    """The known sizes, equal for two reads of the file between which only counts changed."""
    return _protocol_sizes(Same(protocols))


@lru_cache(2)  # the file is read seldom
def _protocol_sizes(protocols: Same[Protocols | None]) -> ProtocolSizes:
    by_name = protocols.value.by_name if protocols.value else {}
    return tuple(
        (name, protocol.object_size_bytes)
        for name, protocol in by_name.items()
        if protocol.object_size_bytes is not None
    )
