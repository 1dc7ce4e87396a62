"""Writes the manual pages in packaging/man from the parsers and the prose here: `python -m scripts.make_manual`."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from itertools import groupby
from pathlib import Path
from typing import NamedTuple

from scripts.command_parsers import command_parsers
from scripts.release_date import release_date
from tcptop import __version__
from tcptop.commands.common import Parser
from tcptop.screen.keys import LIVE_BINDINGS, SORT_MEANING, help_keys
from tcptop.text.own_command import as_root

PROJECT = Path(__file__).resolve().parents[1]
FOLDER = PROJECT / "packaging" / "man"
ROOT_COMMAND = "sudo tcpmemtop"
"""The command for root in the manual, whatever the path of this script is."""

SORT_LETTERS = "sort by a column, with slabtop's letters; again reverses"
"""Words that replace the help's references to its next lines."""

Rows = Sequence[tuple[str, str]]


class Prose(NamedTuple):
    """The texts of a page that do not come from the parser."""

    summary: str
    """The line of the section NAME, which apropos searches."""
    exit_codes: Rows = (("0", "It did what was asked."), ("1", "An error, which one line on standard error says."))
    files: Rows = ()
    see_also: Sequence[str] = ()
    """Subcommands to which the page refers the reader."""
    notes: str = ""


SETTINGS = (
    "~/.config/tcptop/config.toml",
    "Settings: the interval, the theme, columns, and thresholds of limits. $XDG_CONFIG_HOME is in place of ~/.config.",
)
LIVE_FILES: Rows = (
    ("/proc/slabinfo", "The counts of the slab caches, which root alone may read."),
    ("/proc/net/sockstat, /proc/buddyinfo, /proc/zoneinfo, /sys/kernel/slab", "What everyone may read."),
)

PROSE: dict[str, Prose] = {
    "": Prose(
        "kernel memory of TCP connections, live",
        files=(*LIVE_FILES, SETTINGS),
        see_also=("explain", "plan", "who", "check", "record", "diff", "exporter", "lab", "export", "import"),
        notes="Two programs are called tcptop. The one of bcc shows the throughput of each session: tcptop-bpfcc in"
        " bpfcc-tools, /usr/sbin/tcptop in libbpf-tools. sudo may find that one first;"
        " tcpmemtop is always this program.",
    ),
    "lab": Prose(
        "measure what each TCP state costs this kernel",
        see_also=("diff", "explain"),
        notes="It needs root, and runs in a network namespace of its own, which ends with it.",
    ),
    "record": Prose(
        "keep what tcptop reads in a file",
        files=(*LIVE_FILES, ("FILE-journal", "Beside a recording after a kill; it belongs to it.")),
        see_also=("export", "import", "diff"),
        notes="The recording is one SQLite file, which can be copied at any time.",
    ),
    "export": Prose("write samples of a recording as folders", see_also=("import", "record")),
    "import": Prose("make a recording of saved trees or of a part of another", see_also=("export", "record")),
    "explain": Prose("explain words of the screen and kernel objects of TCP", see_also=("lab",)),
    "diff": Prose("what changed between two moments, machines or lab results", see_also=("record", "lab")),
    "plan": Prose(
        "what further TCP connections would take",
        exit_codes=(
            ("0", "The connections fit."),
            ("1", "They do not fit."),
            ("2", "It cannot be said, or the call is wrong."),
        ),
        files=(SETTINGS,),
        see_also=("check",),
    ),
    "check": Prose(
        "check limits on sockets as a monitoring plugin",
        exit_codes=(("0", "OK"), ("1", "WARNING"), ("2", "CRITICAL"), ("3", "UNKNOWN, or a wrong call")),
        files=(SETTINGS,),
        see_also=("plan", "exporter"),
    ),
    "who": Prose("who holds the TCP sockets", see_also=("record",)),
    "exporter": Prose("metrics of TCP memory for Prometheus", see_also=("check",), files=LIVE_FILES),
}


def manual() -> dict[str, str]:
    """Maps the name of each file of the manual to its text."""
    return {f"{_page_name(name)}.1": _page(name, parser) for name, parser in command_parsers().items()}


def _page_name(command: str) -> str:
    return f"tcptop-{command}" if command else "tcptop"


