"""Base classes of the sources, and the helpers that parsers share: for damage, error lines and decimal counts."""

import errno
from abc import ABC, abstractmethod
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from typing import Any, Generic, Literal, NamedTuple, TypeVar

from tcptop.hosts.host import CutFileError, FileRead, Host, NotAllowedError, NotSavedError, RootDeniedError
from tcptop.privileges import add_note
from tcptop.snapshot import Reading, ReadState
from tcptop.text.own_command import as_root
from tcptop.text.printable import SMALL_FILE_BYTES, decode_text, printable, quoted

Value = TypeVar("Value")
Row = TypeVar("Row")
Parsed = TypeVar("Parsed")

AS_ROOT = as_root()
NOT_FOR_ROOT = "is refused to root: by a container, a security module or the kernel's lockdown"


class Damage(NamedTuple):
    """The damage of a file that was read: the file is cut off, or parts of it have an unknown format."""

    state: Literal["cut", "strange"]
    what: str


REST_FACTOR = 200
"""Minimum ratio: the pause after a read of a source ÷ the CPU time of reading and parsing. The reads of one source thus
take at most 0.5 % of one CPU."""


class Pace(NamedTuple):
    """The minimum times between two reads of a source."""

    min_period_s: float = 0.0
    """Minimum time from one read to the next; 0 means one read at every interval of the screen."""
    retry_s: float = 30.0
    """Minimum time to the next read after the file was missing, refused, empty or unreadable."""
    rest_factor: int = REST_FACTOR
    """Minimum ratio: the pause after a read ÷ the CPU time of the read, without parsing."""


MAX_LINE_CHARACTERS = 16 << 10
"""Maximum length of a line that is parsed; the kernel prints lines of a few hundred characters."""
MAX_NODES = 1024
"""Maximum number of nodes: MAX_NUMNODES is at most 1 << 10 (CONFIG_NODES_SHIFT)."""
MAX_ZONES = 8 * MAX_NODES
"""Maximum number of zones on all nodes. A node has at most 6 zones (MAX_NR_ZONES in include/linux/mmzone.h), so 8
zones for each node are enough.
"""
MAX_ORDERS = 64
"""Maximum number of orders: the largest ARCH_FORCE_MAX_ORDER of any architecture and release is 64."""

ENDS_WITHOUT_NEWLINE = frozenset({"sys/kernel/notes", "sys/kernel/security/lsm"})
"""Files that the kernel prints without a newline at the end. A small file that is not in the set ends with a newline,
unless the file was cut.
"""
ENDS_EARLY = "ends in the middle of a line"

EVERY_INTERVAL = Pace()
EVERY_FIVE_SECONDS = Pace(min_period_s=5.0)
EVERY_MINUTE = Pace(min_period_s=60.0, retry_s=60.0)


class Source(ABC, Generic[Value]):
    """A kernel file, or a group of small kernel files, with a parser and a pace."""

    name: str
    """Name of the source, and of the field of `Snapshot` that has the source's reading."""

    paths: tuple[str, ...]
    """Patterns of all paths that `read` may read or list, relative to the host's root.

    From an archive, only files that match a pattern are kept.

    In a pattern, `*` matches any part of one name. A pattern that ends in a slash stands for a folder: only the names
    in the folder are listed.
    """

    pace: Pace = EVERY_INTERVAL
    makes_rates: bool = False
    """True if the program computes rates from two readings; each reading then contains the previous reading."""
    pairs_with_sockstat: bool = False
    """True if the program divides counts of this source by the number of sockets.

    /proc/net/sockstat, which has the number of sockets, is read right after the source.
    """

    needs_release: bool = False
    """True if `off_reason` depends on the kernel release; the source is then not read before the release is known."""

    is_outside_budget: bool = False
    """True if the CPU time of the reads is not limited, because the user asks for each read."""

    def off_reason(self, kernel_release: str | None) -> str | None:  # noqa: ARG002 (subclasses use it)
        """The reason why, on this kernel, the file is read only at the user's request; None if no request is needed."""
        return None

    def not_needed_reason(self, others: Mapping[str, Reading[Any]]) -> str | None:  # noqa: ARG002 (subclasses use it)
        """The reason why no figure needs this source; None if a figure needs it.

        `others` has the readings of the other sources by name. `others` lacks the sources that have not been read yet.
        """
        return None

    def check(
        self,
        reading: Reading[Value],
        others: Mapping[str, Reading[Any]],  # noqa: ARG002 (subclasses use it)
    ) -> Reading[Value]:
        """Returns the reading; corrects its state and reason if the readings of other sources require a correction.

        `others` has the readings of the other sources by name.
        """
        return reading

    @abstractmethod
    async def read(self, host: Host) -> Reading[Value]:
        """Reads the source once. Never raises: the returned reading describes errors and damaged files."""


