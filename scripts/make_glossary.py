"""Writes `docs/glossary.md` from the program's glossary: `python -m scripts.make_glossary`."""

from __future__ import annotations

from pathlib import Path

from tcptop.explanation.glossary_page import sorted_entries

PROJECT = Path(__file__).resolve().parents[1]

HEAD = """\
# Glossary

Every word and sign of the screen and of the reports, as `tcptop explain WORD` prints it.
`python -m scripts.make_glossary` writes this page.
"""


def glossary_text() -> str:
    """The page as Markdown: a paragraph for each word, with the kernel file or function from which the word comes."""
    paragraphs = [HEAD]
    for entry in sorted_entries():
        also = f" Also: {', '.join(map(quoted, entry.other_names))}." if entry.other_names else ""
        paragraphs.append(f"**{quoted(entry.word)}**: {quoted(entry.meaning)} {quoted(entry.more)}".rstrip() + also)
        paragraphs[-1] += f" *From: {quoted(entry.source)}*\n"
    return "\n".join(paragraphs)


def quoted(text: str) -> str:
    """The text with Markdown's special characters escaped, except in code between backquotes."""
    parts = text.split("`")
    return "`".join(part if at % 2 else _escaped(part) for at, part in enumerate(parts))


def _escaped(text: str) -> str:
    for sign in "\\*_<>[]|#":
        text = text.replace(sign, f"\\{sign}")
    return text


if __name__ == "__main__":
    (PROJECT / "docs" / "glossary.md").write_text(glossary_text(), encoding="utf-8")
