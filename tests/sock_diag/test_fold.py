"""Sums of a dump by group: recorded dumps equal the counts made message by message, and no input raises or takes
long.
"""

from __future__ import annotations

import random
import socket
import struct
import time
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from recorded_dumps import RELEASES, attribute, counted, datagrams, each_release, make_row, memory, messages

from tcptop.sock_diag import fold as fold_module
from tcptop.sock_diag.dump import STATES, rows_end
from tcptop.sock_diag.fold import NO_INODE, NOT_SAMPLED, SUMS, Fold, Group, GroupKey, find_layout, peer_network
from tcptop.sock_diag.listeners import ListenerRow, listener_rows

Totals = dict[Any, tuple[int, ...]]


def rows_of(datagram: bytes) -> memoryview:
    view = memoryview(datagram)
    return view[: rows_end(view)]


def fold_all(parts: Iterable[bytes], **options: Any) -> Fold:  # noqa: ANN401 (any option of Fold)
    fold = Fold(**options)
    for part in parts:
        fold.add(rows_of(part))
    return fold


def totals(groups: Iterable[Group], *names: str) -> Totals:
    """Number of sockets, and their sums, by some fields of the key."""
    found: Totals = {}
    for group in groups:
        key = tuple(getattr(group.key, name) for name in names or GroupKey._fields)
        before = found.get(key, (0,) * (1 + len(SUMS)))
        found[key] = tuple(map(sum, zip(before, (group.sockets, *group.sums), strict=True)))
    return found


def only(groups: Sequence[Group]) -> Group:
    [group] = groups
    return group


def sockets(fold: Fold) -> int:
    return sum(group.sockets for group in fold.groups())


def test_every_release_that_is_supported_has_a_dump() -> None:
    assert RELEASES == ["6.1", "6.12", "6.18", "7.3"]


@each_release
def test_a_fold_equals_what_was_counted_message_by_message(release: str) -> None:
    expected = counted(release)
    fold = fold_all(datagrams(release))
    assert totals(fold.groups(), "family", "state", "mini") == {
        (row["family"], row["state"], row["mini"]): (row["sockets"], *(row[name] for name in SUMS))
        for row in expected["rows"]
    }
    assert sockets(fold) == sum(row["sockets"] for row in expected["rows"]) == len(messages(release))
    for name, label in (("uid", "users"), ("cgroup", "cgroups")):
        assert {str(key[0]): value[0] for key, value in totals(fold.groups(), name).items()} == expected[label]
    by_inode = totals(fold.groups(), "family", "state", "mini", "owner")
    for row in expected["rows"]:
        key = (row["family"], row["state"], row["mini"], NO_INODE)
        assert by_inode.get(key, (0,))[0] == row["without_inode"]


@each_release
def test_a_recorded_dump_has_every_state_of_the_kernel(release: str) -> None:
    never_held = STATES["CLOSE"]
    assert {row["state"] for row in counted(release)["rows"]} == set(STATES.values()) - {never_held}


@each_release
def test_full_sockets_equal_sockstat(release: str) -> None:
    sockstat = counted(release)["sockstat"]
    groups = [group for group in fold_all(datagrams(release)).groups() if group.key.state != STATES["SYN_RECV"]]
    full = [group for group in groups if not group.key.mini]
    assert sum(group.sockets for group in full) == sockstat["inuse"] + sockstat["inuse6"]
    assert sum(group.sockets for group in groups if group.key.mini) == sockstat["tw"]


@each_release
def test_the_charge_of_the_buffers_is_whole_pages(release: str) -> None:
    held = totals(fold_all(datagrams(release)).groups(), "family")
    charged = sum(values[1 + SUMS.index(name)] for values in held.values() for name in ("rmem", "fwd", "wmem_queued"))
    assert charged > 0
    assert charged % counted(release)["page_bytes"] == 0


@each_release
def test_listeners_equal_what_was_counted(release: str) -> None:
    rows = [row for datagram in datagrams(release) for row in listener_rows(rows_of(datagram))]
    listening = [row for row, message in zip(rows, messages(release), strict=True) if message[17] == STATES["LISTEN"]]
    assert [list(row) for row in listening] == counted(release)["listeners"]
    [full] = [row for row in listening if row.port == 8002]
    assert full.queue == full.limit + 1
    assert full.drops