class FileSource(Source[Value]):
    """A source that reads a single file; `paths` has only the path of this file."""

    max_lines = 1000
    """Maximum number of lines that are parsed, to protect from hostile files. Any kernel prints far fewer lines."""

    async def read(self, host: Host) -> Reading[Value]:
        """Reads and parses the file."""
        [file] = await host.read(self.paths)
        failed: Reading[Value] | None = failed_reading(file)
        if failed is not None:
            return failed
        value, damage = self.parse(decode_text(file.data or b""))
        return make_reading(value, damage, file.path, file.took_us)

    def parse(self, text: str) -> tuple[Value | None, Damage | None]:
        """Parses the file's text; returns the value without the damaged parts, and the worst damage. Never raises."""
        damages: list[Damage] = []
        lines = text.split("\n", self.max_lines)
        if len(lines) > self.max_lines and lines[-1]:
            damages.append(Damage("strange", f"it has more than {self.max_lines} lines; the rest is left out"))
            lines.pop()
        elif lines.pop():
            damages.append(Damage("cut", "the file ends in the middle of a line; that line is left out"))
        if lines and len(max(lines, key=len)) > MAX_LINE_CHARACTERS:
            lines = [line for line in lines if len(line) <= MAX_LINE_CHARACTERS]
            damages.append(Damage("strange", f"lines of more than {MAX_LINE_CHARACTERS} characters are left out"))
        value: Value | None = None
        try:
            value = self.parse_lines(lines, damages)
        except ValueError as error:
            damages.append(Damage("strange", str(error)))
        return value, worst_damage(damages)

    @abstractmethod
    def parse_lines(self, lines: list[str], damages: list[Damage]) -> Value:
        """Parses the complete lines of the file, and adds any damage in the lines to `damages`.

        Raises:
            ValueError: if no part of the file is understood; the exception has the reason in one line.

        """


async def read_small_files(host: Host, paths: Sequence[str]) -> list[FileRead]:
    """Reads files of a few lines. If a file ends in the middle of a line, returns a CutFileError instead of the data.

    If the only line of a file is cut, its last number may lack digits, so the program uses no part of the file.
    """
    return [
        file._replace(data=None, error=CutFileError(ENDS_EARLY)) if _is_cut(file) else file
        for file in await host.read(paths)
    ]


def _is_cut(file: FileRead) -> bool:
    data = file.data or b""
    if data.endswith(b"\n") or file.path in ENDS_WITHOUT_NEWLINE:
        return False
    # After a crash of the machine on which a file was saved, NULs may follow the file's text, or be all that is left.
    text = data.rstrip(b"\0")
    return bool(text.strip()) and not text.endswith(b"\n")


def make_reading(value: Value | None, damage: Damage | None, path: str, took_us: int) -> Reading[Value]:
    """Makes a Reading for a file that was read without an error; `value` is None if the file was not understood."""
    state: ReadState = damage.state if damage else "ok"
    reason = f"{printable_path(path)}: {damage.what}" if damage else None
    return Reading(state, value, reason, None, took_us, None, None, None)


def failed_reading(file: FileRead) -> Reading[Value] | None:
    """A reading that says why a file could not be read, or that the file is empty; None if the file has content."""
    if file.error is not None:
        return unread(*explain_error(file.path, file.error), file.took_us)
    if not (file.data or b"").strip(b"\0 \t\r\n"):
        reason = (
            f"{printable_path(file.path)} is empty: it was unreadable when this was saved, or the kernel gave nothing"
        )
        return unread("empty", reason, file.took_us)
    return None


def unread(state: ReadState, reason: str, took_us: int) -> Reading[Value]:
    """Makes a Reading whose value is None; `reason` is one line."""
    return Reading(state, None, reason, None, took_us, None, None, None)


def explain_error(path: str, error: OSError) -> tuple[ReadState, str]:
    """The state of a reading that failed with `error`, and a line that tells the user what is wrong and what to do."""
    if isinstance(error, CutFileError):
        return "cut", f"{printable_path(path)} {ENDS_EARLY}"
    if isinstance(error, NotAllowedError):
        return "refused", f"{printable_path(path)} is for root only: {printable(error.strerror or '')}"
    if isinstance(error, RootDeniedError):
        return "refused", f"{printable_path(path)} {NOT_FOR_ROOT}"
    if error.errno in (errno.EACCES, errno.EPERM):
        denied = f"{printable_path(path)}: Permission denied"
        noted = add_note(denied)
        return "refused", f"{printable_path(path)} is for root only: {AS_ROOT}" if noted == denied else noted
    if isinstance(error, NotSavedError):
        return "missing", f"{printable_path(path)}: {printable(error.strerror or '')}"
    if error.errno in (errno.ENOENT, errno.ENOTDIR):
        return "missing", f"there is no {printable_path(path)} here"
    return "failed", f"{printable_path(path)}: {printable(error.strerror or str(error))}"


def printable_path(path: str) -> str:
    """The absolute, printable form of a path that is relative to the host's root."""
    return f"/{printable(path)}"


def worst_damage(damages: Sequence[Damage]) -> Damage | None:
    """The worst damage; None if there is no damage.

    `cut` is worse than `strange`. If several damages are equally bad, the first is returned.
    """
    return min(damages, key=lambda damage: damage.state != "cut", default=None)


