"""Costs that are kept for the next sample, as long as no file is read again on which they depend."""

from collections.abc import Hashable
from functools import lru_cache

from tcptop.ledger import HeldPart, ObjectCost, SocketCost


class KeptCosts:
    """Results of `socket_cost`, `object_costs` and `held_objects`."""

    def __init__(self) -> None:
        self.of_socket: dict[tuple[tuple[str, float], ...], SocketCost] = {}
        """A key consists of pairs (name of a struct, share of the sockets that hold this struct)."""
        self.of_objects: dict[tuple[str, float], tuple[ObjectCost | str, ...]] = {}
        """A key is a pair (name of a struct, number of objects)."""
        self.of_kind: dict[tuple[str, ...], tuple[HeldPart, ...]] = {}
        """The parts of one object of a kind (`held_objects`), by family and structs."""


@lru_cache(2)
def costs_kept_for(*_depend_on: Hashable) -> KeptCosts:
    """The costs that were computed from the same arguments in the last samples; empty if there are none."""
    return KeptCosts()
