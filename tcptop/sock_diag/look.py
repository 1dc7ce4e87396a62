"""Reads all TCP sockets of this machine into a text: namespaces, listeners, groups of sockets, and their owners.

The host returns the text, a recording keeps the text, and `sources/socket_table.py` parses it. The first line of the
text is FIRST_LINE. Every line after the first has the kind of the line, followed by its columns, all separated by tabs.
An unknown number is `-`.
"""

from __future__ import annotations

import errno
import operator
import os
import socket
import time
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from typing import NamedTuple

from tcptop.sock_diag import FAST_OPEN_KIND, FIRST_LINE, PREFIX, SOCKETS_PATH
from tcptop.sock_diag.cgroups import MAX_FOLDERS, find_cgroups
from tcptop.sock_diag.counters import read_counters, read_ephemeral_ports, read_own_sysctls
from tcptop.sock_diag.descriptors import MAX_IN_ALL, OwnerSample, sample_owners
from tcptop.sock_diag.dump import LISTEN_MASK, UNLISTENING_MASK, dump_datagrams, dump_request, open_diag_socket
from tcptop.sock_diag.fold import MAX_GROUPS, NO_INODE, NOT_SAMPLED, Fold, Group, GroupKey
from tcptop.sock_diag.listeners import ListenerRow, listener_rows
from tcptop.sock_diag.net_namespaces import (
    NetNamespace,
    add_held,
    call_in_thread,
    find_namespaces,
    list_pids,
)
from tcptop.sock_diag.visibility import hidden_processes
from tcptop.text.printable import decode_text, printable

TIME_LIMIT_S = 10.0
WHOLE_SHARE = 0.99
"""Namespaces are read from the largest to the smallest. As soon as this share of the machine's sockets has been read,
all further namespaces count as small."""
SMALL_BUDGET_US = 100_000
SMALL_SHARE = 0.5
"""Limit on the CPU time for small namespaces: the larger of SMALL_BUDGET_US and SMALL_SHARE of the CPU time for large
namespaces."""
CGROUPS_WITH_MEMORY = 50
"""Number of cgroups whose memory.stat is read; the cgroups with the most sockets are chosen."""
MAX_NAMESPACES = 1_000
MAX_GROUPS_IN_ALL = MAX_GROUPS * 11 // 10
"""Maximum number of groups of all namespaces together. A dump has up to MAX_GROUPS groups of a single port, and a few
more groups that each join the sockets of many ports.
"""
MAX_LISTENERS = 20_000
MAX_SHARED_LINES = 1_000
MAX_USERS = 10_000
MAX_LINES_OF_A_KIND: Mapping[str, int] = {
    "net": MAX_NAMESPACES,
    "group": MAX_GROUPS_IN_ALL,
    "listen": MAX_LISTENERS,
    "process": MAX_IN_ALL,
    "cgroup": MAX_FOLDERS,
    "user": MAX_USERS,
}
"""Maximum number of lines of each kind in a look; sources/socket_table.py refuses more."""
SAMPLED_BIT = 1
FIRST_SHARED = -2
"""Owner number of the first set of processes that share sockets. Each further set of processes that share sockets has
the next lower number."""


class Ask(NamedTuple):
    """The options of a request for all sockets."""

    with_peers: bool = False
    here_only: bool = False
    """True if other network namespaces are left out."""
    exact_pid: int | None = None
    """Process whose descriptors are all looked up, without sampling."""

    @property
    def path(self) -> str:
        """The path that stands for the request.

        To read the path, a host reads the sockets with the options of the request.
        """
        words = [",peers" if self.with_peers else "", ",here" if self.here_only else ""]
        exact = "" if self.exact_pid is None else f",exact={self.exact_pid}"
        return SOCKETS_PATH + "".join(words) + exact


def parse_ask(path: str) -> Ask:
    """The request that a path stands for; raises FileNotFoundError if the path does not stand for a request."""
    name, *words = path.removeprefix(PREFIX).split(",")
    exact = next((word.removeprefix("exact=") for word in words if word.startswith("exact=")), None)
    ask = Ask("peers" in words, "here" in words, int(exact) if exact is not None and exact.isdigit() else None)
    if name != "sockets" or ask.path != path:
        raise FileNotFoundError(errno.ENOENT, "No such look", path)
    return ask


class Dumped(NamedTuple):
    """The sockets of one network namespace."""

    counters: Mapping[str, int]
    listeners: Sequence[ListenerRow]
    groups: Sequence[Group]
    is_dumped: bool
    cut_reason: str | None


