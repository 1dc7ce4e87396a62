"""Deltas of texts: every pair has one, and it is short if only numbers differ."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st
from recorded import RECORDINGS, text

from tcptop.recording.number_delta import apply_delta, make_delta

MAX_BYTES = 1 << 20
FILES = ("proc/slabinfo", "proc/zoneinfo", "proc/buddyinfo", "proc/net/sockstat", "proc/meminfo")

PIECES = (b"a", b" ", b"  ", b"0", b"7", b"12", b"999", b"00", b":", b"-", b"184467440737095516160")

lines = st.lists(st.lists(st.sampled_from(PIECES)).map(b"".join)).map(b"\n".join)


@given(lines, lines)
def test_text_like_a_kernel_file_round_trips(old: bytes, new: bytes) -> None:
    assert apply_delta(old, make_delta(old, new), MAX_BYTES) == new


@given(st.binary(), st.binary())
def test_any_bytes_round_trip(old: bytes, new: bytes) -> None:
    assert apply_delta(old, make_delta(old, new), MAX_BYTES) == new


@pytest.mark.parametrize("kernel", RECORDINGS)
@pytest.mark.parametrize("path", FILES)
def test_two_reads_of_a_kernel_file_round_trip(kernel: str, path: str) -> None:
    first, *others = [text(kernel, phase, path).encode() for phase in RECORDINGS[kernel]]
    for other in others:
        difference = make_delta(first, other)
        assert apply_delta(first, difference, MAX_BYTES) == other
        assert len(difference) < len(other)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b"TCP 18018 18002 2432 13 8\n", b"TCP 18019 18003 2432 13 8\n"),
        (b"Node 0, zone   Normal    999   1472\n", b"Node 0, zone   Normal   1000   1473\n"),
        (b"TCP: inuse 9 orphan 0 tw 10\n", b"TCP: inuse 10 orphan 0 tw 9\n"),
    ],
)
def test_a_changed_number_takes_a_byte_or_two(old: bytes, new: bytes) -> None:
    difference = make_delta(old, new)
    assert apply_delta(old, difference, MAX_BYTES) == new
    assert len(difference) <= 1 + 1 + 2 + 2 * 2


@given(st.binary(max_size=60), st.binary(max_size=60))
def test_any_delta_applies_or_raises_value_error(old: bytes, difference: bytes) -> None:
    with suppress(ValueError):
        assert len(apply_delta(old, difference, MAX_BYTES)) <= MAX_BYTES


def test_the_size_of_the_result_is_limited() -> None:
    old = b"x" * 100
    with pytest.raises(ValueError, match="too much"):
        apply_delta(old, make_delta(old, b"y" * 100), 99)