@each_release
def test_the_side_follows_from_the_listeners(release: str) -> None:
    """Both ends of every connection are in the recording, so each listener's port has as many clients as servers."""
    ports = [listener[1] for listener in counted(release)["listeners"]]
    expected: Counter[tuple[bool, int]] = Counter()
    for message in messages(release):
        near, far = struct.unpack_from(">HH", message, 20)
        expected[near in ports, near if near in ports else far] += 1
    by_side = totals(fold_all(datagrams(release), listening=ports).groups(), "is_server", "port")
    assert {key: value[0] for key, value in by_side.items()} == expected
    clients = {key: value for key, value in expected.items() if not key[0]}
    assert all(key[1] in ports for key in clients)


@each_release
def test_owners_come_from_the_map_of_inodes(release: str) -> None:
    inodes = [struct.unpack_from("=I", message, 84)[0] for message in messages(release)]
    owned = {inode: 2 * index for index, inode in enumerate(sorted({*inodes} - {0})[::3], 50)}
    expected = Counter(NO_INODE if inode == 0 else owned.get(inode, NOT_SAMPLED) for inode in inodes)
    by_owner = totals(fold_all(datagrams(release), owner_of=owned).groups(), "owner")
    assert {key[0]: value[0] for key, value in by_owner.items()} == expected


@pytest.mark.slow
@given(
    release=st.sampled_from(RELEASES),
    seed=st.integers(0, 1 << 30),
    parts=st.integers(1, 30),
    batch_bytes=st.sampled_from([0, 5000, 1 << 18]),
)
def test_a_fold_of_a_dump_is_the_merge_of_the_folds_of_its_parts(
    release: str, seed: int, parts: int, batch_bytes: int
) -> None:
    rows = list(messages(release))
    chance = random.Random(seed)
    chance.shuffle(rows)
    cuts = sorted(chance.randrange(len(rows) + 1) for _ in range(parts - 1))
    pieces = [b"".join(rows[low:high]) for low, high in zip([0, *cuts], [*cuts, len(rows)], strict=True)]
    ports = [listener[1] for listener in counted(release)["listeners"]]
    whole = totals(fold_all([b"".join(rows)], listening=ports).groups())
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(fold_module, "BATCH_BYTES", batch_bytes)
        assert totals(fold_all(pieces, listening=ports).groups()) == whole
        assert totals(fold_all(pieces).groups()) == totals(fold_all([b"".join(rows)]).groups())
    assert totals(group for piece in pieces for group in fold_all([piece], listening=ports).groups()) == whole


def use(data: bytes) -> None:
    """Reads the bytes in every way in which a datagram is read, also beyond the result of `rows_end`."""
    for rows in (rows_of(data), memoryview(data)):
        fold = Fold({7: 14}, [8001], range(32768, 61000), with_peers=True)
        fold.add(rows)
        assert sockets(fold) <= len(data) // 88
        for row in listener_rows(rows):
            assert row.port <= 65535


@given(release=st.sampled_from(RELEASES), index=st.integers(0), at=st.integers(0))
def test_no_cut_raises(release: str, index: int, at: int) -> None:
    datagram = datagrams(release)[index % len(datagrams(release))]
    use(datagram[: at % (len(datagram) + 1)])


@given(
    release=st.sampled_from(RELEASES),
    index=st.integers(0),
    start=st.integers(0, 200),
    flips=st.lists(st.tuples(st.integers(0, 900), st.integers(0, 255)), min_size=1, max_size=12),
)
def test_no_flipped_byte_raises(release: str, index: int, start: int, flips: Sequence[tuple[int, int]]) -> None:
    rows = messages(release)
    data = bytearray(b"".join(rows[start % len(rows) :][: 1 + index % 40]))
    for at, byte in flips:
        data[at % len(data)] = byte
    use(bytes(data))


@given(st.binary(max_size=2000))
def test_no_bytes_raise(data: bytes) -> None:
    use(data)
    use(struct.pack("=IHHII", len(data) + 16, 18, 2, 1, 0) + data)


