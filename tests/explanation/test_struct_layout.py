"""Holes, tail padding and the largest members of a struct, as pahole(1) reports them."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from tcptop.explanation.struct_layout import Hole, holes, largest_members, tail_padding_bytes, word_map
from tcptop.snapshot import StructLayout, StructMember


def layout(size: int, *members: tuple[str, int, int] | tuple[str, int, int, int]) -> StructLayout:
    """A layout of members given as (name, offset, size) or (name, offset, size, bits)."""
    struct_members = (StructMember(each[0], each[1], each[2], each[3] if len(each) == 4 else None) for each in members)
    return StructLayout("some", size, tuple(struct_members), has_free_pointer=False)


PAHOLE = layout(
    # The end of a tcp_sock as pahole 1.24 prints it on 6.18, with offsets from 0: a byte with one bit of a bit-field,
    # `XXX 3 bytes hole` after is_mptcp, and `padding: 8` at the end.
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


def test_the_end_of_a_tcp_sock_as_pahole_prints_it() -> None:
    assert holes(PAHOLE) == [Hole(21, 3)]
    assert tail_padding_bytes(PAHOLE) == 8


def test_a_byte_shared_by_bit_fields_counts_once() -> None:
    struct = layout(8, ("a", 0, 1, 3), ("b", 0, 1, 5), ("c", 1, 1, 1), ("d", 3, 2, 9))
    assert holes(struct) == [Hole(2, 1)]
    assert tail_padding_bytes(struct) == 3


def test_zero_size_markers_do_not_bound_a_hole() -> None:
    struct = layout(16, ("begin", 0, 0), ("a", 0, 4), ("end", 6, 0), ("b", 8, 8), ("last", 16, 0))
    assert holes(struct) == [Hole(4, 4)]
    assert tail_padding_bytes(struct) == 0


def test_a_hole_may_be_at_the_start() -> None:
    assert holes(layout(8, ("a", 4, 4))) == [Hole(0, 4)]


def test_a_struct_without_members_is_all_padding() -> None:
    assert (holes(layout(8)), tail_padding_bytes(layout(8))) == ([], 8)


def test_the_largest_members_come_first_and_equal_ones_by_offset() -> None:
    assert [each.name for each in largest_members(PAHOLE, 3)] == ["af_specific", "md5sig_info", "fastopen_req"]
    assert largest_members(PAHOLE, 0) == ()
    assert len(largest_members(PAHOLE, 99)) == len(PAHOLE.members)


MEMBERS = st.tuples(st.just("m"), st.integers(0, 300), st.integers(0, 300))


@given(st.integers(0, 200), st.lists(MEMBERS, max_size=8))
def test_members_holes_and_padding_add_up_to_the_struct(size: int, members: list[tuple[str, int, int]]) -> None:
    """The result is compared with a set of used bytes, also for members that overlap or lie outside the struct."""
    struct = layout(size, *members)
    used = {byte for _, offset, length in members for byte in range(offset, offset + length) if byte < size}
    empty = {byte for hole in holes(struct) for byte in range(hole.offset_bytes, hole.offset_bytes + hole.size_bytes)}
    assert not empty & used
    assert len(empty) + tail_padding_bytes(struct) + len(used) == size
    assert all(hole.size_bytes > 0 for hole in holes(struct))


def test_map_has_a_sign_for_each_word() -> None:
    struct = layout(44, ("first", 0, 8), ("second", 8, 4), ("third", 24, 12), ("last", 40, 4))
    assert word_map(struct) == "█▒░█▒█"
    assert word_map(layout(24)) == "░░░"


@given(st.integers(1, 400), st.lists(st.tuples(st.just("m"), st.integers(0, 420), st.integers(1, 40)), max_size=30))
def test_map_agrees_with_holes_and_padding(size: int, members: list[tuple[str, int, int]]) -> None:
    struct = layout(size, *members)
    words = word_map(struct)
    unused = sum(hole.size_bytes for hole in holes(struct)) + tail_padding_bytes(struct)
    assert len(words) == -(-size // 8)
    assert 8 * (words.count("░") - 1) < unused or not words.count("░")
    assert unused <= 8 * (words.count("░") + words.count("▒"))
    assert ("░" in words or "▒" in words) == (unused > 0)
