"""docs/json.md as data: its tables parsed, and any JSON object held against them."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

DOCUMENT = Path(__file__).resolve().parents[2] / "docs/json.md"

HEADER = ["Field", "Type", "Unit", "Scope", "Null", "Meaning"]
LINK = re.compile(r"\[([^]]+)\]\(#([^)]+)\)")
PLAIN = {"integer": int, "number": (int, float), "boolean": bool, "string": str, "text": str}
NUMBERS = ("integer", "number")


@dataclass(frozen=True)
class Type:
    """A type as the tables write one: a plain word, or one of the others."""

    plain: str = ""
    """`value` stands for the type that the change is of, where it is used."""
    signed: bool = False
    may_be_null: bool = False
    """Of an element; of a field its own column says so."""
    elements: Type | None = None
    length: int | None = None
    values: Type | None = None
    keys: str = ""
    """The kind of key of a map."""
    anchor: str = ""
    """Of the object's heading."""
    of: str = ""
    """The plain type of the figures of a change."""
    enumeration: str = ""


@dataclass(frozen=True)
class Field:
    """One row of a table."""

    name: str
    type: Type
    unit: str
    scope: str
    never_null: bool


@dataclass(frozen=True)
class Table:
    """One object."""

    title: str
    root: str
    """The heading of the object that it is a part of."""
    paths: frozenset[str]
    fields: Mapping[str, Field]


@dataclass
class Document:
    """The whole page."""

    text: str
    tables: dict[str, Table] = field(default_factory=dict)
    """By anchor."""
    pairs: dict[str, list[tuple[str, str]]] = field(default_factory=lambda: defaultdict(list))
    """The tables of two columns, by anchor of their heading."""
    anchors: set[str] = field(default_factory=set)

    @property
    def enumerations(self) -> dict[str, tuple[str, ...]]:
        """The values of each."""
        return {name: tuple(re.findall("`([^`]+)`", cell)) for name, cell in self.pairs["enumerations"]}

    @property
    def examples(self) -> list[str]:
        """The commands that go through jq."""
        return re.findall(r"^tcptop --json \| (jq .+)$", self.text, re.MULTILINE)


def anchor(heading: str) -> str:
    """The anchor that GitHub gives a heading."""
    return re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-")


def expanded(path: str) -> Iterator[str]:
    """The paths that one with braces stands for."""
    match = re.search(r"\{([^{}]*)\}", path)
    if match is None:
        yield path
        return
    for each in match[1].split(","):
        yield from expanded(path[: match.start()] + each + path[match.end() :])


def type_of(text: str) -> Type:
    """Parses the cell of a type; raises ValueError for one of another form."""
    if match := re.fullmatch(r"map by (.+?) of (.+)", text):
        return Type(values=type_of(match[2]), keys=match[1])
    if match := re.fullmatch(r"lists? of (?:(\d+) )?(.+)", text):
        return Type(elements=type_of(match[2]), length=int(match[1]) if match[1] else None)
    if match := re.fullmatch(rf"{LINK.pattern}(?: of (integer|number))?", text):
        name, to, of = match.groups()
        return Type(enumeration=name) if to == "enumerations" else Type(anchor=to, of=of or "")
    if match := re.fullmatch(r"(signed )?(\w+?)s?( or nulls)?", text):
        signed, plain, nulls = match.groups()
        if plain in PLAIN or plain == "value":
            return Type(plain=plain, signed=bool(signed), may_be_null=bool(nulls))
    raise ValueError(f"not a type: {text!r}")


@cache
def document() -> Document:
    """The page."""
    found = Document(DOCUMENT.read_text(encoding="utf-8"))
    root = title = paragraph = ""
    lines = iter(found.text.splitlines())
    for line in lines:
        if match := re.match(r"(#+) (.+)", line):
            title, paragraph = match[2], ""
            root = anchor(title) if match[1] == "##" else root
            found.anchors.add(anchor(title))
        elif line.startswith("| "):
            head = cells(line)
            next(lines)  # the rule
            rows = list(rows_of(lines))
            if head == HEADER:
                assert anchor(title) not in found.tables, f"two tables below {title!r}"
                fields = [
                    Field(name.strip("`"), type_of(kind), unit, scope, null == "never")
                    for name, kind, unit, scope, null, _ in rows
                ]
                assert len({each.name for each in fields}) == len(fields), title
                paths = re.findall(r"`(\.[^`]*)`", paragraph)
                table = Table(
                    title,
                    root,
                    frozenset(each for path in paths for each in expanded(path)),
                    {each.name: each for each in fields},
                )
                found.tables[anchor(title)] = table
            else:
                found.pairs[anchor(title)] += [(name.strip("`"), meaning) for name, meaning in rows]
        else:
            paragraph += f"{line}\n"
    return found


def rows_of(lines: Iterator[str]) -> Iterator[list[str]]:
    """The rows of a table up to its end."""
    for line in lines:
        if not line.startswith("|"):
            return
        row = cells(line)
        assert all(row), f"an empty cell: {line}"
        yield row


