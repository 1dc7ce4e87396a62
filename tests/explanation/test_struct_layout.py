"""Holes, padding and the largest members of a struct, as pahole finds them."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from tcptop.explanation.struct_layout import Hole, holes, largest_members, tail_padding_bytes
from tcptop.snapshot import StructLayout, StructMember


def layout(size: int, *members: tuple[str, int, int] | tuple[str, int, int, int]) -> StructLayout:
    """Members as (name, offset, size) or (name, offset, size, bits)."""
    made = (StructMember(each[0], each[1], each[2], each[3] if len(each) == 4 else None) for each in members)
    return StructLayout("some", size, tuple(made), has_free_pointer=False)


PAHOLE = layout(
    # The end of a tcp_sock as pahole 1.24 shows it on 6.18, moved to 0: a byte that has one bit of a bit-field, then
    # `XXX 3 bytes hole` behind is_mptcp, and at the end `padding: 8`.
    72,
    ("bpf_sock_ops_cb_flags", 0, 1),
    ("bpf_chg_cc_inprogress", 1, 1, 1),
    ("timeout_rehash", 2, 2),
    ("rcv_ooopack", 4, 4),
    ("mtu_probe.probe_seq_start", 8, 4),
    ("mtu_probe.probe_seq_end", 12, 4),
    ("plb_rehash", 16, 4),
    ("is_mptcp", 20, 1),
    ("af_specific", 24, 8),
    ("md5sig_info", 32, 8),
    ("fastopen_req", 40, 8),
    ("fastopen_rsk", 48, 8),
    ("saved_syn", 56, 8),
)


def test_the_end_of_a_tcp_sock_as_pahole_shows_it() -> None:
    assert holes(PAHOLE) == (Hole(21, 3, "is_mptcp"),)
    assert tail_padding_bytes(PAHOLE) == 8


def test_bit_fields_that_share_a_byte_count_it_once() -> None:
    found = layout(8, ("a", 0, 1, 3), ("b", 0, 1, 5), ("c", 1, 1, 1), ("d", 3, 2, 9))
    assert holes(found) == (Hole(2, 1, "c"),)
    assert tail_padding_bytes(found) == 3


def test_markers_without_a_size_neither_end_nor_begin_a_hole() -> None:
    found = layout(16, ("begin", 0, 0), ("a", 0, 4), ("end", 6, 0), ("b", 8, 8), ("last", 16, 0))
    assert holes(found) == (Hole(4, 4, "a"),)
    assert tail_padding_bytes(found) == 0


def test_a_hole_at_the_beginning_is_behind_nothing() -> None:
    assert holes(layout(8, ("a", 4, 4))) == (Hole(0, 4, None),)


def test_a_struct_without_members_is_all_padding() -> None:
    assert (holes(layout(8)), tail_padding_bytes(layout(8))) == ((), 8)


def test_the_largest_come_first_and_of_equals_the_first() -> None:
    assert [each.name for each in largest_members(PAHOLE, 3)] == ["af_specific", "md5sig_info", "fastopen_req"]
    assert largest_members(PAHOLE, 0) == ()
    assert len(largest_members(PAHOLE, 99)) == len(PAHOLE.members)


MEMBERS = st.tuples(st.just("m"), st.integers(0, 300), st.integers(0, 300))


@given(st.integers(0, 200), st.lists(MEMBERS, max_size=8))
@settings(deadline=None)
def test_members_holes_and_padding_are_the_struct_whatever_it_holds(
    size: int, members: list[tuple[str, int, int]]
) -> None:
    """By painting the bytes; also where members lie over each other or outside."""
    found = layout(size, *members)
    used = {byte for _, offset, length in members for byte in range(offset, offset + length) if byte < size}
    empty = {byte for hole in holes(found) for byte in range(hole.offset_bytes, hole.offset_bytes + hole.size_bytes)}
    assert not empty & used
    assert len(empty) + tail_padding_bytes(found) + len(used) == size
    assert all(hole.size_bytes > 0 for hole in holes(found))
