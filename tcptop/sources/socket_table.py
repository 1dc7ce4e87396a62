"""Parses the text that describes all TCP sockets (sock_diag/look.py writes this text).

The text may come from a recording or a saved tree, so nothing in it is trusted.
"""

from __future__ import annotations

import errno
import os
import re
from collections import Counter
from collections.abc import Mapping, Sequence, Sized
from typing import Any, get_args

from tcptop.hosts.host import Host
from tcptop.snapshot import SOCKET_TABLE, SOCKETS_NOT_ASKED, Reading, ReadState
from tcptop.snapshot.socket_table import (
    Asked,
    HiddenBy,
    Listener,
    OwnerKind,
    SharedSockets,
    SocketCgroup,
    SocketGroup,
    SocketNamespace,
    SocketProcess,
    SocketTable,
)
from tcptop.sock_diag import FAST_OPEN_KIND, FIRST_LINE, SOCKETS_PATH
from tcptop.sock_diag.dump import STATE_NAMES
from tcptop.sock_diag.look import MAX_LINES_OF_A_KIND, MAX_SHARED_LINES
from tcptop.sources.source import AS_ROOT, Damage, FileSource, Pace, failed_reading, make_reading, parse_count, unread
from tcptop.text.printable import decode_text, printable, printable_name
from tcptop.text.units import grouped

ASKED: Mapping[str, Asked] = {word: word for word in get_args(Asked)}
HIDDEN_BY: Mapping[str, HiddenBy] = {word: word for word in get_args(HiddenBy)}
MAX_LINES = 100_000
KINDS_IN_WORDS: Mapping[str, str] = {
    "net": "network namespaces",
    "group": "groups",
    "listen": "listeners",
    "process": "processes",
    "cgroup": "cgroups",
    "user": "users",
}
DENIED = os.strerror(errno.EACCES)
"""The kernel's error text if only root may read the sockets."""
GONE = frozenset(os.strerror(number) for number in (errno.ENOENT, errno.ESRCH))
"""The kernel's error texts if the last process of a network namespace ended between two reads."""
MAX_BYTES = 1 << 62
MAX_WORD = (1 << 32) - 1
"""Largest amount for a single socket; the kernel gives each amount in 32 bits (struct inet_diag_msg,
INET_DIAG_SKMEMINFO).
"""


NOT_OF_ANOTHER_ROOT = (
    "sockets are asked of the kernel with the processes of tcptop's own /proc, not with those of --root;"
    " run tcptop who without it, in the host: nsenter -t 1 -a"
)
MAX_PATH_CHARACTERS = 4096
"""PATH_MAX. Paths of the cgroups of containers may have the same first 150 characters."""
NUMBERED = re.compile(r"\d+|.* \(\d+\)")
NO_NETLINK = frozenset({errno.EACCES, errno.EPERM, errno.EAFNOSUPPORT, errno.EPROTONOSUPPORT})
"""Errors that socket(2) or a request returns if seccomp, a sandbox or the kernel forbids sock_diag."""


