"""Sums the sockets of a dump by group as the datagrams arrive; no row is kept.

A row is a struct inet_diag_msg and its attributes (include/uapi/linux/inet_diag.h, net/ipv4/inet_diag.c,
inet_sk_diag_fill). Rows of the same length are read together, column by column, because reading them row by row takes
four times as long.
"""

from __future__ import annotations

import socket
import struct
import sys
from array import array
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from itertools import compress, repeat
from typing import Any, NamedTuple

from tcptop.sock_diag.dump import HEADER, STATES

ATTRIBUTES_AT = 88
"""Offset of the first attribute: after the nlmsghdr and the struct inet_diag_msg."""
SKMEMINFO = 7
CGROUP_ID = 21
SKMEMINFO_WORDS = {"rmem": 0, "fwd": 4, "wmem_queued": 5, "drops": 8}
"""Index of each value in the attribute INET_DIAG_SKMEMINFO (SK_MEMINFO_VARS, include/uapi/linux/sock_diag.h)."""
FIXED_PLACES = {"rqueue": 72, "wqueue": 76}
"""Offsets of the values that every row has."""
TIME_WAIT_TIMER = 3
"""`idiag_timer` of a mini-socket in TIME_WAIT or FIN_WAIT2 (inet_twsk_diag_fill)."""

SUMS = ("rmem", "fwd", "wmem_queued", "rqueue", "wqueue", "drops")
"""The values that are summed for each group; all are in bytes, except `drops`, which is a count."""

BATCH_BYTES = 1 << 18
"""Rows are summed in batches of about BATCH_BYTES, because each batch has a fixed cost besides the cost of its rows."""

MAX_GROUPS = 20_000
"""Maximum number of groups; beyond this number, sockets are summed without regard to the port."""

LONE_SOCKETS = 2
MINI_SHARE, MINI_PORTS_FROM = 0.05, 32_768
"""A group of mini-sockets with an ephemeral port is compared with the groups that differ from this group only in the
port. The group is small if it has less than the share MINI_SHARE of the mini-sockets in all compared groups. Groups
with ports below MINI_PORTS_FROM are not compared. If ip_local_port_range begins below MINI_PORTS_FROM, an ephemeral
port below MINI_PORTS_FROM may belong to a known service."""
MAX_LONE_GROUPS = 4
"""Small groups that differ by an ephemeral port alone are joined if there are more small groups than this number."""

OTHER_PORT, LISTENING_PORT, EPHEMERAL_PORT = range(3)
MANY_PORTS = 1 << 16

SYN_RECV = STATES["SYN_RECV"]

NO_INODE, NOT_SAMPLED = 0, -1
"""Owner numbers that stand for an unknown owner: the socket has no inode, or its descriptor is not in the sample."""


class GroupKey(NamedTuple):
    """The properties that all sockets of a group have in common."""

    family: int
    state: int
    mini: bool
    """True if the rows are mini-sockets (a struct tcp_timewait_sock)."""
    is_server: bool
    port: int | None
    """Local port on the server side, port of the other end on the client side; None if the group has many ports."""
    uid: int
    cgroup: int
    """Number of the cgroup2 folder; 0 if the kernel does not report a number."""
    owner: int
    """Number of the owner: a value of `owner_of`, or NO_INODE, or NOT_SAMPLED."""
    peer: str
    """Network of the other end; empty if peers were not requested."""
    fast_open: bool = False
    """True if the rows are full sockets in SYN_RECV. Without TCP Fast Open, a socket in SYN_RECV is a request sock."""


_Key = tuple[int, int, int, int, int | None, str]
"""The key of a group as a tuple, which is fast to count. The items are: a word of `_state_words`; the port;
the user; the cgroup; the owner (None if not sampled); the peer. The port is in network byte order. On the client side,
the port is inverted (~port)."""

_MiniKey = tuple[Any, ...]
"""A `_Key` without the port."""


class Group(NamedTuple):
    """The sockets of one group: the number of sockets, and the sums of their values in the order of SUMS."""

    key: GroupKey
    sockets: int
    sums: tuple[int, ...]


class _Layout(NamedTuple):
    """The places of the attributes in a row, as offsets in bytes."""

    headers: tuple[tuple[int, int], ...]
    """Offset and first word of each attribute that is read."""
    memory_at: int | None
    memory_words: int
    cgroup_at: int | None


