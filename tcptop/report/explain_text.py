"""The explanation pages as text, for `tcptop explain`."""

from __future__ import annotations

from collections.abc import Sequence

from tcptop.explanation.pages import PAGES, Page, explain_word
from tcptop.ledger import Ledger
from tcptop.text.line import paragraph, text_of
from tcptop.text.printable import printable


def overview_text(ledger: Ledger, columns: int) -> str:
    """The call tree of socket(2), the catalogue, and the names of all pages."""
    by_name = {page.name: page for page in PAGES}
    lines: list[str] = []
    for name in ("socket", "catalogue"):
        lines += [*_page_lines(ledger, by_name[name], columns), ""]
    pages = ", ".join(page.name for page in PAGES)
    usage = (
        "tcptop explain NAME explains a cache, a struct, or any word on the screen (tcptop explain words lists them);"
        f" other pages are: {pages}."
    )
    return _text([*lines, *map(text_of, paragraph(usage, columns, "text"))])


def page_text(ledger: Ledger, name: str, columns: int) -> str | None:
    """The text of the page that explains a name or a word; None if there is no such page."""
    page = explain_word(ledger, name)
    return None if page is None else _text(_page_lines(ledger, page, columns))


def _page_lines(ledger: Ledger, page: Page, columns: int) -> list[str]:
    host = ledger.host
    kernel = f"Linux {host.kernel}" if host.kernel else "an unknown kernel"
    # Beside a saved tree on the screen, an answer about this machine must not pass for one about the tree.
    where = "this machine" if host.place is None else printable(host.name or host.place.rstrip("/").rpartition("/")[2])
    return [
        f"{page.title} - {kernel} of {where}",
        "",
        *(text_of(line).rstrip() for line in page.lines(ledger, columns)),
    ]


def _text(lines: Sequence[str]) -> str:
    return "\n".join(lines).rstrip() + "\n"