class SocketTableSource(FileSource[SocketTable]):
    """A source that is read only at the user's request.

    `path` may contain options, such as `peers` for the networks of peers (`Ask` in sock_diag/look.py).
    """

    name = SOCKET_TABLE
    paths = (SOCKETS_PATH,)
    pace = Pace(min_period_s=5.0)
    makes_rates = True
    max_lines = MAX_LINES
    is_outside_budget = True

    def __init__(self, path: str = SOCKETS_PATH) -> None:
        self.paths = (path,)

    def not_needed_reason(self, others: Mapping[str, Reading[Any]]) -> str | None:  # noqa: ARG002 (as the base class)
        """Always returns a reason not to read the sockets, so that only `Sampler.ask_for` starts a read."""
        return SOCKETS_NOT_ASKED.reason

    async def read(self, host: Host) -> Reading[SocketTable]:
        """Reads and parses the text; if the read fails, `Reading.reason` says why."""
        if host.identity.live and host.identity.place is not None:
            return unread("refused", NOT_OF_ANOTHER_ROOT, 0)
        [file] = await host.read(self.paths)
        if file.error is not None:
            return unread(*_explain_error(file.error, host.identity.live), file.took_us)
        failed: Reading[SocketTable] | None = failed_reading(file)
        return failed or make_reading(*self.parse(decode_text(file.data or b"")), file.path, file.took_us)

    def parse_lines(self, lines: list[str], damages: list[Damage]) -> SocketTable:
        """Parses the text; lines that are not understood are left out.

        Raises ValueError for a text of another format.
        """
        if not lines or lines[0] != FIRST_LINE:
            raise ValueError(f"it does not begin with {FIRST_LINE!r}")
        parser = _Parser()
        bad = 0
        impossible: Counter[str] = Counter()
        for line in lines[1:]:
            kind, *columns = line.split("\t")
            parse = parser.kinds.get(kind)
            if parse is None:
                continue  # a later version of tcptop may write other kinds of lines
            try:
                parse(columns)
            except _ImpossibleLineError as error:
                impossible[str(error)] += 1
            except (ValueError, LookupError):
                bad += 1
        if parser.strays():
            impossible["no line describes their network namespace"] += parser.strays()
        damages += [Damage("cut", text) for text in parser.left_out[: len(KINDS_IN_WORDS)]]
        for reason, number in impossible.items():
            lines_are = "1 line is" if number == 1 else f"{grouped(number)} lines are"
            damages.append(Damage("strange", f"{lines_are} left out: {reason}"))
        if bad:
            what = (
                "1 line has an unknown format; it is" if bad == 1 else f"{bad} lines have an unknown format; they are"
            )
            damages.append(Damage("strange", f"{what} left out"))
        return parser.table()


class _ImpossibleLineError(ValueError):
    """Error raised when the text has a line that tcptop never writes; the message gives the reason."""