def _page(command: str, parser: Parser) -> str:
    prose = PROSE[command]
    name = _page_name(command)
    names = name if command else f"tcpmemtop, {name}"
    sections: list[tuple[str, Iterator[str]]] = [
        ("NAME", iter([rf"{_text(names)} \- {_text(prose.summary)}"])),
        ("SYNOPSIS", _synopsis(parser, bool(command))),
        ("DESCRIPTION", _paragraphs(f"{parser.description}\n\n{prose.notes}")),
        ("OPTIONS", _options(parser)),
        ("NOTES" if command else "COMMANDS", _paragraphs(parser.epilog or "")),
    ]
    if not command:
        sections.append(("KEYS", _keys()))
    sections += [
        ("EXAMPLES", _rows(parser.examples)),
        ("FILES", _rows(prose.files)),
        ("EXIT STATUS", _rows(prose.exit_codes)),
        ("SEE ALSO", _see_also(command, prose.see_also)),
    ]
    lines = [f'.TH {name.upper()} 1 {release_date()} "tcptop {__version__}" "User Commands"']
    for title, body in sections:
        found = list(body)
        lines += [f".SH {title}", *found] if found else []
    return "\n".join(lines) + "\n"


def _text(text: str) -> str:
    """The text with escapes, so that roff prints the text unchanged."""
    escaped = text.replace(as_root(), ROOT_COMMAND).replace("\\", r"\e").replace("-", r"\-").replace("'", r"\(aq")
    return "\n".join(rf"\&{line}" if line.startswith(".") else line for line in escaped.split("\n"))


def _synopsis(parser: Parser, has_command: bool) -> Iterator[str]:
    usage = parser.format_usage().removeprefix("usage: ").removeprefix(parser.prog)
    yield rf".B {_text(parser.prog)}"
    yield _text(" ".join(usage.split()))
    if not has_command:
        yield ".PP"
        yield ".B tcptop"
        yield r".RB [ help ]"
        yield r".I COMMAND"
        yield r"\&.\|.\|."


def _paragraphs(text: str) -> Iterator[str]:
    """Paragraphs of a text. Indented lines and lines of a list of commands are not joined."""
    for number, paragraph in enumerate(filter(None, text.strip().split("\n\n"))):
        if number:
            yield ".PP"
        if paragraph.startswith("tcptop ") or "\ntcptop " in paragraph:
            yield from (".nf", _text(paragraph), ".fi")
            continue
        for is_indented, lines in groupby(paragraph.splitlines(), lambda line: line.startswith("  ")):
            found = "\n".join(map(_text, lines))
            yield from (".nf", found, ".fi") if is_indented else (found,)


def _options(parser: Parser) -> Iterator[str]:
    for action in parser._actions:
        if action.help == argparse.SUPPRESS:
            continue
        names = ", ".join(rf"\fB{_text(name)}\fR" for name in action.option_strings)
        value = _value(action)
        yield ".TP"
        yield " ".join(filter(None, [names, rf"\fI{_text(value)}\fR" if value else ""]))
        yield _text(parser._get_formatter()._expand_help(action))


def _value(action: argparse.Action) -> str:
    if action.nargs == 0:
        return ""
    if action.metavar is not None:
        return str(action.metavar)
    return "|".join(action.choices) if action.choices is not None else action.dest


def _keys() -> Iterator[str]:
    for group, keys in help_keys(LIVE_BINDINGS):
        yield f".SS {group}"
        for names, meaning in keys:
            yield from (".TP", rf"\fB{_text(names)}\fR", _text(SORT_LETTERS if meaning == SORT_MEANING else meaning))


def _rows(rows: Rows) -> Iterator[str]:
    for term, meaning in rows:
        yield from (".TP", rf"\fB{_text(term)}\fR", _text(meaning))


def _see_also(command: str, others: Sequence[str]) -> Iterator[str]:
    pages = [*sorted(map(_page_name, others)), *(["tcptop"] if command else ["slabtop", "ss"])]
    sections = {"ss": "8"}
    for page in pages:
        comma = "" if page == pages[-1] else ","
        yield rf".BR {_text(page)} ({sections.get(page, '1')}){comma}"


if __name__ == "__main__":
    for name, text in manual().items():
        (FOLDER / name).write_text(text, encoding="utf-8")