WORST_DATAGRAMS = {
    "short rows": make_row() * 740,
    "many lengths": b"".join(make_row(bytes(4 * index)) for index in range(160)),
    "many attributes": make_row(attribute(9, b"") * 16_000),
    "unlike rows": b"".join(make_row(attribute(9, b"") * 900 + attribute(kind, b"")) for kind in range(16)),
    "unlike layouts": b"".join(make_row(attribute(7, bytes(4 * (k % 2))) + bytes(4 - 4 * (k % 2))) for k in range(680)),
    "zeros": bytes(1 << 16),
    "no rows": struct.pack("=IHHII", 16, 18, 2, 1, 0) * 4096,
}


@pytest.mark.parametrize("name", WORST_DATAGRAMS)
def test_no_datagram_takes_long(name: str) -> None:
    before = time.thread_time()
    use(WORST_DATAGRAMS[name])
    assert time.thread_time() - before < 1.0


def test_rows_of_several_lengths_and_shapes_in_one_datagram() -> None:
    words = [100, 1, 2, 3, -4096, 5000, 6, 7, 8]
    cgroup = attribute(21, struct.pack("=Q", 99))
    rows = [
        make_row(memory(words) + cgroup, inode=3),
        make_row(cgroup + memory(words), inode=3),  # the same length, but another order
        make_row(memory(words[:8]), inode=3),  # a kernel without the drops
        make_row(memory(words) + attribute(14, b"") + cgroup, inode=3),
        make_row(),
        make_row(memory(words) + attribute(8, b"\3"), inode=3),  # not padded: the length is no multiple of 4
    ]
    for order in (rows, rows[::-1], rows * 3):
        fold = fold_all([b"".join(order)])
        times = len(order) // len(rows)
        assert sockets(fold) == len(order)
        sums = [sum(group.sums[index] for group in fold.groups()) for index in range(len(SUMS))]
        assert dict(zip(SUMS, sums, strict=True)) == {
            "rmem": 500 * times,
            "fwd": -4096 * 5 * times,
            "wmem_queued": 25_000 * times,
            "rqueue": 0,
            "wqueue": 0,
            "drops": 32 * times,
        }
        by_cgroup = totals(fold.groups(), "cgroup", "owner")
        assert {key: value[0] // times for key, value in by_cgroup.items()} == {
            (99, NOT_SAMPLED): 3,
            (0, NOT_SAMPLED): 2,
            (0, NO_INODE): 1,
        }


def test_a_full_socket_in_syn_recv_is_told_from_a_request_sock() -> None:
    """TCP Fast Open: the row has the memory of a socket, and an inode if a process has accepted the socket."""
    state, full = STATES["SYN_RECV"], memory([7] * 9)
    rows = [make_row(state=state, timer=1, ports=(8080, 40_000 + number)) for number in range(3)]
    rows += [make_row(full, state=state, timer=1, ports=(8080, 41_000 + number)) for number in range(5)]
    rows += [make_row(full, state=state, timer=1, ports=(8080, 42_000), inode=9), make_row(full, ports=(8080, 43_000))]
    groups = fold_all([b"".join(rows)], owner_of={9: 20}, listening=[8080]).groups()
    found = {(each.key.state, each.key.fast_open, each.key.owner): each.sockets for each in groups}
    assert found == {
        (state, False, NO_INODE): 3,
        (state, True, NO_INODE): 5,
        (state, True, 20): 1,
        (1, False, NO_INODE): 1,
    }


@pytest.mark.parametrize("number", [1, (1 << 32) - 1, 1 << 32, (1 << 63) + 5, (1 << 64) - 1])
def test_a_cgroup_has_a_number_of_64_bits(number: int) -> None:
    row = make_row(memory([0] * 9) + attribute(21, struct.pack("=Q", number)), state=STATES["LISTEN"])
    other = make_row(memory([0] * 9) + attribute(21, struct.pack("=Q", 7)), state=STATES["LISTEN"])
    assert {key[0] for key in totals(fold_all([row + other]).groups(), "cgroup")} == {number, 7}
    assert [each.cgroup for each in listener_rows(memoryview(row + other))] == [number, 7]


