"""Parser of the tables in docs/json.md, and a checker of JSON objects against them."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

DOCUMENT = Path(__file__).resolve().parents[2] / "docs/json.md"

HEADER = ["Field", "Type", "Unit", "Scope", "Null", "Meaning"]
LINK = re.compile(r"\[([^]]+)\]\(#([^)]+)\)")
PLAIN: Mapping[str, tuple[type, ...]] = {
    "integer": (int,),
    "number": (int, float),
    "boolean": (bool,),
    "string": (str,),
    "text": (str,),
}
VALUE = "value"
"""Placeholder in the table of a change: the plain type of its figures, which each use of the table names."""


@dataclass(frozen=True)
class Type:
    """A cell of the column Type. Exactly one of the names, `elements` and `values` is set."""

    plain: str = ""
    enumeration: str = ""
    table: str = ""
    """The anchor of an object's heading."""
    elements: Type | None = None
    values: Type | None = None
    signed: bool = False
    or_null: bool = False
    """True if elements of a list may be null; for fields, the column Null says this."""
    length: int | None = None
    key_kind: str = ""
    of: str = ""
    """The plain type of the figures of a change."""

    @property
    def inner(self) -> Type | None:
        """The type of the elements of a list, or of the values of a map."""
        return self.elements or self.values


@dataclass(frozen=True)
class Field:
    """One row of an object's table."""

    name: str
    type: Type
    unit: str
    scope: str
    never_null: bool


@dataclass(frozen=True)
class Table:
    """The table of one object."""

    title: str
    root: str
    """The anchor of the whole object that this one is a part of."""
    paths: frozenset[str]
    fields: tuple[Field, ...]


@dataclass
class Document:
    """The parsed page."""

    text: str
    tables: dict[str, Table] = field(default_factory=dict)
    """By anchor."""
    lists: dict[str, dict[str, str]] = field(default_factory=dict)
    """The tables of two columns, by anchor."""
    anchors: set[str] = field(default_factory=set)

    @property
    def enumerations(self) -> dict[str, list[str]]:
        """The values of each enumeration."""
        return {name: re.findall("`([^`]+)`", cell) for name, cell in self.lists["enumerations"].items()}

    @property
    def examples(self) -> list[str]:
        """The jq part of each example."""
        return re.findall(r"^tcptop --json \| (jq .+)$", self.text, re.MULTILINE)

    def rows(self) -> Iterator[tuple[str, Type, bool]]:
        """Yields each field, `cache.bytes`, and its elements, `zone.free_area[]`: type, whether it is never null."""
        for anchor, table in self.tables.items():
            for each in table.fields:
                row, kind, never_null = f"{anchor}.{each.name}", each.type, each.never_null
                yield row, kind, never_null
                while (inner := kind.inner) is not None:
                    row, kind = f"{row}[]", inner
                    yield row, kind, not kind.or_null


@cache
def document() -> Document:
    """Parses docs/json.md."""
    found = Document(DOCUMENT.read_text(encoding="utf-8"))
    root = title = paragraph = ""
    lines = iter(found.text.splitlines())
    for line in lines:
        if heading := re.fullmatch(r"(#+) (.+)", line):
            title, paragraph = heading[2], ""
            root = anchor_of(title) if heading[1] == "##" else root
            found.anchors.add(anchor_of(title))
        elif line.startswith("|"):
            head, _, *rows = table_rows(line, lines)
            if head == HEADER:
                assert anchor_of(title) not in found.tables, f"{title}: two tables"
                found.tables[anchor_of(title)] = table_of(title, root, paragraph, rows)
            else:
                found.lists[anchor_of(title)] = {name.strip("`"): meaning for name, meaning in rows}
        else:
            paragraph += f"{line}\n"
    return found


def table_rows(first: str, lines: Iterator[str]) -> Iterator[list[str]]:
    """Yields the cells of each row, up to the first line after the table."""
    line: str | None = first
    while line is not None and line.startswith("|"):
        row = [cell.strip() for cell in line.strip().strip("|").split("|")]
        assert all(row), f"an empty cell: {line}"
        yield row
        line = next(lines, None)


def table_of(title: str, root: str, paragraph: str, rows: list[list[str]]) -> Table:
    """Parses an object's table; its paths are in the paragraph above."""
    fields = tuple(
        Field(name.strip("`"), type_of(kind), unit, scope, null == "never") for name, kind, unit, scope, null, _ in rows
    )
    assert len({each.name for each in fields}) == len(fields), f"{title}: two rows of one field"
    paths = [path for path in re.findall("`([^`]+)`", paragraph) if path.startswith(".")]
    return Table(title, root, frozenset(each for path in paths for each in expand_braces(path)), fields)