def has_cut(damages: Iterable[Damage]) -> bool:
    """True if a file was cut."""
    return any(damage.state == "cut" for damage in damages)


def parse_rows(lines: Iterable[str], parse_row: Callable[[str], Row], damages: list[Damage]) -> list[Row]:
    """Parses each line that is not blank; leaves out lines for which `parse_row` raises ValueError or IndexError."""
    rows: list[Row] = []
    skipped: list[str] = []
    for line in lines:
        try:
            if line.strip():
                rows.append(parse_row(line))
        except (ValueError, IndexError):
            skipped.append(line)
    report_skipped(skipped, damages)
    return rows


def report_skipped(lines: Sequence[str], damages: list[Damage]) -> None:
    """If `lines` is not empty, records in `damages` that the lines were not understood."""
    if lines:
        number = "1 line" if len(lines) == 1 else f"{len(lines)} lines"
        first = printable(lines[0].strip()[:60])[:60]
        damages.append(Damage("strange", f"{number} not understood and left out, the first: {first!r}"))


def report_unread(files: Iterable[FileRead], folder: str, damages: list[Damage]) -> None:
    """Records in `damages` each file that is cut, and each file that exists but cannot be read, such as a named pipe.

    A missing file, or a file that only root may read, does not count as damage: the source uses the remaining files.
    """
    for file in files:
        name = printable(file.path.removeprefix(f"{folder}/"))
        if isinstance(file.error, CutFileError):
            damages.append(Damage("cut", f"{name} {ENDS_EARLY}; it is left out"))
        elif file.error is not None and explain_error(file.path, file.error)[0] == "failed":
            damages.append(Damage("strange", f"{name}: {printable(file.error.strerror or str(file.error))}"))


def first_of_each(rows: Iterable[Row], key: Callable[[Row], Hashable], damages: list[Damage]) -> list[Row]:
    """For each key, returns the first row that has this key, in the order of `rows`.

    The kernel prints each key once, so further rows with the same key are recorded as damage.
    """
    firsts: dict[Hashable, Row] = {}
    repeated: list[Hashable] = []
    for row in rows:
        name = key(row)
        if name in firsts:
            repeated.append(name)
        else:
            firsts[name] = row
    report_repeated(repeated, damages)
    return list(firsts.values())


def report_repeated(keys: Sequence[Hashable], damages: list[Damage]) -> None:
    """If `keys` is not empty, records in `damages` that several rows of the file have the same key.

    The first row with a key is used.
    """
    if keys:
        first = " ".join(map(str, keys[0])) if isinstance(keys[0], tuple) else str(keys[0])
        damages.append(Damage("strange", f"{printable(first[:60])[:60]} is there more than once; the first counts"))


def small_text(file: FileRead) -> str | None:
    """The first SMALL_FILE_BYTES of a small file as text; None if the file could not be read."""
    return decode_text(file.data, SMALL_FILE_BYTES) if file.data is not None else None


def stripped_texts(files: Sequence[FileRead]) -> dict[str, str]:
    """The text of each small file without leading or trailing blanks and NULs; the key is the file's path.

    If a file could not be read, its text is empty.
    """
    return {file.path: (small_text(file) or "").strip("\0 \t\r\n") for file in files}


def parse_sysctl(
    texts: Mapping[str, str], path: str, parse_value: Callable[[str], Parsed], damages: list[Damage]
) -> Parsed | None:
    """Parses the text of the file `path` below proc/sys; None if the text is missing, empty or damaged.

    Damage is added to `damages`.
    """
    text = texts.get(path)
    if not text:
        return None
    try:
        return parse_value(text)
    except ValueError:
        damages.append(Damage("strange", f"{path.removeprefix('proc/sys/')} has an unknown format"))
        return None


def parse_count(text: str) -> int:
    """Parses an unsigned decimal number of at most 20 digits (2^64 has 20 digits).

    Raises:
        ValueError: for any other text, including signs, underscores and non-ASCII digits, which int() accepts.

    """
    if not (text.isascii() and text.isdigit() and len(text) <= 20):
        raise ValueError(f"not a count: {quoted(text)}")
    return int(text)


def parse_node(text: str) -> int:
    """Parses the number of a NUMA node.

    Raises ValueError if the text is not a number, or if no kernel can have a node of this number.
    """
    node = parse_count(text)
    if node >= MAX_NODES:
        raise ValueError(f"no kernel has a node {node}")
    return node


def parse_counts(texts: Sequence[str]) -> tuple[int, ...]:
    """Parses several unsigned decimal numbers. Raises ValueError for any text that `parse_count` does not accept."""
    return tuple(map(parse_count, texts))


def parse_longs(texts: Sequence[str]) -> tuple[int, ...]:
    """Parses several decimal numbers; the kernel keeps each number as a `long` that is never below 0.

    Raises:
        ValueError: for any text that `parse_count` does not accept, and for numbers from 2^63 up.

    """
    counts = parse_counts(texts)
    if any(count >= 1 << 63 for count in counts):
        raise ValueError("more than a long holds")
    return counts
