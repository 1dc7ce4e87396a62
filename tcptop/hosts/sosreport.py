"""Host for a sosreport. If the report lacks a kernel file, the contents are taken from the output of a command.

FILE_SUBSTITUTES and FOLDER_SUBSTITUTES say which output replaces which file. The plugins of sos that save the files and
outputs are in sos/report/plugins: kernel.py, host.py, processor.py, system.py, numa.py, networking.py and date.py. The
output of a command is saved in the folder sos_commands/PLUGIN. The name of the file is the command, with `_` in place
of spaces and `.` in place of slashes.
"""

from __future__ import annotations

import errno
import re
import time
from calendar import timegm
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cached_property
from typing import NamedTuple

from tcptop.hosts.host import FileRead, FolderRead, Host, NotSavedError
from tcptop.hosts.run_sync import run_sync

COMMANDS = "sos_commands"
PLUGINS = ("kernel", "host", "general", "processor", "date")
PATHS = tuple(f"{COMMANDS}/{plugin}/*" for plugin in PLUGINS)
"""Patterns, as in `Source.paths`, of the paths that are read in addition to kernel files."""

NOT_SAVED = "the sosreport does not hold it"
MAX_OUTPUT_BYTES = 4 << 20
"""Limit on the size of one command's output.

On a machine with hundreds of interfaces, the output of `sysctl -a` takes a quarter of `MAX_OUTPUT_BYTES`.
"""
MAX_OUTPUTS_BYTES = 16 << 20
"""Limit on the total size of all commands' outputs, because the outputs are kept in memory."""

NAME_SYSCTLS = ("kernel.hostname", "kernel.osrelease")
"""Sysctls whose value is a name, not a number."""
LIST_SYSCTLS = ("net.ipv4.ip_local_reserved_ports",)
"""Sysctls whose value is a list, which may be empty."""
NO_VALUE = "=\n"
"""The text of a sysctl whose line has no value. The text is not a number, so the sysctl is reported as malformed."""

Entries = Mapping[str, str | None]


class Substitute(NamedTuple):
    """A command's output that contains the content of a kernel file."""

    path: str
    """Regular expression of the kernel file's path."""
    output: str
    """Regular expression of the output's path below `sos_commands`."""
    extract: Callable[[str, str], str | None]
    """Takes the output's text and the kernel file's path.

    Returns the kernel file's text, or None if the output does not contain this text. If an output is cut off within the
    text, the text ends without a newline, like any file that is cut off.
    """


class FolderSubstitute(NamedTuple):
    """A command's output that lists a kernel folder.

    Fields are as in `Substitute`, but `extract` returns the entries of the folder.
    """

    path: str
    output: str
    extract: Callable[[str], Entries]


def sysctl_value(text: str, path: str) -> str | None:
    """The text of a sysctl's file, from a line of `sysctl -a` such as `net.ipv4.tcp_mem = 1 2 3`.

    The text ends with a newline if the line does. If several lines give the sysctl different values, the text contains
    all these values, so that the sysctl is reported as malformed. If the line of a numeric sysctl has no value, the
    text is NO_VALUE. If the line of a sysctl in NAME_SYSCTLS has no value, the name counts as unknown. If the line of a
    sysctl in LIST_SYSCTLS has no value, the list is empty.
    """
    key = path.removeprefix("proc/sys/").replace("/", ".")
    values = re.findall(rf"^{re.escape(key)} =[ \t]?(.*\n?)", text, re.MULTILINE)
    unlike = dict.fromkeys(value.rstrip() for value in values)
    if "" in unlike and key not in NAME_SYSCTLS and (key not in LIST_SYSCTLS or len(unlike) > 1):
        return NO_VALUE
    return None if not values else values[0] if len(unlike) == 1 else "".join(values)


def release_in_uname(text: str, _: str) -> str | None:
    """The kernel release: the third word of `uname -a`."""
    words = text.split()
    return f"{words[2]}\n" if len(words) > 3 and words[0] == "Linux" else None


def one_word(text: str, _: str) -> str | None:
    """The output if the output is a single word; otherwise None."""
    words = text.split()
    return text if len(words) == 1 else None


def cpus_in_lscpu(text: str, path: str) -> str | None:
    """The list of CPUs in the output of `lscpu`, in the kernel's notation.

    The text ends with a newline if the line of the output does. If the path names a node, the list
    contains the CPUs of the node. If the path names the present CPUs, the list contains the CPUs that are online or
    switched off. For any other path, the list contains the online CPUs.
    """
    if path.endswith("/present"):
        lists = re.findall(r"^[ \t]*(?:On|Off)-line CPU\(s\) list:[ \t]*(.*\n?)", text, re.MULTILINE)
        return ",".join(each.strip() for each in lists if each.strip()) + lists[-1][-1:] if lists else None
    node = re.search(r"/node(\d+)/", path)
    title = rf"NUMA node{node[1]} CPU\(s\)" if node else r"On-line CPU\(s\) list"
    match = re.search(rf"^[ \t]*{title}:[ \t]*(.*\n?)", text, re.MULTILINE)
    return match[1] if match else None


def nodes_in_lscpu(text: str) -> Entries:
    """The names of the node folders, one for each node that `lscpu` prints."""
    return {f"node{number}": None for number in re.findall(r"^[ \t]*NUMA node(\d{1,5}) CPU\(s\):", text, re.MULTILINE)}


LISTED_ENTRY = re.compile(
    r"^(?P<kind>[dl])[rwxsStT-]{9}[^ \n]? +\d{1,10} .{1,100}? "
    r"(?:[A-Z][a-z]{2} {1,2}\d{1,2} {1,2}[\d:]{4,5}|\d{4}-\d\d-\d\d [\d:.]{5,18}(?: [+-]\d{4})?) "
    r"(?P<name>.{1,255}?)(?: -> (?P<target>.{1,4096}))?$",
    re.MULTILINE,
)


