"""The buffers of a planned socket, in the form of the plan and in its notes."""

from types import SimpleNamespace
from typing import Any

import pytest

from tcptop.explanation.plan_words import buffers_text
from tcptop.ledger.amount import Amount


@pytest.mark.parametrize(
    ("counted", "high_takes", "bounds", "text"),
    [
        (778, 1_223_000, Amount(31, 1_223), "≈ 778 B; 31 to 1 223 B"),
        (778, 1_223_000, Amount(0, 1_223), "≈ 778 B; ≤ 1 223 B"),
        (25_598, 25_598_000, Amount(5_263, 9_104), "25 598 B, with data 5 263 to 9 104 B"),
        (25_598, 40_000_000, Amount(5_263, 9_104), "≈ 25 598 B, with data 5 263 to 9 104 B"),
    ],
)
def test_no_part_in_use_is_larger_than_its_whole(counted: int, high_takes: int, bounds: Amount, text: str) -> None:
    limit = SimpleNamespace(name="tcp_mem", high_takes=high_takes)
    request = SimpleNamespace(buffer_bytes="now", sockets=1_000)
    plan: Any = SimpleNamespace(buffers=(counted, None, bounds), limits=[limit], request=request)
    assert buffers_text(plan) == text
