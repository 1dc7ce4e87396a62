"""Objects that the machine's sockets hold, and objects that programs, the firewall and traffic attach to sockets."""

from typing import Literal, NamedTuple

from tcptop.ledger.amount import Amount

AttachedName = Literal["epoll", "conntrack", "ktls", "buffers"]


class AttachedObjects(NamedTuple):
    """Attached objects of one kind.

    In every TCP state, the cost of a socket is computed without attached objects. The number of attached
    objects depends on the program that uses the socket, on the firewall rules, and on the traffic.
    """

    name: AttachedName
    counted: str
    """Plural noun for the objects that `number` counts."""
    number: Amount | None
    bytes: Amount | None
    """Bytes of all objects of this kind on the whole machine.

    For buffers, `bytes` is the memory of all buffers, inside and outside of slabs. For every kind except buffers,
    `bytes` is the sum of the objects' shares of full slabs.
    """
    bytes_per_socket: Amount | None
    """`bytes` ÷ the number of sockets of the machine; None if no average over the sockets is known."""
    unknown_because: str | None
    """The reason why `bytes` is None; None if `bytes` is known."""
    note: str

    @property
    def may_exist(self) -> bool:
        """True if the machine has objects of this kind, or may have some."""
        return self.bytes is None or self.bytes.high > 0


class Attached(NamedTuple):
    """The attached objects of every kind, and the present average bytes per socket including these objects."""

    kinds: tuple[AttachedObjects, ...]
    now_bytes: Amount | None
    """Average bytes per socket; None if no average is known.

    The average is `ConnectionCost.now_bytes` in full accounting plus `bytes_per_socket` of each kind. If the bytes of a
    kind are unknown, the upper bound of the average is infinite.
    """


HeldName = Literal["socks", "files", "inodes", "local ports", "request socks", "mini-sockets"]


class HeldPart(NamedTuple):
    """One struct, or the memory cgroup vectors for one struct, in the objects of one kind (`HeldObjects`).

    For example, the kind `files` has parts for the file, its inode and its dentry.
    """

    object: str
    """`KernelObject.struct`."""
    family: Literal["ipv4", "ipv6"] | None
    """Address family whose sockets hold the object; None if both families hold it."""
    vector_cache: str | None
    """The kmalloc cache of memory cgroup vectors; None for other objects."""
    rows: tuple[str, ...]
    """Names of the rows of slabinfo that may count the objects; empty if unknown."""
    number: Amount
    """Bounds on the number of objects. For vectors, bounds on the number of objects in the slabs that have the
    vectors."""
    unit_bytes: Amount | None
    """Bounds on one object's share of a full slab; None if unknown."""
    fallback: float
    """An object's share of its present slab ÷ its share of a full slab; above 1 after a fallback to a smaller order."""


class HeldObjects(NamedTuple):
    """The objects of one kind that all TCP sockets of the machine hold.

    The kind `files` means files with their inodes and dentries; `inodes` means inodes of sockets without a file.
    """

    name: HeldName
    number: Amount
    """Bounds on the number of objects; for local ports, only the upper bound is known."""
    parts: tuple[HeldPart, ...]