class Fold:
    """Sums rows by group. `owner_of` maps the inodes of sampled descriptors to processes.

    `listening` and `ephemeral` are ports. A socket is on the server side if its local port has a listener, or if only
    the port of the other end is ephemeral. A mini-socket may outlive its listener, so that neither port of the
    mini-socket shows which end is the server. If neither port shows which end is the server, the port that occurs in
    more mini-sockets is taken to be the server's port.
    """

    def __init__(
        self,
        owner_of: Mapping[int, int] | None = None,
        listening: Iterable[int] = (),
        ephemeral: range = range(0),
        with_peers: bool = False,
    ) -> None:
        self._owner_of = {**(owner_of or {}), 0: NO_INODE}
        kinds = bytearray(_ephemeral_kinds(ephemeral))
        for port in listening:
            kinds[socket.htons(port)] = LISTENING_PORT
        self._kind_of_port = bytes(kinds)
        self._ephemeral = ephemeral
        self._with_peers = with_peers
        self._counts: Counter[_Key] = Counter()
        self._sums: dict[_Key, list[int]] = defaultdict(lambda: [0] * len(SUMS))
        self._minis: dict[_MiniKey, array[int]] = defaultdict(lambda: array("I"))
        """Both ports of each mini-socket, as a word of 32 bits. The server side can be found only after all ports are
        known."""
        self._waiting: dict[int, list[bytes]] = defaultdict(list)
        self._waiting_bytes = 0

    def add(self, rows: memoryview) -> None:
        """Adds the rows of a datagram. A row that is too short for a struct inet_diag_msg is left out."""
        if len(rows) < HEADER.size:
            return
        length = rows[: HEADER.size].cast("I")[0]
        step = (length + 3) & ~3
        count, rest = divmod(len(rows), step) if step >= HEADER.size else (0, 1)
        # The kernel pads each message to a multiple of 4 bytes, so that every row begins at a multiple of 4.
        if rest == 0 and rows.cast("I")[:: step // 4].tolist().count(length) == count:
            self._waiting[length].append(bytes(rows))
        else:
            for each, parts in _split_by_length(rows).items():
                self._waiting[each] += map(bytes, parts)
        self._waiting_bytes += len(rows)
        if self._waiting_bytes > BATCH_BYTES:
            self._add_waiting()

    def groups(self) -> list[Group]:
        """The groups, in no particular order."""
        self._add_waiting()
        self._count_minis()
        merged: dict[GroupKey, list[int]] = defaultdict(lambda: [0] * (1 + len(SUMS)))
        for key, count in self._counts.items():
            amounts = merged[_group_key(key)]
            amounts[0] += count
            for index, amount in enumerate(self._sums.get(key, ()), 1):
                amounts[index] += amount
        self._join_lone_ports(merged)
        return [Group(key, count, tuple(sums)) for key, (count, *sums) in merged.items()]

    def _join_lone_ports(self, merged: dict[GroupKey, list[int]]) -> None:
        """Joins small groups that differ by an ephemeral port alone, if there are more than MAX_LONE_GROUPS.

        If the listener is gone, both ports of a connection may be ephemeral, and each connection would form its own
        group.
        """
        alike: dict[GroupKey, list[GroupKey]] = defaultdict(list)
        for key in merged:
            if key.port in self._ephemeral:
                alike[key._replace(port=None)].append(key)
        for joined, keys in alike.items():
            few = MINI_SHARE * sum(merged[key][0] for key in keys) if joined.mini else 0
            lone = [
                key
                for key in keys
                if merged[key][0] <= LONE_SOCKETS or (merged[key][0] < few and (key.port or 0) >= MINI_PORTS_FROM)
            ]
            if len(lone) > MAX_LONE_GROUPS:
                for key in lone:
                    merged[joined] = [one + other for one, other in zip(merged[joined], merged.pop(key), strict=True)]

    def _count_minis(self) -> None:
        """Counts the mini-sockets by service, after all mini-sockets have been added."""
        for (state, uid, cgroup, owner, peer), pairs in self._minis.items():
            halves = memoryview(pairs).cast("B").cast("H")
            services = self._services(halves[::2].tolist(), halves[1::2].tolist())
            for port, number in services.items():
                kept = [port] if len(self._counts) < MAX_GROUPS else self._many([port])
                self._counts[state, kept[0], uid, cgroup, owner, peer] += number
        self._minis.clear()

    def _services(self, near: Sequence[int], far: Sequence[int]) -> Counter[int]:
        """The number of mini-sockets of each service.

        If `_ports` cannot find the service of a mini-socket, the service is whichever of its two ports occurs in more
        mini-sockets.
        """
        kind, ports = self._kind_of_port, self._ports(near, far)
        services = Counter(ports)
        if len(services) <= MAX_LONE_GROUPS:
            return services
        unsure = [port < 0 and kind[one] == kind[other] for one, other, port in zip(near, far, ports, strict=True)]
        with_near, with_far = Counter(compress(near, unsure)), Counter(compress(far, unsure))
        return Counter(
            one if is_unsure and with_near[one] > max(MAX_LONE_GROUPS, with_far[other]) else port
            for one, other, port, is_unsure in zip(near, far, ports, unsure, strict=True)
        )

    def _add_waiting(self) -> None:
        for length, parts in self._waiting.items():
            self._add_run(memoryview(b"".join(parts)), length)
        self._waiting.clear()
        self._waiting_bytes = 0

    def _add_run(self, rows: memoryview, length: int) -> None:
        """Adds rows of the same length."""
        if length < ATTRIBUTES_AT:
            return
        step = (length + 3) & ~3
        words = rows.cast("I")
        layout = find_layout(rows[:length])
        count = len(rows) // step
        if any(words[at // 4 :: step // 4].tolist().count(word) != count for at, word in layout.headers):
            if count > 1:  # the rows have one length but different attributes
                for at in range(0, len(rows), step):
                    self._add_run(rows[at : at + step], length)
            return

        def column(at: int) -> list[int]:
            return words[at // 4 :: step // 4].tolist()

        states = _state_words(column(16), layout)
        minis = {word for word in set(states) if _is_mini(word)}
        if minis and any(word not in minis for word in states):
            for chosen in (True, False):
                places = (index * step for index, word in enumerate(states) if (word in minis) == chosen)
                self._add_run(memoryview(b"".join(rows[at : at + step] for at in places)), length)
            return
        columns: list[list[Any]] = [
            states,
            column(80),
            [0] if layout.cgroup_at is None else _cgroups(words, layout.cgroup_at, step),
            list(map(self._owner_of.get, column(84))),
            _peers(rows, step) if self._with_peers else [""],
        ]
        if minis:
            self._add_minis(columns, column(20))
            return
        halves = rows.cast("H")
        ports = self._ports(halves[10 :: step // 2].tolist(), halves[11 :: step // 2].tolist())
        columns.insert(1, self._many(ports) if len(self._counts) >= MAX_GROUPS else ports)
        # Hashing takes most of the time, so a column that has the same value in all rows is not hashed.
        varying = [index for index, values in enumerate(columns) if values.count(values[0]) != len(values)]
        parts = list(zip(*(columns[index] for index in varying), strict=True)) if varying else [()] * count
        common = [values[0] for values in columns]

        def key_of(part: tuple[Any, ...]) -> _Key:
            for index, value in zip(varying, part, strict=True):
                common[index] = value
            state, port, uid, cgroup, owner, peer = common
            return state, port, uid, cgroup, owner, peer

        for part, number in Counter(parts).items():
            self._counts[key_of(part)] += number
        for index, name in enumerate(SUMS):
            place = _place(name, layout)
            if place is None:
                continue
            values = column(place) if name != "fwd" else rows.cast("i")[place // 4 :: step // 4].tolist()
            if any(values):
                totals: dict[tuple[Any, ...], int] = defaultdict(int)
                for part, value in compress(zip(parts, values, strict=True), values):
                    totals[part] += value
                for part, total in totals.items():
                    self._sums[key_of(part)][index] += total

    def _add_minis(self, columns: Sequence[Sequence[Any]], pairs: Sequence[int]) -> None:
        """Adds mini-sockets, which have no buffers and no queue (inet_twsk_diag_fill)."""
        words, *others = columns
        states = [word & FAMILY_STATE_TIMER for word in words]
        if all(values.count(values[0]) == len(values) for values in (states, *others)):
            self._minis[tuple(values[0] for values in (states, *others))].extend(pairs)
            return
        whole = (values if len(values) > 1 else repeat(values[0]) for values in (states, *others))
        for pair, key in zip(pairs, zip(*whole, strict=False), strict=False):
            self._minis[key].append(pair)

    @staticmethod
    def _many(ports: Iterable[int]) -> list[int]:
        """Replaces each server-side port by MANY_PORTS, and each client-side port by ~MANY_PORTS."""
        return [MANY_PORTS if port >= 0 else ~MANY_PORTS for port in ports]

    def _ports(self, near: Iterable[int], far: Iterable[int]) -> list[int]:
        """One port for each socket: the local port on the server side, the inverted remote port on the client side."""
        kind = self._kind_of_port
        return [
            one
            if kind[one] == LISTENING_PORT or (kind[one] == OTHER_PORT and kind[other] == EPHEMERAL_PORT)
            else ~other
            for one, other in zip(near, far, strict=True)
        ]


_WORD = struct.Struct("=I")
[FAMILY_STATE_TIMER] = _WORD.unpack(b"\xff\xff\xff\0")
"""Mask of the first three bytes of a struct inet_diag_msg; the fourth byte counts retransmissions."""
[FAST_OPEN_MARK] = _WORD.unpack(b"\0\0\0\1")


def _state_words(words: Sequence[int], layout: _Layout) -> list[int]:
    """The words with family, state and timer of rows; FAST_OPEN_MARK is added to that of a full socket in SYN_RECV.

    Both a request sock and a full socket (TCP Fast Open) may be in SYN_RECV. The row of a request sock does not have
    the attribute SKMEMINFO (inet_req_diag_fill).
    """
    if words.count(words[0]) == len(words):
        states = [words[0] & FAMILY_STATE_TIMER] * len(words)
    else:
        states = [word & FAMILY_STATE_TIMER for word in words]
    if layout.memory_at is None:
        return states
    received = {word for word in set(states) if _WORD.pack(word)[1] == SYN_RECV}
    return [word | FAST_OPEN_MARK if word in received else word for word in states] if received else states


def _is_mini(word: int) -> bool:
    """True if a row with this first word (family, state and timer) describes a mini-socket."""
    return _WORD.pack(word)[2] == TIME_WAIT_TIMER


def _place(name: str, layout: _Layout) -> int | None:
    """Offset of a value in a row; None if the row does not have the value."""
    if name in FIXED_PLACES:
        return FIXED_PLACES[name]
    word = SKMEMINFO_WORDS[name]
    return None if layout.memory_at is None or word >= layout.memory_words else layout.memory_at + 4 * word


def _cgroups(words: memoryview, at: int, step: int) -> list[int]:
    """The cgroup's number in each row: 64 bits, at an offset that is not always a multiple of 8."""
    one, other = (words[each // 4 :: step // 4].tolist() for each in (at, at + 4))
    low, high = (one, other) if sys.byteorder == "little" else (other, one)
    return [each | more << 32 for each, more in zip(low, high, strict=True)] if any(high) else low


def _peers(rows: memoryview, step: int) -> list[str]:
    """The network of the remote address in each row."""
    return [peer_network(rows[at + 16], bytes(rows[at + 40 : at + 56])) for at in range(0, len(rows), step)]


@lru_cache(maxsize=8)
def _ephemeral_kinds(ephemeral: range) -> bytes:
    """For each port, EPHEMERAL_PORT or OTHER_PORT. The index is the port's number in network byte order."""
    kinds = bytearray(1 << 16)
    for port in ephemeral:
        kinds[socket.htons(port)] = EPHEMERAL_PORT
    return bytes(kinds)


def _group_key(key: _Key) -> GroupKey:
    word, port, uid, cgroup, owner, peer = key
    family, state, _, mark = _WORD.pack(word)
    is_server = port >= 0
    number = None if port in (MANY_PORTS, ~MANY_PORTS) else socket.ntohs(port if is_server else ~port)
    owner = NOT_SAMPLED if owner is None else owner
    return GroupKey(family, state, _is_mini(word), is_server, number, uid, cgroup, owner, peer, bool(mark))


def peer_network(family: int, address: bytes) -> str:
    """The network of an address, as text: /24 of IPv4 (also of an IPv4 address in an IPv6 socket), /48 of IPv6."""
    if family == socket.AF_INET:
        return "{}.{}.{}.0/24".format(*address[:3])
    if address[:12] == bytes(10) + b"\xff\xff":
        return "{}.{}.{}.0/24".format(*address[12:15])
    if address == bytes(15) + b"\1":
        return "::1/128"
    return f"{socket.inet_ntop(socket.AF_INET6, address[:6] + bytes(10))}/48"


def find_layout(row: memoryview) -> _Layout:
    """Finds the attributes of a row.

    The search ends at an attribute that is longer than the remaining part of the row.
    """
    headers: list[tuple[int, int]] = []
    memory_at: int | None = None
    memory_words = 0
    cgroup_at: int | None = None
    words, halves = row[: len(row) & ~3].cast("I"), row[: len(row) & ~1].cast("H")
    at = ATTRIBUTES_AT
    while at + 4 <= len(row):
        length, kind = halves[at // 2], halves[at // 2 + 1] & 0x3FFF
        if length < 4 or at + length > len(row):
            break
        if kind in (SKMEMINFO, CGROUP_ID):
            headers.append((at, words[at // 4]))
        if kind == SKMEMINFO:
            memory_at, memory_words = at + 4, (length - 4) // 4
        elif kind == CGROUP_ID and length >= 12:
            cgroup_at = at + 4
        at += (length + 3) & ~3
    return _Layout(tuple(headers), memory_at, memory_words, cgroup_at)


def _split_by_length(rows: memoryview) -> Mapping[int, Sequence[memoryview]]:
    """The rows of a datagram, grouped by their length; each row is padded to a multiple of 4 bytes."""
    parts: dict[int, list[memoryview]] = defaultdict(list)
    words = rows[: len(rows) & ~3].cast("I")
    at, size = 0, len(rows)
    while at + HEADER.size <= size:
        length = words[at // 4]
        step = (length + 3) & ~3
        if length < HEADER.size or at + step > size:
            break
        parts[length].append(rows[at : at + step])
        at += step
    return parts