def look(ask: Ask) -> tuple[bytes, int]:
    """Reads the sockets; returns the text and the CPU time in microseconds.

    Raises OSError if the kernel does not answer at all, for example EPROTONOSUPPORT if the kernel has no sock_diag.
    """
    lines: list[str] = []
    own_us = call_in_thread(lambda: lines.extend(bounded_lines(_Look(ask).lines())))[1]
    others_us = sum(int(line.split("\t")[1]) for line in lines if line.startswith("thread_us\t"))
    took_us = own_us + others_us
    lines = [FIRST_LINE, f"took_us\t{took_us}", *(line for line in lines if not line.startswith("thread_us\t"))]
    return ("\n".join(lines) + "\n").encode("utf-8", "replace"), took_us


def bounded_lines(lines: Iterable[str]) -> Iterator[str]:
    """The lines, at most MAX_LINES_OF_A_KIND of each kind, and then for each kind the number of lines left out.

    After the first namespace that is left out, all listeners and groups belong to namespaces that are left out.
    """
    written: Counter[str] = Counter()
    left_out: Counter[str] = Counter()
    for line in lines:
        kind = line.partition("\t")[0]
        most = MAX_LINES_OF_A_KIND.get(kind)
        if most is not None and (written[kind] >= most or (left_out["net"] and kind in ("listen", "group"))):
            left_out[kind] += 1
            continue
        written[kind] += 1
        yield line
    for kind, number in left_out.items():
        yield f"left_out\t{kind}\t{number}"