def entries_in_ls(text: str) -> Entries:
    """The folders and links that `ls -l` prints, with the targets of links."""
    return {
        match["name"]: match["target"] if match["kind"] == "l" else None
        for match in LISTED_ENTRY.finditer(text)
        if match["name"] not in (".", "..")
    }


SYSCTL = "kernel/sysctl_-a"
LSCPU = "processor/lscpu"

FILE_SUBSTITUTES = (
    Substitute("proc/sys/kernel/hostname", "(host|general|kernel)/hostname", one_word),
    Substitute("proc/sys/kernel/osrelease", "kernel/uname_-a", release_in_uname),
    Substitute("proc/sys/.*", SYSCTL, sysctl_value),
    Substitute("sys/devices/system/cpu/(online|present)", LSCPU, cpus_in_lscpu),
    Substitute("sys/devices/system/node/node[0-9]+/cpulist", LSCPU, cpus_in_lscpu),
)
"""Outputs of commands that can replace a missing kernel file, in order of preference.

The commands print the contents of the file unchanged.
"""

FOLDER_SUBSTITUTES = (
    FolderSubstitute("sys/kernel/slab", r"kernel/ls_-\w+_\.?sys\.kernel\.slab", entries_in_ls),
    FolderSubstitute("sys/devices/system/node", LSCPU, nodes_in_lscpu),
)

DATES = ("date/date_--utc", "date/date")
DATE = re.compile(r"^[A-Z][a-z]{2} ([A-Z][a-z]{2} [ \d]?\d \d\d:\d\d:\d\d) (?:UTC|GMT) (\d{4})[ \t]*$", re.MULTILINE)


class SosreportHost:
    """Host that reads the tree of a sosreport.

    If the tree lacks a kernel file, the output of a command replaces the file.
    """

    def __init__(self, tree: Host) -> None:
        """Takes the tree of the report; `close` closes the tree too.

        The coroutines of the tree must never suspend.
        """
        self._tree = tree
        self._texts: dict[str, str] = {}
        self._left_bytes = MAX_OUTPUTS_BYTES
        self.identity = tree.identity._replace(taken_at_unix_s=self._taken_at_unix_s())

    async def read(self, paths: Sequence[str]) -> list[FileRead]:
        """Reads each path, or its substitute if the tree lacks the file."""
        return [self._substitute_missing(read) for read in await self._tree.read(paths)]

    async def list_folder(self, path: str) -> FolderRead:
        """Lists a folder, or its substitute if the tree lacks the folder."""
        read = await self._tree.list_folder(path)
        if not isinstance(read.error, FileNotFoundError):
            return read
        for substitute in FOLDER_SUBSTITUTES:
            for text in self._outputs_for(substitute, path):
                entries = substitute.extract(text)
                if entries:
                    return FolderRead(path, entries, None, read.took_us)
        return FolderRead(path, None, NotSavedError(errno.ENOENT, NOT_SAVED), read.took_us)

    def close(self) -> None:
        """Closes the tree."""
        self._tree.close()

    def _substitute_missing(self, read: FileRead) -> FileRead:
        # An empty file counts as missing: sos saves an empty file if sos could not read the kernel file.
        if not isinstance(read.error, FileNotFoundError) and (read.data is None or read.data.strip()):
            return read
        for substitute in FILE_SUBSTITUTES:
            for text in self._outputs_for(substitute, read.path):
                content = substitute.extract(text, read.path)
                if content is not None:
                    return FileRead(read.path, content.encode("utf-8", "surrogateescape"), None, read.took_us)
        if read.error is None:
            return read
        return FileRead(read.path, None, NotSavedError(errno.ENOENT, NOT_SAVED), read.took_us)

    def _outputs_for(self, substitute: Substitute | FolderSubstitute, path: str) -> Iterator[str]:
        """The texts of the command outputs that may contain the contents of the kernel file or folder at a path."""
        if re.fullmatch(substitute.path, path):
            for output in self._outputs:
                if re.fullmatch(substitute.output, output):
                    yield self._text(output)

    def _text(self, output: str) -> str:
        """The text of an output; empty if the output cannot be read, or if the limit MAX_OUTPUTS_BYTES is reached."""
        if output not in self._texts and self._left_bytes > 0:
            [read] = run_sync(self._tree.read([f"{COMMANDS}/{output}"]))
            data = (read.data or b"")[:MAX_OUTPUT_BYTES]
            self._left_bytes -= len(data)
            self._texts[output] = data.decode("utf-8", "surrogateescape")
        return self._texts.get(output, "")

    @cached_property
    def _outputs(self) -> list[str]:
        """The paths, relative to `sos_commands`, of the outputs that the plugins in PLUGINS have saved."""
        folders = {plugin: run_sync(self._tree.list_folder(f"{COMMANDS}/{plugin}")).entries for plugin in PLUGINS}
        return [f"{plugin}/{name}" for plugin, names in folders.items() for name in sorted(names or ())]

    def _taken_at_unix_s(self) -> float | None:
        """The time at which `date` ran.

        The result is None if `date` printed a time zone other than UTC, because names of other time zones are
        ambiguous.
        """
        for output in DATES:
            match = DATE.search(self._text(output))
            if match is not None:
                try:
                    return float(timegm(time.strptime(f"{match[1]} {match[2]}", "%b %d %H:%M:%S %Y")))
                except ValueError:
                    continue
        return None
