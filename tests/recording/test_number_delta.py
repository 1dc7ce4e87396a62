"""Differences of texts: every pair has one, and it is short where only numbers differ."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from recorded import RECORDINGS, text

from tcptop.recording.number_delta import apply_delta, make_delta

MOST = 1 << 20
FILES = ("proc/slabinfo", "proc/zoneinfo", "proc/buddyinfo", "proc/net/sockstat", "proc/meminfo")

PIECES = (b"a", b" ", b"  ", b"0", b"7", b"12", b"999", b"00", b":", b"-", b"184467440737095516160")

lines = st.lists(st.lists(st.sampled_from(PIECES)).map(b"".join)).map(b"\n".join)


@settings(deadline=None)
@given(lines, lines)
def test_what_looks_like_a_kernel_file_comes_back(old: bytes, new: bytes) -> None:
    assert apply_delta(old, make_delta(old, new), MOST) == new


@settings(deadline=None)
@given(st.binary(), st.binary())
def test_any_bytes_come_back(old: bytes, new: bytes) -> None:
    assert apply_delta(old, make_delta(old, new), MOST) == new


@pytest.mark.parametrize("kernel", RECORDINGS)
@pytest.mark.parametrize("path", FILES)
def test_two_reads_of_a_kernel_file(kernel: str, path: str) -> None:
    first, *others = [text(kernel, phase, path).encode() for phase in RECORDINGS[kernel]]
    for other in others:
        difference = make_delta(first, other)
        assert apply_delta(first, difference, MOST) == other
        assert len(difference) < len(other)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b"TCP 18018 18002 2432 13 8\n", b"TCP 18019 18003 2432 13 8\n"),
        (b"Node 0, zone   Normal    999   1472\n", b"Node 0, zone   Normal   1000   1473\n"),
        (b"TCP: inuse 9 orphan 0 tw 10\n", b"TCP: inuse 10 orphan 0 tw 9\n"),
    ],
)
def test_numbers_alone_take_a_byte_or_two_each(old: bytes, new: bytes) -> None:
    difference = make_delta(old, new)
    assert apply_delta(old, difference, MOST) == new
    assert len(difference) <= 1 + 1 + 2 + 2 * 2


@settings(deadline=None)
@given(st.binary(max_size=60), st.binary(max_size=60))
def test_any_difference_gives_a_text_or_a_value_error(old: bytes, difference: bytes) -> None:
    with suppress(ValueError):
        assert len(apply_delta(old, difference, MOST)) <= MOST


def test_a_difference_cannot_make_more_than_it_may() -> None:
    old = b"x" * 100
    with pytest.raises(ValueError, match="too much"):
        apply_delta(old, make_delta(old, b"y" * 100), 99)