class _Look:
    def __init__(self, ask: Ask) -> None:
        self._ask = ask
        self._deadline_s = time.monotonic() + TIME_LIMIT_S
        self._large_us = self._small_us = 0
        self._shared_sockets: Counter[tuple[int, int]] = Counter()

    def lines(self) -> Iterator[str]:
        state_before = module_state()
        pids = list_pids()
        namespaces, processes, unread_threads = find_namespaces(pids)
        hidden = [*hidden_processes(pids)]
        yield f"scope\t{'here' if self._ask.here_only else 'container' if 'pid_namespace' in hidden else 'machine'}"
        yield from (f"hidden\t{reason}" for reason in hidden)
        if self._ask.here_only:
            namespaces = namespaces[:1]
        counters = {each: read_counters(each.counters) if each.counters else {} for each in namespaces}
        with_sockets = {each.inode for each in namespaces if _sockets(counters[each]) or each.counters is None}
        # Most processes hold only sockets of their own namespace; socket activation is an exception. Processes whose
        # own namespace has sockets are therefore read early. The first process found with a socket counts as the
        # socket's owner, so `exact_pid` comes first.
        exact = self._ask.exact_pid
        processes.sort(key=lambda each: (each.pid != exact, each.namespace not in with_sockets))
        samples, unread_pids, held = sample_owners((each.pid for each in processes), exact)
        if not self._ask.here_only:
            namespaces = add_held(namespaces, held)
            yield f"threads\t{unread_threads}"
        yield f"processes\t{len(processes)}\t{len(unread_pids)}"
        namespace_of = {process.pid: process.namespace for process in processes}
        unread_in = Counter(process.namespace for process in processes if process.pid in unread_pids)
        owners = index_owners(samples)
        total = sum(map(_sockets, counters.values()))
        few = (1 - WHOLE_SHARE) * total
        covered = 0
        sockets_of: dict[int, int] = {}
        users: set[int] = set()
        known = counters.get
        for namespace in sorted(namespaces, key=lambda each: (-_sockets(known(each, {})), not each.is_here)):
            is_small = covered >= WHOLE_SHARE * total
            has_time = self._small_us <= max(SMALL_BUDGET_US, SMALL_SHARE * self._large_us)
            try:
                dumped, took_us = self._ask_namespace(
                    namespace, owners.owner_of, few, not is_small or has_time or namespace.is_here
                )
            except OSError as error:
                if namespace.is_here:
                    raise
                yield _namespace_line(namespace, "refused", known(namespace, {}), error.strerror or str(error))
                continue
            yield f"thread_us\t{took_us}"
            added = {"unread_processes": unread_in[namespace.inode]}
            if (allocated := known(namespace, {}).get("alloc")) is not None:
                added["alloc_before"] = allocated
            dumped = dumped._replace(counters={**dumped.counters, **added})
            if is_small:
                self._small_us += took_us
            else:
                self._large_us += took_us
            if dumped.is_dumped:
                covered += _sockets(dumped.counters)
            groups = self._single_owners(dumped.groups, owners)
            for group in groups:
                cgroup = group.key.cgroup
                sockets_of[cgroup] = sockets_of.get(cgroup, 0) + group.sockets
                users.add(group.key.uid)
            for row in dumped.listeners:
                sockets_of[row.cgroup] = sockets_of.get(row.cgroup, 0) + 1
                users.add(row.uid)
            asked = "cut" if dumped.cut_reason else "asked" if dumped.is_dumped else "listeners"
            yield _namespace_line(namespace, asked, dumped.counters, dumped.cut_reason or "")
            for row in dumped.listeners:
                owner = owners.owner_of.get(row.inode, NOT_SAMPLED)
                yield _listener_line(namespace, row, self._single_owner(owner, 1, owners))
            yield from (_group_line(namespace, group) for group in groups)
        yield f"module\t{describe_module(state_before, module_state())}"
        yield from (_process_line(sample, namespace_of[sample.pid]) for sample in samples)
        for pid, below in ((each.pid, each.below_limit) for each in samples):
            if below is not None:
                yield f"below\t{pid}\t{below.number}\t{below.error}"
        for (pid, other), number in self._shared_sockets.most_common(MAX_SHARED_LINES):
            yield f"shared\t{pid}\t{other}\t{number}"
        yield from self._cgroup_lines(sockets_of)
        yield from _user_lines(users)

    def _single_owners(self, groups: Sequence[Group], owners: Owners) -> list[Group]:
        """The groups, the largest first.

        A group that several processes share becomes a group of the first of these processes.
        """
        merged: dict[GroupKey, Group] = {}
        for group in groups:
            key = group.key._replace(owner=self._single_owner(group.key.owner, group.sockets, owners))
            other = merged.get(key)
            if other is None:
                merged[key] = group._replace(key=key)
            else:
                sums = tuple(map(operator.add, other.sums, group.sums))
                merged[key] = Group(key, other.sockets + group.sockets, sums)
        return sorted(merged.values(), key=lambda group: -group.sockets)

    def _single_owner(self, owner: int, sockets: int, owners: Owners) -> int:
        """The first of the processes that share sockets.

        For every other process of the set, counts the sockets that the process shares with the first process.
        """
        if owner > FIRST_SHARED:
            return owner
        shared = owners.shared[FIRST_SHARED - owner]
        for pid in shared.other_pids:
            self._shared_sockets[shared.first >> 1, pid] += sockets
        return shared.first

    def _ask_namespace(
        self, namespace: NetNamespace, owner_of: Mapping[int, int], few: float, dump_all: bool
    ) -> tuple[Dumped, int]:
        if namespace.inode is None:
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
        return call_in_thread(lambda: self._dump(owner_of, few, dump_all), namespace)

    def _dump(self, owner_of: Mapping[int, int], few: float, dump_all: bool) -> Dumped:
        """Asks the namespace of the calling thread for its listeners.

        If `dump_all` is set, or the namespace has more than `few` sockets, asks for all sockets.
        """
        listeners: list[ListenerRow] = []
        with open_diag_socket() as diag:
            cut_reason = self._receive(diag, LISTEN_MASK, lambda rows: listeners.extend(listener_rows(rows)))
            counters = {**read_counters(), **read_own_sysctls()}
            sockets = _sockets(counters)
            dump_all = cut_reason is None and (dump_all or sockets > few or sockets <= len(listeners))
            fold = Fold(owner_of, {row.port for row in listeners}, read_ephemeral_ports(), self._ask.with_peers)
            if dump_all:
                cut_reason = self._receive(diag, UNLISTENING_MASK, fold.add)
        if len(listeners) > MAX_LISTENERS:
            cut_reason = f"of {len(listeners)} listeners, {MAX_LISTENERS} are listed"
        return Dumped(counters, listeners[:MAX_LISTENERS], fold.groups(), dump_all, cut_reason)

    def _receive(self, diag: socket.socket, states: int, add: Callable[[memoryview], None]) -> str | None:
        """Adds the rows of a dump; if the dump was cut short, returns the reason."""
        try:
            for rows in dump_datagrams(diag, dump_request(states), self._deadline_s):
                add(rows)
        except TimeoutError:
            return f"the dump was ended after {TIME_LIMIT_S:.0f} s"
        return None

    @staticmethod
    def _cgroup_lines(sockets_of: Mapping[int, int]) -> Iterator[str]:
        largest = sorted(sockets_of, key=lambda each: -sockets_of[each])[:CGROUPS_WITH_MEMORY]
        cgroups, all_visible = find_cgroups(sockets_of.keys(), largest)
        yield f"cgroups\t{'whole' if all_visible else 'part'}"
        for number, cgroup in sorted(cgroups.items()):
            memory = "\t".join(map(_number, (cgroup.sock_bytes, cgroup.kernel_bytes)))
            yield f"cgroup\t{number}\t{memory}\t{printable(cgroup.path)}"


def module_state() -> str:
    """The state of the kernel module tcp_diag: `loaded`, `builtin`, or `absent` if no file shows the module."""
    if os.path.isdir("/sys/module/tcp_diag"):
        return "loaded"
    with suppress(OSError), open(f"/lib/modules/{os.uname().release}/modules.builtin", "rb") as file:
        if b"/tcp_diag.ko" in file.read(1 << 20):
            return "builtin"
    return "absent"


