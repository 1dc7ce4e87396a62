"""The limits of property tests: an example that takes too much time or memory fails."""

from __future__ import annotations

import bounded_examples
import pytest
from hypothesis import given
from hypothesis import strategies as st


def test_an_example_that_does_not_end_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bounded_examples, "CPU_S", 0.2)

    def spin() -> None:
        while True:
            pass

    with bounded_examples.limits(), pytest.raises(bounded_examples.TooSlowError):
        bounded_examples.bounded_example(spin)()


def test_an_example_that_takes_too_much_memory_fails() -> None:
    with bounded_examples.limits(), pytest.raises(MemoryError):
        bytearray(4 * bounded_examples.MEMORY_BYTES)


@given(st.just(4 * bounded_examples.MEMORY_BYTES))
def test_every_property_test_runs_under_the_limits(size_bytes: int) -> None:
    with pytest.raises(MemoryError):
        bytearray(size_bytes)