class _Parser:
    """Parses and collects the lines of the text; each kind of line has its own method."""

    def __init__(self) -> None:
        self._took_us = 0
        self._module = ""
        self._scope = ""
        self._processes = (0, 0)
        self._namespaces: list[SocketNamespace] = []
        self._listeners: list[Listener] = []
        self._groups: list[SocketGroup] = []
        self._process_of: dict[int, SocketProcess] = {}
        self._cgroup_of: dict[int, SocketCgroup] = {}
        self._user_of: dict[int, str] = {}
        self._shared: list[SharedSockets] = []
        self._unread_threads = 0
        self._hidden_by: dict[HiddenBy, None] = {}
        self._cgroups_visible: bool | None = None
        self.left_out: list[str] = []
        """A text for each kind of lines of which the look left out some, because there were too many."""
        self._inodes: set[int] = set()
        self._group_keys: set[tuple[str, ...]] = set()
        self.kinds = {
            "took_us": self._add_took,
            "module": self._add_module,
            "scope": self._add_scope,
            "hidden": self._add_hidden,
            "cgroups": self._add_cgroups,
            "processes": self._add_processes,
            "net": self._add_namespace,
            "listen": self._add_listener,
            "group": self._add_group,
            "process": self._add_process,
            "below": self._add_below,
            "cgroup": self._add_cgroup,
            "user": self._add_user,
            "shared": self._add_shared,
            "threads": self._add_threads,
            "left_out": self._add_left_out,
        }

    def table(self) -> SocketTable:
        """The socket table that the collected lines form."""
        paths = {number: cgroup.path for number, cgroup in self._cgroup_of.items()}
        return SocketTable(
            self._took_us,
            self._module,
            self._scope,
            *self._processes,
            self._named_namespaces(),
            tuple(each for each in self._listeners if self._has_namespace(each)),
            tuple(each for each in self._groups if self._has_namespace(each)),
            self._process_of,
            {number: self._cgroup_of[number]._replace(path=path) for number, path in _apart(paths).items()},
            _apart(self._user_of),
            tuple(self._shared),
            self._unread_threads,
            tuple(self._hidden_by),
            # Early versions did not record it; a container seldom sees all cgroups.
            self._scope != "container" if self._cgroups_visible is None else self._cgroups_visible,
        )

    def _named_namespaces(self) -> tuple[SocketNamespace, ...]:
        """The network namespaces; no two of them have the same name, and none has the name of tcptop's own, `here`."""
        names = _apart({each.inode: each.name for each in self._namespaces if each.inode is not None and each.name})
        return tuple(
            each
            if each.inode not in names
            else each._replace(name=names[each.inode] if each.name != "here" else f"here ({each.inode})")
            for each in self._namespaces
        )

    def strays(self) -> int:
        """Number of groups and listeners whose network namespace is missing in the text."""
        kinds: tuple[Sequence[Listener | SocketGroup], ...] = (self._listeners, self._groups)
        return sum(not self._has_namespace(each) for kind in kinds for each in kind)

    def _has_namespace(self, item: Listener | SocketGroup) -> bool:
        """True if the text has a line for the network namespace of the group or listener.

        The result is also True if the text has no line for any namespace, since such a text is incomplete anyway.
        """
        return not self._namespaces or item.namespace in self._inodes

    def _add_took(self, columns: list[str]) -> None:
        self._took_us = _count(columns[0])

    def _add_module(self, columns: list[str]) -> None:
        self._module = printable_name(columns[0])

    def _add_scope(self, columns: list[str]) -> None:
        self._scope = printable_name(columns[0])
        if self._scope == "container":
            self._hidden_by["pid_namespace"] = None  # early versions recorded no line `hidden`

    def _add_hidden(self, columns: list[str]) -> None:
        self._hidden_by[HIDDEN_BY.get(columns[0], "other")] = None

    def _add_processes(self, columns: list[str]) -> None:
        self._processes = (_count(columns[0]), _count(columns[1]))

    def _add_cgroups(self, columns: list[str]) -> None:
        self._cgroups_visible = columns[0] == "whole"

    def _add_namespace(self, columns: list[str]) -> None:
        inode, here, found_by, asked, counters, name, reason = columns
        _refuse_more(self._namespaces, "net")
        if here == "here" and any(each.is_here for each in self._namespaces):
            raise _ImpossibleLineError("another network namespace is tcptop's own already")
        number = _known(inode)
        if number in self._inodes:
            raise _ImpossibleLineError("the network namespace has a line already")
        pairs = (field.partition("=") for field in counters.split())
        self._namespaces.append(
            SocketNamespace(
                number,
                here == "here",
                printable_name(found_by),
                ASKED[asked],
                {key: _count(value) for key, _, value in pairs},
                printable_name(name),
                _plain_reason(reason),
            )
        )
        if number is not None:
            self._inodes.add(number)

    def _add_listener(self, columns: list[str]) -> None:
        namespace, family, port, queue, limit, drops, uid, cgroup, pid = columns
        _refuse_more(self._listeners, "listen")
        self._listeners.append(
            Listener(
                _count(namespace),
                _count(family),
                _count(port, 65535),
                _count(queue),
                _count(limit),
                _known(drops),
                _count(uid),
                _count(cgroup),
                _known(pid),
            )
        )

    def _add_group(self, columns: list[str]) -> None:
        namespace, family, state, mini, side, port, uid, cgroup, owner, sockets, sums, peer = columns
        kind, pid = _parse_owner(owner)
        rmem, fwd, wmem_queued, rqueue, wqueue, drops = sums.split(" ")
        _refuse_more(self._groups, "group")
        place, number = _count(namespace), _count(sockets)
        key = (*columns[:9], peer)
        if key in self._group_keys:
            raise _ImpossibleLineError("there is a line of the same group already")
        most = number * MAX_WORD
        group = SocketGroup(
            place,
            _count(family),
            STATE_NAMES[_count(state)],
            mini == "1",
            side == "server",
            None if port == "-" else _count(port, 65535),
            _count(uid),
            _count(cgroup),
            kind,
            pid,
            number,
            _count(rmem, most),
            -_count(fwd[1:], most) if fwd.startswith("-") else _count(fwd, most),
            _count(wmem_queued, most),
            _count(rqueue, most),
            _count(wqueue, most),
            _count(drops, most),
            printable_name(peer),
            mini == str(FAST_OPEN_KIND),
        )
        self._group_keys.add(key)
        self._groups.append(group)

    def _add_process(self, columns: list[str]) -> None:
        pid, descriptors, limit, whole, sockets, weight, command, *namespace = columns
        _refuse_more(self._process_of, "process")
        number = float(weight)
        if not 1 <= number <= 1e9:
            raise ValueError("not a weight")
        self._process_of[_count(pid)] = SocketProcess(
            _count(pid),
            _count(descriptors),
            _known(limit),
            whole == "whole",
            _count(sockets),
            number,
            printable_name(command),
            _known(namespace[0]) if namespace else None,  # early versions recorded no namespace
        )

    def _add_below(self, columns: list[str]) -> None:
        pid, number, error = map(_count, columns)
        process = self._process_of[pid]
        if number > process.descriptors:
            raise ValueError("more descriptors below the limit than there are")
        self._process_of[pid] = process._replace(below_limit=number, below_limit_error=error)

    def _add_cgroup(self, columns: list[str]) -> None:
        number, sock, kernel, path = columns
        _refuse_more(self._cgroup_of, "cgroup")
        self._cgroup_of[_count(number)] = SocketCgroup(
            printable_name(path, MAX_PATH_CHARACTERS), _known(sock), _known(kernel)
        )

    def _add_user(self, columns: list[str]) -> None:
        uid, name = columns
        _refuse_more(self._user_of, "user")
        self._user_of[_count(uid)] = printable_name(name)

    def _add_shared(self, columns: list[str]) -> None:
        pid, other_pid, sockets = columns
        if len(self._shared) >= MAX_SHARED_LINES:
            raise _ImpossibleLineError(
                f"a look lists at most {grouped(MAX_SHARED_LINES)} pairs of processes that share sockets"
            )
        self._shared.append(SharedSockets(_count(pid), _count(other_pid), _count(sockets)))

    def _add_left_out(self, columns: list[str]) -> None:
        kind, number = columns
        self.left_out.append(f"{_at_most_text(kind)}; {grouped(_count(number))} more are left out")

    def _add_threads(self, columns: list[str]) -> None:
        self._unread_threads = _count(columns[0])