def describe_module(before: str, after: str) -> str:
    """The state of the module tcp_diag after a dump; `loaded now` if the kernel loaded the module for the dump.

    If no file shows the module even after a successful dump, the module must be built in.
    """
    if before != "absent":
        return before
    return "builtin" if after == "absent" else "loaded now"


class SharedOwner(NamedTuple):
    """A set of processes that share sockets, for example after fork(2)."""

    first: int
    """The one owner for whom the sockets are counted, as a number: 2 · PID, plus SAMPLED_BIT if the sockets were drawn
    at random."""
    other_pids: tuple[int, ...]


class Owners(NamedTuple):
    """The owners of the sampled sockets."""

    owner_of: dict[int, int]
    """Maps the inode of a socket to its owner, in the form of `SharedOwner.first`. A socket of several processes is
    mapped to FIRST_SHARED minus the index of these processes in `shared`."""
    shared: list[SharedOwner]


def index_owners(samples: Iterable[OwnerSample]) -> Owners:
    """The owner of each sampled socket. A socket of several processes (after fork(2)) belongs to the first process."""
    owner_of: dict[int, int] = {}
    others: dict[int, list[int]] = {}
    for sample in samples:
        for inodes, bit in ((sample.low + sample.undrawn, 0), (sample.sampled, SAMPLED_BIT)):
            for inode in inodes:
                first = owner_of.setdefault(inode, sample.pid << 1 | bit)
                if first >> 1 != sample.pid:
                    pids = others.setdefault(inode, [])
                    if sample.pid not in pids[-1:]:  # a process may have several descriptors of one socket
                        pids.append(sample.pid)
    place_of: dict[SharedOwner, int] = {}
    for inode, pids in others.items():
        place = place_of.setdefault(SharedOwner(owner_of[inode], tuple(pids)), len(place_of))
        owner_of[inode] = FIRST_SHARED - place
    return Owners(owner_of, list(place_of))


def _sockets(counters: Mapping[str, int]) -> int:
    return sum(counters.get(name, 0) for name in ("inuse", "inuse6", "tw"))


def _number(value: int | None) -> str:
    return "-" if value is None else str(value)


def _namespace_line(namespace: NetNamespace, asked: str, counters: Mapping[str, int], reason: str) -> str:
    columns = (
        "net",
        _number(namespace.inode),
        "here" if namespace.is_here else "other",
        namespace.found_by,
        asked,
        " ".join(f"{name}={value}" for name, value in counters.items()),
        printable(namespace.name),
        printable(reason),
    )
    return "\t".join(columns)


def _listener_line(namespace: NetNamespace, row: ListenerRow, owner: int) -> str:
    pid = owner >> 1 if owner > 0 else None
    columns = (namespace.inode, row.family, row.port, row.queue, row.limit, row.drops, row.uid, row.cgroup, pid)
    return "listen\t" + "\t".join(map(_number, columns))


def _group_line(namespace: NetNamespace, group: Group) -> str:
    key = group.key
    owner = {NO_INODE: "none", NOT_SAMPLED: "unseen"}.get(key.owner)
    if owner is None:
        owner = f"{'sampled' if key.owner & SAMPLED_BIT else 'whole'}:{key.owner >> 1}"
    side = "server" if key.is_server else "client"
    kind = FAST_OPEN_KIND if key.fast_open else int(key.mini)
    columns = (namespace.inode, key.family, key.state, kind, side, _number(key.port), key.uid, key.cgroup)
    text = "\t".join(map(str, columns))
    return f"group\t{text}\t{owner}\t{group.sockets}\t{' '.join(map(str, group.sums))}\t{key.peer}"


def _process_line(sample: OwnerSample, namespace: int | None) -> str:
    sockets = len(sample.low) + len(sample.sampled) + len(sample.undrawn)
    whole = "whole" if sample.is_whole else "sample"
    command = printable(decode_text(os.fsencode(sample.command)))
    columns = (_number(sample.max_descriptors), whole, sockets, f"{sample.weight:.6g}", command, _number(namespace))
    return f"process\t{sample.pid}\t{sample.descriptors}\t" + "\t".join(map(str, columns))


def _user_lines(users: Collection[int]) -> Iterator[str]:
    """Names of the given users, from /etc/passwd only, since a name service may use the network."""
    with suppress(OSError), open("/etc/passwd", "rb") as file:
        for line in file.read(1 << 20).splitlines():
            name, _, number, *_ = [*line.split(b":"), b"", b"", b""]
            if number.isdigit() and len(number) < 11 and int(number) in users:
                yield f"user\t{int(number)}\t{printable(decode_text(name))}"
