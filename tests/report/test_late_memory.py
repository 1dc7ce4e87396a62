"""Memory that the kernel has not initialised yet: a node's figure and the machine's say why they differ."""

from __future__ import annotations

from recorded import ledger

from tcptop.explanation.headroom_page import headroom_page
from tcptop.report.as_text import as_text
from tcptop.text.line import text_of


def _joined(text: str) -> str:
    return " ".join(text.split())


def test_the_two_figures_of_free_memory_name_the_memory_that_is_not_initialised() -> None:
    late, whole = ledger("6.18-1n", "established"), ledger("6.1-1n", "established")
    fits, page = "sockets in free memory, ", "they count here, but at no node"
    _, _, rest = _joined(as_text(late)).partition(fits)
    assert "without 17.6 GiB that the kernel has not initialised yet" in rest[:160]
    assert page in _joined(" ".join(text_of(line) for line in headroom_page(late, 100)))
    assert "initialised" not in _joined(as_text(whole))
    assert page not in _joined(" ".join(text_of(line) for line in headroom_page(whole, 100)))
