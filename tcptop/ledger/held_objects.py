"""Objects that the machine's TCP sockets hold in every case, counted by kind."""

from typing import Literal, NamedTuple

from tcptop.ledger.amount import Amount

HeldName = Literal["socks", "files", "inodes", "local ports", "request socks", "mini-sockets"]

UNKNOWN_CACHE = "?"
"""`HeldPart.vector_cache` of vectors whose kmalloc cache or number is unknown."""


class HeldPart(NamedTuple):
    """One struct, or the memory cgroup vectors for one struct, in the objects of one kind (`HeldObjects`).

    For example, the kind `files` has parts for the file, its inode and its dentry.
    """

    object: str
    """`KernelObject.struct`."""
    family: Literal["ipv4", "ipv6"] | None
    """Address family whose sockets hold the object; None if both families hold it."""
    vector_cache: str | None
    """The kmalloc cache of memory cgroup vectors, or UNKNOWN_CACHE; None for other objects."""
    rows: tuple[str, ...]
    """Names of the rows of slabinfo that may count the objects; empty if unknown."""
    number: Amount
    """Bounds on the number of objects. For vectors, bounds on the number of objects in the slabs that have the
    vectors."""
    unit_bytes: Amount | None
    """Bounds on one object's share of a full slab; None if unknown. If only the object's own size is known, the upper
    bound is infinite."""
    fallback: float
    """An object's share of its present slab ÷ its share of a full slab; above 1 after a fallback to a smaller order."""
    is_read: bool = True
    """False if `unit_bytes` is unknown, incomplete or computed, because no file of the kernel shows it."""


class HeldObjects(NamedTuple):
    """The objects of one kind that all TCP sockets of the machine hold.

    The kind `files` means files with their inodes and dentries; `inodes` means inodes of sockets without a file.
    """

    name: HeldName
    number: Amount
    """Bounds on the number of objects; for local ports, only the upper bound is known."""
    parts: tuple[HeldPart, ...]
