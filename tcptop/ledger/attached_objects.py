"""Objects that only some sockets have: programs, the firewall and traffic attach them to sockets."""

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
    mptcp_socks: int = 0
    """Lower bound on the number of MPTCP socks, which neither the averages nor the costs of a socket contain."""