@pytest.mark.parametrize(
    ("attributes", "memory_at", "memory_words", "cgroup_at"),
    [
        (b"", None, 0, None),
        (struct.pack("=HH", 0, 7), None, 0, None),
        (struct.pack("=HH", 3, 7), None, 0, None),
        (struct.pack("=HH", 4, 7), 92, 0, None),
        (struct.pack("=HH", 65535, 7), None, 0, None),
        (struct.pack("=HH", 41, 7) + bytes(36), None, 0, None),
        (memory([1] * 3), 92, 3, None),
        (memory([1] * 9)[:-1], None, 0, None),
        (attribute(7, bytes(39)), 92, 9, None),
        (attribute(7 | 0x8000, bytes(36)), 92, 9, None),
        (attribute(21, bytes(4)), None, 0, None),
        (attribute(14, b"") + attribute(21, bytes(8)), None, 0, 96),
        (attribute(8, b"\1") + memory([1] * 9) + attribute(21, bytes(8)), 100, 9, 140),
        (memory([1] * 9) + b"\1\0", 92, 9, None),
    ],
)
def test_attributes_that_do_not_fit_are_left_out(
    attributes: bytes, memory_at: int | None, memory_words: int, cgroup_at: int | None
) -> None:
    row = memoryview(make_row(attributes))
    layout = find_layout(row)
    assert layout[1:] == (memory_at, memory_words, cgroup_at)
    for at, _ in layout.headers:
        assert at + struct.unpack_from("=H", row, at)[0] <= len(row)


@pytest.mark.parametrize(
    ("ports", "listening", "is_server", "port"),
    [
        ((8080, 40000), [8080], True, 8080),
        ((40000, 8080), [8080], False, 8080),
        ((8080, 40000), [], True, 8080),  # only the port of the other end is ephemeral
        ((40000, 50000), [], False, 50000),
        ((8080, 9090), [], False, 9090),
        ((40000, 50000), [40000], True, 40000),
        ((8080, 0), [8080], True, 8080),
        ((1, 65535), [], False, 65535),
    ],
)
def test_the_service_is_the_port_of_the_server_side(
    ports: tuple[int, int], listening: list[int], is_server: bool, port: int
) -> None:
    fold = fold_all([make_row(ports=ports)], listening=listening, ephemeral=range(32768, 61000))
    key = only(fold.groups()).key
    assert (key.is_server, key.port) == (is_server, port)


def test_too_many_groups_lose_their_ports_and_no_socket(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fold_module, "MAX_GROUPS", 50)
    monkeypatch.setattr(fold_module, "BATCH_BYTES", 0)
    rows = [make_row(ports=(40000, port), queues=(port, 0)) for port in range(1, 201)]
    fold = fold_all(b"".join(rows[start : start + 10]) for start in range(0, 200, 10))
    assert len(fold.groups()) <= 60
    assert sockets(fold) == 200
    assert sum(group.sums[SUMS.index("rqueue")] for group in fold.groups()) == sum(range(1, 201))
    assert {group.key.port for group in fold.groups()} >= {None}
    assert {group.key.is_server for group in fold.groups()} == {False}, "a side is no port"


def address(text: str) -> bytes:
    return socket.inet_pton(socket.AF_INET6 if ":" in text else socket.AF_INET, text)


PEERS: Mapping[tuple[int, str], str] = {
    (socket.AF_INET, "203.0.113.77"): "203.0.113.0/24",
    (socket.AF_INET, "127.0.0.1"): "127.0.0.0/24",
    (socket.AF_INET6, "2001:db8:1:2:3:4:5:6"): "2001:db8:1::/48",
    (socket.AF_INET6, "::ffff:198.51.100.9"): "198.51.100.0/24",
    (socket.AF_INET6, "::1"): "::1/128",
    (socket.AF_INET6, "fe80::1:2"): "fe80::/48",
}


def test_a_peer_is_told_by_its_network_alone() -> None:
    rows = [make_row(family=family, peer=address(text)) for family, text in PEERS]
    seen = totals(fold_all([b"".join(rows)], with_peers=True).groups(), "family", "peer")
    assert seen.keys() == {(family, network) for (family, _), network in PEERS.items()}
    assert {key[0] for key in totals(fold_all([b"".join(rows)]).groups(), "peer")} == {""}