def type_of(text: str) -> Type:
    """Parses a cell of the column Type; raises ValueError if the cell has another form."""
    if match := re.fullmatch(r"map by (.+?) of (.+)", text):
        return Type(values=type_of(match[2]), key_kind=match[1])
    if match := re.fullmatch(r"lists? of (?:(\d+) )?(.+)", text):
        return Type(elements=type_of(match[2]), length=int(match[1]) if match[1] else None)
    if match := re.fullmatch(rf"{LINK.pattern}(?: of (integer|number))?", text):
        name, anchor, of = match.groups()
        return Type(enumeration=name) if anchor == "enumerations" else Type(table=anchor, of=of or "")
    if match := re.fullmatch(r"(signed )?([a-z]+?)s?( or nulls)?", text):
        signed, plain, or_null = match.groups()
        if plain in PLAIN or plain == VALUE:
            return Type(plain=plain, signed=bool(signed), or_null=bool(or_null))
    raise ValueError(f"not a type: {text!r}")


def expand_braces(path: str) -> Iterator[str]:
    """Expands `{a,b}` in a path, as a shell does."""
    match = re.search(r"\{([^{}]*)\}", path)
    if match is None:
        yield path
        return
    for each in match[1].split(","):
        yield from expand_braces(path[: match.start()] + each + path[match.end() :])


def anchor_of(heading: str) -> str:
    """The anchor that GitHub gives a heading."""
    return re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-")


class Checker:
    """Checks JSON objects against the document, and records which of its rows they cover."""

    def __init__(self, of: Document) -> None:
        self.document = of
        self.errors: dict[str, str] = {}
        """The first contradiction at each path."""
        self.paths: dict[str, set[str]] = defaultdict(set)
        """The paths of the objects found, by the anchor of their table."""
        self.known: set[str] = set()
        """The rows of `Document.rows` that had a value."""
        self.null: set[str] = set()
        """The rows that were null."""
        self.negative: set[str] = set()
        """The rows that were below 0."""
        self.values: dict[str, set[str]] = defaultdict(set)
        """The values of each enumeration."""
        self.keys: dict[str, set[str]] = defaultdict(set)
        """The keys of each kind of map."""

    def check(self, root: str, found: object, optional: frozenset[str] = frozenset()) -> None:
        """Checks one whole object; the optional keys may be left out of it."""
        self._check_object(root, found, "", "", optional)

    def _check_object(
        self, anchor: str, found: object, path: str, of: str, optional: frozenset[str] = frozenset()
    ) -> None:
        self.paths[anchor].add(path or ".")
        if not isinstance(found, dict):
            self._add_error(path, found, "an object")
            return
        fields = self.document.tables[anchor].fields
        for key in found.keys() - {each.name for each in fields}:
            self.errors.setdefault(f"{path}.{key}", "it is not documented")
        for each in fields:
            if each.name in found:
                self._check(
                    each.type, found[each.name], f"{path}.{each.name}", f"{anchor}.{each.name}", of, each.never_null
                )
            elif each.name not in optional:
                self.errors.setdefault(f"{path}.{each.name}", "it is documented but missing")

    def _check(self, kind: Type, value: object, path: str, row: str, of: str, never_null: bool) -> None:
        if value is None:
            self.null.add(row)
            if never_null:
                self.errors.setdefault(path, "it is null, and documented as never null")
            return
        self.known.add(row)
        if kind.table:
            self._check_object(kind.table, value, path, kind.of)
        elif kind.inner is None:
            self._check_scalar(kind, of if kind.plain == VALUE else kind.plain, value, path, row)
        elif kind.elements is not None and isinstance(value, list) and kind.length in (None, len(value)):
            self._check_inner(kind.inner, value, path, row, of)
        elif kind.values is not None and isinstance(value, dict):
            self.keys[kind.key_kind].update(value)
            self._check_inner(kind.inner, value.values(), path, row, of)
        else:
            self._add_error(path, value, f"a list of {kind.length or 'any length'}" if kind.elements else "a map")

    def _check_inner(self, kind: Type, values: Iterable[object], path: str, row: str, of: str) -> None:
        for value in values:
            self._check(kind, value, f"{path}[]", f"{row}[]", of, not kind.or_null)

    def _check_scalar(self, kind: Type, plain: str, value: object, path: str, row: str) -> None:
        if kind.enumeration:
            self.values[kind.enumeration].add(str(value))
            plain = "string"
        if not isinstance(value, PLAIN[plain]) or isinstance(value, bool) != (plain == "boolean"):
            self._add_error(path, value, plain)
        elif isinstance(value, (int, float)) and value < 0:
            self.negative.add(row)
            if not kind.signed:
                self._add_error(path, value, "0 or more")

    def _add_error(self, path: str, value: object, documented: str) -> None:
        self.errors.setdefault(path, f"it is {value!r:.60}, and documented as {documented}")