def _explain_error(error: OSError, is_live: bool) -> tuple[ReadState, str]:
    """The state of a reading that failed with `error`, and a line that gives the reason."""
    text = printable(error.strerror or str(error))
    if not is_live and error.errno in (errno.ENOENT, errno.ENOTDIR):
        return "missing", "this saved tree has no list of its sockets; tcptop record --who keeps one"
    if error.errno == errno.ENOENT:
        return "missing", "the kernel tells no sockets: its module tcp_diag is not there, or may not be loaded"
    if error.errno in NO_NETLINK:
        return "refused", f"the kernel tells no sockets here (sock_diag): {text}"
    if not is_live:
        return "failed", f"the list of sockets in this saved tree cannot be read: {text}"
    return "failed", f"the kernel tells no sockets (sock_diag): {text}"


def _count(text: str, most: int = MAX_BYTES) -> int:
    """Parses a count of at most `most`; raises ValueError for any other text."""
    number = parse_count(text)
    if number > most:
        raise ValueError("more than its counter holds")
    return number


def _apart(name_of: Mapping[int, str]) -> dict[int, str]:
    """The names by number, each of them once, because they are keys of rows and labels of metrics.

    The number follows a name that several numbers have. It also follows a name that looks like a number or like a name
    with its number, so that no such name equals another one.
    """
    times = Counter(name_of.values())
    return {
        number: f"{name} ({number})" if times[name] > 1 or NUMBERED.fullmatch(name) else name
        for number, name in name_of.items()
    }


def _refuse_more(collected: Sized, kind: str) -> None:
    """Raises an error if `collected` already has the maximum number of lines of a kind."""
    if len(collected) >= MAX_LINES_OF_A_KIND[kind]:
        raise _ImpossibleLineError(_at_most_text(kind))


def _at_most_text(kind: str) -> str:
    return f"a look lists at most {grouped(MAX_LINES_OF_A_KIND[kind])} {KINDS_IN_WORDS[kind]}"


def _known(text: str) -> int | None:
    return None if text == "-" else _count(text)


def _parse_owner(text: str) -> tuple[OwnerKind, int | None]:
    """Parses the owner of a group: `none`, `unseen`, `whole:PID` or `sampled:PID`."""
    kind, colon, pid = text.partition(":")
    if kind in ("none", "unseen") and not colon:
        return ("none" if kind == "none" else "unseen"), None
    if kind in ("whole", "sampled") and colon:
        return ("whole" if kind == "whole" else "sampled"), _count(pid)
    raise ValueError("an unknown owner")


def _plain_reason(reason: str) -> str:
    """The reason why a network namespace could not be asked for its sockets, in plain words."""
    if reason in GONE:
        return "its last process ended during the look"
    if reason == DENIED and os.geteuid() != 0:
        return f"{reason}; root sees more: {AS_ROOT}"
    return printable_name(reason)
