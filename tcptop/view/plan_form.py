"""The form of the plan screen: the fields in which the user types, and the request that the fields make."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Literal, NamedTuple

from tcptop.ledger.plan import PlannedFamily, PlanRequest, Side
from tcptop.text.quantities import parse_count, parse_planned_buffers, parse_positive_count

MAX_CHARACTERS = 14
NOW = "now"
COUNT_CHARACTERS = "0123456789.kKMG"
SIZE_CHARACTERS = "0123456789.kKmMgGtTiIbB"
NO_OR_YES = {"no": False, "yes": True}
SIDES: Mapping[str, Side] = {"server": "accepted", "client": "outgoing", "proxy": "proxy", "mixed": "mixed"}
"""The names of a connection's sides: maps the name in the form and in the option to the name in the JSON output."""
FAMILIES: Mapping[str, PlannedFamily] = {"IPv4": "ipv4", "IPv6": "ipv6", NOW: "mix"}
BUFFERS = "buffer_bytes"
CONNTRACK = "conntrack"
NO_CONNTRACK = "--no-conntrack"


class PlanField(NamedTuple):
    """A field of the form, either for a number that the user types or for a choice."""

    name: str
    """Name of the form's field in PlanRequest."""
    label: str
    option: str
    """The option of `tcptop plan` that sets the same value as this field."""
    parse: Callable[[str], int | Literal["now"]] | None = None
    """Parser of the typed text; None if the field is a choice."""
    characters: str = ""
    """Characters that a number may have; any other character is refused."""
    words: Mapping[str, str] = MappingProxyType({})
    """Maps a key to the word that this one key types, such as `n` to `now`."""
    choices: Mapping[str, str | bool] | None = None
    """Maps each text that the field shows to the value that the text stands for. Except for conntrack, the first value
    is the default of `tcptop plan`."""
    meaning: str = ""


FIELDS: tuple[PlanField, ...] = (
    PlanField(
        "connections",
        "connections",
        "--connections",
        parse_positive_count,
        COUNT_CHARACTERS,
        meaning="20000, 300K, 2M",
    ),
    PlanField(
        BUFFERS,
        "buffers",
        "--buffers",
        parse_planned_buffers,
        SIZE_CHARACTERS,
        {"n": NOW},
        meaning="a typed size is all data; n: as now",
    ),
    PlanField(
        "time_wait",
        "TIME_WAIT",
        "--time-wait",
        parse_count,
        COUNT_CHARACTERS,
        meaning="closed here per second × 60 s: 2 000 per s are 120K",
    ),
    PlanField(
        "side",
        "side",
        "--side",
        choices=SIDES,
        meaning="mixed: half client; proxy: both",
    ),
    PlanField("family", "family", "--family", choices=FAMILIES, meaning="IPv4, IPv6, or as the sockets now"),
    PlanField("with_conntrack", CONNTRACK, "--conntrack", choices=NO_OR_YES, meaning="the firewall tracks them"),
    PlanField("with_epoll", "epoll", "--epoll", choices=NO_OR_YES, meaning="each socket in one epoll set"),
    PlanField("with_ktls", "kTLS", "--ktls", choices=NO_OR_YES, meaning="as --lab FILE measured it"),
)