@given(st.sampled_from([0, 1, 2, 10, 255]), st.binary(min_size=16, max_size=16))
def test_a_peer_never_shows_the_end_of_its_address(family: int, data: bytes) -> None:
    hidden = bytearray(data)
    if family == socket.AF_INET:
        hidden[3] ^= 0xFF
    elif data[:12] == bytes(10) + b"\xff\xff":
        hidden[15] ^= 0xFF
    else:
        hidden[6:] = bytes(9) + b"\2"
        data = data[:6] + (data[6:] if data[6:] != bytes(9) + b"\1" else bytes(10))
    assert peer_network(family, data) == peer_network(family, bytes(hidden))


def test_a_listener_without_memory_has_no_drops() -> None:
    rows = make_row(state=10, queues=(5, 128), ports=(443, 0), uid=33, inode=12)
    rows += make_row(memory([0] * 8 + [9]), family=10, state=10, queues=(129, 128), ports=(80, 0), inode=13)
    assert list(listener_rows(memoryview(rows))) == [
        ListenerRow(2, 443, 5, 128, None, 33, 0, 12),
        ListenerRow(10, 80, 129, 128, 9, 0, 0, 13),
    ]


def test_lone_ephemeral_ports_are_one_group() -> None:
    """If the listener is gone, both ports may be ephemeral, and different for each connection."""
    rows = [make_row(ports=(50_000 + number, 40_000 + number)) for number in range(10)]
    rows += [make_row(ports=(45_000 + number, 50_051)) for number in range(3)]
    groups = fold_all(rows, ephemeral=range(32768, 61000)).groups()
    assert {group.key.port: group.sockets for group in groups} == {None: 10, 50_051: 3}


def ports_of_minis(pairs: Iterable[tuple[int, int]], batch: int = 7, **options: Any) -> dict[Any, int]:  # noqa: ANN401
    """The sockets in TIME_WAIT, by side and port, of a dump without a listener."""
    rows = [make_row(state=STATES["TIME_WAIT"], timer=3, ports=each) for each in pairs]
    parts = [b"".join(rows[start : start + batch]) for start in range(0, len(rows), batch)]
    options = {"ephemeral": range(32768, 61000), **options}
    return {key: value[0] for key, value in totals(fold_all(parts, **options).groups(), "is_server", "port").items()}


def test_the_service_of_mini_sockets_is_the_port_that_many_have() -> None:
    """The listener is gone, and both ports are ephemeral, or neither is."""
    for service, first in ((45_000, 50_000), (8080, 10_000)):
        pairs = [(service, first + number) for number in range(10)]
        assert ports_of_minis(pairs) == {(True, service): 10}
        assert ports_of_minis([(far, near) for near, far in pairs]) == {(False, service): 10}
        assert ports_of_minis(pairs[:3]).keys() == {(False, far) for _, far in pairs[:3]}
    clients = [(40_000 + number % 900, 443) for number in range(9_000)]
    assert ports_of_minis(clients) == {(False, 443): 9_000}, "local ports come again, to other addresses"


def test_mini_sockets_of_many_ephemeral_services_are_one_group() -> None:
    small = [(35_000 + number, 40_000 + number // 3) for number in range(3 * 40)]
    large = [(36_000 + number, 55_000) for number in range(200)]
    assert ports_of_minis(small + large) == {(False, None): 120, (False, 55_000): 200}
    known = [(40_000 + number, 2_000 + number // 3) for number in range(3 * 40)]
    assert len(ports_of_minis(known, ephemeral=range(1024, 65536))) == 40
    assert ports_of_minis(small, listening=range(40_000, 40_040)).keys() == {(False, None)}


def test_mini_sockets_beside_others_in_a_datagram() -> None:
    rows = [make_row(state=STATES["SYN_RECV"], timer=1, ports=(8080, 40_000 + number)) for number in range(9)]
    rows += [make_row(state=STATES[name], timer=3) for name in ("TIME_WAIT", "FIN_WAIT2") for _ in range(4)]
    random.Random(1).shuffle(rows)
    seen = totals(fold_all([b"".join(rows)], listening=[8080]).groups(), "state", "mini")
    assert {key: value[0] for key, value in seen.items()} == {
        (STATES["SYN_RECV"], False): 9,
        (STATES["TIME_WAIT"], True): 4,
        (STATES["FIN_WAIT2"], True): 4,
    }