def cells(line: str) -> list[str]:
    """The cells of a row."""
    return [cell.strip() for cell in line.strip().strip("|").split("|")]


class Held:
    """JSON objects, held against the document: what is wrong with them, and what of the document they showed."""

    def __init__(self, of: Document) -> None:
        self.document = of
        self.wrong: dict[str, str] = {}
        """The first value at each place that is not as the document says."""
        self.paths: dict[str, set[str]] = defaultdict(set)
        """Where each object was, by anchor."""
        self.known: set[str] = set()
        """The rows, as `cache.bytes`, and their elements, that had a value,"""
        self.null: set[str] = set()
        """that were null,"""
        self.negative: set[str] = set()
        """and that were below 0."""
        self.values: dict[str, set[str]] = defaultdict(set)
        """The values of each enumeration, with the keys that are values of one."""
        self.keys: dict[str, set[str]] = defaultdict(set)
        """The keys of each kind of map."""

    def take(self, root: str, found: Any, but: frozenset[str] = frozenset()) -> None:  # noqa: ANN401 (JSON)
        """Takes one whole object, in which some keys of its table may be left out."""
        self._object(root, found, "", "", but)

    def _object(self, at: str, found: Any, path: str, of: str, but: frozenset[str] = frozenset()) -> None:  # noqa: ANN401
        table = self.document.tables[at]
        self.paths[at].add(path or ".")
        if not isinstance(found, dict):
            self._is_wrong(path, f"{found!r:.60} is no object")
            return
        for key in found.keys() - table.fields.keys() - but:
            self._is_wrong(f"{path}.{key}", "is not documented")
        for key, each in table.fields.items():
            if key not in found:
                if key not in but:
                    self._is_wrong(f"{path}.{key}", "is documented, and not there")
                continue
            row, value = f"{at}.{key}", found[key]
            if value is None and each.never_null:
                self._is_wrong(f"{path}.{key}", "is documented as never null")
            self._nullable(each.type, value, f"{path}.{key}", row, of)

    def _nullable(self, kind: Type, value: Any, path: str, row: str, of: str) -> None:  # noqa: ANN401
        if value is None:
            self.null.add(row)
            return
        self.known.add(row)
        if kind.elements is not None:
            self._list(kind, kind.elements, value, path, row, of)
        elif kind.values is not None:
            self._map(kind, kind.values, value, path, row, of)
        elif kind.anchor:
            self._object(kind.anchor, value, path, kind.of)
        elif kind.enumeration:
            if not isinstance(value, str):
                self._is_wrong(path, f"{value!r:.60} is no string")
            else:
                self.values[kind.enumeration].add(value)
        else:
            self._plain(kind, of if kind.plain == "value" else kind.plain, value, path, row)

    def _list(self, kind: Type, of_each: Type, value: Any, path: str, row: str, of: str) -> None:  # noqa: ANN401
        if not isinstance(value, list) or (kind.length is not None and len(value) != kind.length):
            self._is_wrong(path, f"{value!r:.60} is no list of {kind.length or 'any length'}")
            return
        for each in value:
            self._element(of_each, each, path, row, of)

    def _map(self, kind: Type, of_each: Type, value: Any, path: str, row: str, of: str) -> None:  # noqa: ANN401
        if not isinstance(value, dict):
            self._is_wrong(path, f"{value!r:.60} is no map")
            return
        self.keys[kind.keys].update(value)
        for each in value.values():
            self._element(of_each, each, path, row, of)

    def _element(self, kind: Type, value: Any, path: str, row: str, of: str) -> None:  # noqa: ANN401
        if value is None and not kind.may_be_null:
            self._is_wrong(f"{path}[]", "is an element that is null")
        self._nullable(kind, value, f"{path}[]", f"{row}[]", of)

    def _plain(self, kind: Type, plain: str, value: Any, path: str, row: str) -> None:  # noqa: ANN401
        if not isinstance(value, PLAIN[plain]) or isinstance(value, bool) != (plain == "boolean"):
            self._is_wrong(path, f"{value!r:.60} is no {plain}")
        elif plain in NUMBERS and value < 0:
            self.negative.add(row)
            if not kind.signed:
                self._is_wrong(path, f"{value!r:.60} is below 0")

    def _is_wrong(self, path: str, why: str) -> None:
        self.wrong.setdefault(path, why)


def rows(of: Document) -> Iterator[tuple[str, Type, bool]]:
    """Each row, as `cache.bytes`, and its elements: the type, and whether it is never null."""
    for at, table in of.tables.items():
        for name, each in table.fields.items():
            yield f"{at}.{name}", each.type, each.never_null
            row, kind = f"{at}.{name}", each.type.elements or each.type.values
            while kind is not None:
                row = f"{row}[]"
                yield row, kind, not kind.may_be_null
                kind = kind.elements or kind.values