@dataclass(frozen=True, slots=True)
class PlanForm:
    """The texts of all fields, the index of the field with the cursor, and the last valid request."""

    request: PlanRequest
    """The request that the texts of the fields describe; if a text is invalid, the last valid request."""
    reason: str
    """The reason for the present number of connections; empty after the user has changed the number."""
    texts: tuple[str, ...]
    index: int = 0
    fresh: bool = True
    """True if the next character replaces the field's text, because the cursor has just come to the field."""
    refused: str = ""
    """The last typed or pasted text, if it was refused because it cannot be part of a number; empty if it was accepted.
    """

    @property
    def field(self) -> PlanField:
        """The field with the cursor."""
        return FIELDS[self.index]

    @property
    def mistake(self) -> str | None:
        """Says what is allowed in the field whose text was refused or is invalid; None if there is no such field."""
        if self.refused:
            return f"{self.field.label}: digits and {' '.join(self.field.characters[10:])}, not {self.refused!r}"
        return self.invalid

    @property
    def invalid(self) -> str | None:
        """Says what the first field with an invalid text accepts; None if all texts are valid."""
        for field, text in zip(FIELDS, self.texts, strict=True):
            try:
                _value(field, text)
            except ValueError as error:
                return f"{field.label}: {error}"
        return None

    def command(self, tracks_flows: bool) -> str:
        """Command line of `tcptop plan` for the same request; `tracks_flows` is the command's default for conntrack."""
        words = ["tcptop plan"]
        for field in FIELDS:
            value = getattr(self.request, field.name)
            names = [name for name, choice in (field.choices or {}).items() if choice == value]
            if field.label == CONNTRACK:
                words += [] if value == tracks_flows else [field.option if value else NO_CONNTRACK]
            elif value is True:
                words.append(field.option)
            elif value and value != next(iter((field.choices or {}).values()), None):
                words.append(f"{field.option} {names[0].lower() if names else value}")
        return " ".join(words)

    def go(self, step: int) -> PlanForm:
        """Moves the cursor to the next field if `step` is 1, or to the previous field if `step` is -1."""
        return replace(self, index=(self.index + step) % len(FIELDS), fresh=True, refused="")

    def choose(self, step: int) -> PlanForm:
        """Switches a choice to its next or previous value; leaves a number unchanged."""
        if self.field.choices is None:
            return replace(self, refused="")
        names = list(self.field.choices)
        return self._with_text(names[(names.index(self.texts[self.index]) + step) % len(names)])

    def type(self, text: str) -> PlanForm:
        """Adds typed or pasted text to a number; the first text after a move of the cursor replaces the number.

        If one character of the text cannot be part of a number, the whole text is refused. The text of a word key, such
        as `now`, replaces the number.
        """
        field, old, text = self.field, self.texts[self.index], text.replace(" ", "")
        if field.parse is None or not text:
            return self
        word = field.words.get(text, text)
        if word in field.words.values():
            return self._with_text(word)
        if not set(text) <= set(field.characters):
            printable = "".join(each if each.isascii() and each.isprintable() else "?" for each in text)
            return replace(self, refused=printable[:MAX_CHARACTERS])
        before = "" if self.fresh or old in field.words.values() else old
        return self._with_text(f"{before}{text}"[:MAX_CHARACTERS])

    def erase(self) -> PlanForm:
        """Removes the last character of a number, or a whole word."""
        field, old = self.field, self.texts[self.index]
        if field.parse is None:
            return self
        return self._with_text("" if old in field.words.values() else old[:-1])

    def _with_text(self, text: str) -> PlanForm:
        texts = (*self.texts[: self.index], text, *self.texts[self.index + 1 :])
        reason = self.reason if self.index else ""
        return replace(
            self, request=_request(texts) or self.request, reason=reason, texts=texts, fresh=False, refused=""
        )


def plan_form(request: PlanRequest, reason: str) -> PlanForm:
    """Makes the form that shows a request."""
    texts: list[str] = []
    for field in FIELDS:
        value = getattr(request, field.name)
        names = [name for name, choice in (field.choices or {}).items() if choice == value]
        texts.append(names[0] if names else str(value))
    return PlanForm(request, reason, tuple(texts))


def _value(field: PlanField, text: str) -> int | str | bool:
    return field.parse(text) if field.parse is not None else (field.choices or {})[text]


def _request(texts: Sequence[str]) -> PlanRequest | None:
    """The request that the texts of the fields describe; None if a text is invalid."""
    try:
        values = {field.name: _value(field, text) for field, text in zip(FIELDS, texts, strict=True)}
    except ValueError:
        return None
    return PlanRequest(**values)  # type: ignore[arg-type]
