"""Removes identifying details from recorded looks; a look is one query to the kernel for all TCP sockets.

The module sock_diag/look.py makes the text of a look. Addresses are always removed from the text. With --scrub, names
are also replaced by numbers. Lines of an unknown kind or format are left out.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from operator import add

from tcptop.hosts.host import FileRead
from tcptop.hosts.recording_host import HostAnswer
from tcptop.sampling.sampler import SourceRead
from tcptop.sock_diag import FIRST_LINE, PREFIX, SOCKETS_PATH
from tcptop.sock_diag.counters import EVENTS, SOCKSTAT, SYSCTLS
from tcptop.text.printable import decode_text

PEER_COLUMN = 11
GROUP_COLUMNS = 12

POD = re.compile(r"kubepods|pod[0-9a-f]{8}")
CGROUP_KINDS = ("service", "scope", "slice")

WORDS = (
    *(
        "here",
        "other",
        "process",
        "thread",
        "mount",
        "descriptor",
        "asked",
        "listeners",
        "cut",
        "refused",
        "server",
        "client",
    ),
    *("net", "group", "listen", "cgroup", "user"),
    *("pid_namespace", "hidepid", "part"),
    *("none", "unseen", "whole", "sample", "sampled", "machine", "container", "loaded", "loaded now", "builtin"),
)
"""Words in the text of all sockets that reveal nothing about the machine."""
PLAIN = re.compile(
    rf"-|(?:{'|'.join(WORDS)})|(?:whole|sampled):\d{{1,20}}|[-+.\de ]{{1,400}}"
    rf"|(?:(?:{'|'.join((*SOCKSTAT, *EVENTS, *SYSCTLS, 'unread_processes'))})=\d{{1,20}} ?)*",
    re.ASCII,
)
"""Matches a column that holds only numbers, one of WORDS, an owner such as `whole:17`, or counters such as
`NAME=17`."""

UNNAMED = {
    "took_us": 1,
    "module": 1,
    "scope": 1,
    "hidden": 1,
    "cgroups": 1,
    "processes": 2,
    "threads": 1,
    "left_out": 2,
}
"""Kinds of lines that hold no name, with the number of columns of each kind."""

NAMED = {
    "net": ((0, "namespace"),),
    "listen": ((0, "namespace"), (6, "uid"), (7, "cgroup"), (8, "pid")),
    "group": ((0, "namespace"), (6, "uid"), (7, "cgroup"), (8, "pid")),
    "process": ((0, "pid"), (7, "namespace")),
    "below": ((0, "pid"),),
    "cgroup": ((0, "cgroup"),),
    "shared": ((0, "pid"), (1, "pid")),
}
"""For each kind of line that is not in UNNAMED, the columns whose values are replaced by numbers. For each column, the
tuple has the index of the column and the kind of its values."""
COLUMNS = {"net": 7, "listen": 9, "group": GROUP_COLUMNS, "process": 8, "below": 3, "cgroup": 4, "shared": 3}
KEPT = {("uid", "0"), ("cgroup", "0")}
"""Numbers that are kept: the user ID of root, and 0 for an unknown cgroup."""


def forget_peers(read: SourceRead) -> SourceRead:
    """A copy of a read without the networks of peers.

    In the copy, the path of each answer is SOCKETS_PATH, even if the path in the original read contains options.
    """
    return read._replace(answers=tuple(map(_without_peers, read.answers)))


def _without_peers(answer: HostAnswer) -> HostAnswer:
    if not isinstance(answer, FileRead) or not answer.path.startswith(PREFIX):
        return answer
    data = answer.data
    if data is not None and answer.path != SOCKETS_PATH:
        data = b"\n".join(_join_peers(data.split(b"\n")))
    return answer._replace(path=SOCKETS_PATH, data=data)


def _join_peers(lines: Iterable[bytes]) -> Iterator[bytes]:
    """The lines of a text of all sockets; groups that differ only in the network of their peers become one group."""
    joined: dict[tuple[bytes, ...], list[int]] = {}
    for line in lines:
        kind, *columns = line.split(b"\t")
        if kind != b"group":
            # All groups of a namespace are on consecutive lines, so the next line of another kind shows that the groups
            # are complete. The last line of the text is never a group, so no group is forgotten.
            yield from _group_lines(joined)
            joined.clear()
            yield line
            continue
        *key, sockets, sums, _ = columns
        amounts = [int(sockets), *map(int, sums.split(b" "))]
        joined[tuple(key)] = list(map(add, joined.get(tuple(key), [0] * len(amounts)), amounts))


def _group_lines(joined: Mapping[tuple[bytes, ...], Sequence[int]]) -> Iterator[bytes]:
    for key, (sockets, *sums) in joined.items():
        yield b"\t".join([b"group", *key, b"%d" % sockets, b" ".join(b"%d" % amount for amount in sums), b""])


class SocketScrubber:
    """Replaces names and numbers in the readings of all sockets in one recording.

    A value keeps its number as long as each reading of the sockets contains the value. The value's number is forgotten
    as soon as a reading does not contain the value. A recording of weeks thus needs little memory.
    """

    def __init__(self) -> None:
        self._number_of: dict[tuple[str, str], int] = {}
        self._last: Counter[str] = Counter()

    def scrub(self, read: SourceRead) -> SourceRead:
        """A copy of a read without commands, paths, users and peers; identifying numbers are replaced."""
        return read._replace(answers=tuple(map(self._scrub_answer, read.answers)))

    def _scrub_answer(self, answer: HostAnswer) -> HostAnswer:
        if not isinstance(answer, FileRead) or not answer.path.startswith(PREFIX) or answer.data is None:
            return answer
        lines = decode_text(answer.data).split("\n")
        if lines[0] != FIRST_LINE:
            return answer._replace(data=b"")
        rows = [line.split("\t") for line in lines[1:]]
        known = [row for row in rows if len(row) - 1 == COLUMNS.get(row[0], UNNAMED.get(row[0])) and _is_plain(row)]
        self._number(known)
        text = "".join("\t".join(self._scrub_row(row)) + "\n" for row in known)
        return answer._replace(data=f"{FIRST_LINE}\n{text}".encode())

    def _number(self, rows: Iterable[list[str]]) -> None:
        """Numbers each value of the rows: known values keep their numbers, new values get the next numbers."""
        values = {(kind, row[1 + column].rpartition(":")[2]) for row in rows for column, kind in NAMED.get(row[0], ())}
        numbers = {each: self._number_of[each] for each in values & self._number_of.keys()}
        for each in sorted(values - numbers.keys(), key=lambda each: (each[0], len(each[1]), each[1])):
            kind, value = each
            if value.isdigit() and each not in KEPT:
                self._last[kind] += 1
                numbers[each] = self._last[kind]
        self._number_of = numbers

    def _scrub_row(self, row: list[str]) -> list[str]:
        kind = row[0]
        scrubbed = list(row)
        for column, what in NAMED.get(kind, ()):
            word, colon, value = row[1 + column].rpartition(":")
            number = self._number_of.get((what, value))
            scrubbed[1 + column] = f"{word}{colon}{value if number is None else number}"
        if kind == "net":
            scrubbed[6] = ""
            scrubbed[7] = "(scrubbed)" if row[7] else ""
        elif kind == "group":
            scrubbed[1 + PEER_COLUMN] = ""
        elif kind == "process":
            scrubbed[7] = f"process {scrubbed[1]}"
        elif kind == "cgroup":
            scrubbed[4] = _cgroup_name(row[4], scrubbed[1])
        return scrubbed


def _is_plain(row: list[str]) -> bool:
    """True if every column that is not replaced holds only numbers and WORDS."""
    replaced = {"net": (6, 7), "group": (1 + PEER_COLUMN,), "process": (7,), "cgroup": (4,)}.get(row[0], ())
    return all(PLAIN.fullmatch(cell) for index, cell in enumerate(row) if index and index not in replaced)


def _cgroup_name(path: str, number: str) -> str:
    """A name for a cgroup, made of its kind and its number; the root stays `/`."""
    if path == "/":
        return path
    if POD.search(path):
        return f"pod {number}"
    ending = path.rpartition(".")[2]
    return f"{ending if ending in CGROUP_KINDS else 'cgroup'} {number}"
