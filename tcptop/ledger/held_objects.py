"""The objects that the machine's sockets hold, and those attached to sockets by programs, firewall and traffic."""

from typing import Literal, NamedTuple

from tcptop.ledger.amount import Amount

AttachedName = Literal["epoll", "conntrack", "ktls", "buffers"]


class AttachedObjects(NamedTuple):
    """Attached objects of one kind: objects of a socket that are not part of the socket's cost in any TCP state.

    The number of these objects depends on the program that uses the socket, on the firewall rules, and on the traffic.
    """

    name: AttachedName
    counted: str
    """The things that `number` counts, in the plural."""
    number: Amount | None
    bytes: Amount | None
    """Bytes of all these objects on the machine.

    For buffers, all their memory is counted, whether in slabs or not. For objects of any other kind, their shares of
    full slabs are counted.
    """
    bytes_per_socket: Amount | None
    """`bytes` ÷ number of sockets of the machine; None if no average over the sockets is known."""
    unknown_because: str | None
    """Reason why `bytes` is None; None if `bytes` is known."""
    note: str

    @property
    def may_exist(self) -> bool:
        """Whether the machine has such objects, or may have some."""
        return self.bytes is None or self.bytes.high > 0


class Attached(NamedTuple):
    """The attached objects of every kind, and the present average bytes per socket including these objects."""

    kinds: tuple[AttachedObjects, ...]
    now_bytes: Amount | None
    """Average bytes per socket; None if no average is known.

    The sum of `ConnectionCost.now_bytes` in full accounting and the `bytes_per_socket` of each kind. If the bytes of a
    kind are unknown, the upper bound of this sum is infinite.
    """


HeldName = Literal["socks", "files", "inodes", "local ports", "request socks", "mini-sockets"]


class HeldPart(NamedTuple):
    """One struct of the objects of one kind (`HeldObjects`), or the memory cgroup vectors of their slabs."""

    object: str
    """`KernelObject.struct`."""
    family: Literal["ipv4", "ipv6"] | None
    """Address family whose sockets hold the object; None if both families hold it."""
    vector_cache: str | None
    """The kmalloc cache of memory cgroup vectors; None for other objects."""
    rows: tuple[str, ...]
    """Names of the slabinfo rows that may count the objects; empty if unknown."""
    number: Amount
    """Bounds on the number of objects or, for vectors, of objects that share them."""
    unit_bytes: Amount | None
    """Bounds on the share that one object has of a full slab; None if unknown."""
    fallback: float
    """The share of the present slabs ÷ the share of a full slab; above 1 after order fallback."""


class HeldObjects(NamedTuple):
    """The objects of one kind that all TCP sockets of the machine hold.

    `files` are files with their inodes and dentries; `inodes` are inodes of sockets without a file.
    """

    name: HeldName
    number: Amount
    """Bounds on the number; of local ports only the upper bound is known."""
    parts: tuple[HeldPart, ...]
