"""What every source is: a name, a pace, and a way from a host's bytes to a reading."""

from __future__ import annotations

import errno
import os
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, Generic, Literal, NamedTuple, TypeVar

from tcptop.hosts.host import FileRead, Host, NotSavedError
from tcptop.snapshot import Reading, ReadState
from tcptop.text.printable import decode_text, printable

Value = TypeVar("Value")

COMMAND = printable(os.environ.get("TCPTOP_COMMAND", "")) or '"$(command -v tcptop)"'
"""How this program is called: a checkout's script says so. Else the whole path, since root's own search path may hold
another program of the name.
"""

AS_ROOT = f"sudo {COMMAND}"


class Damage(NamedTuple):
    """What is wrong with a file that could be read all the same."""

    state: Literal["cut", "strange"]
    what: str


class Pace(NamedTuple):
    """How often a source may be read. A source never rests less than its cost demands, whatever its pace."""

    min_period_s: float = 0.0
    """The least time from one read to the next; 0 follows the interval of the screen."""
    retry_s: float = 30.0
    """The same after the kernel refused, or had no such file."""


EVERY_INTERVAL = Pace()
EVERY_FIVE_SECONDS = Pace(min_period_s=5.0)
EVERY_MINUTE = Pace(min_period_s=60.0, retry_s=60.0)


class Source(ABC, Generic[Value]):
    """One file, or one folder of small files, of the kernel."""

    name: str

    @property
    @abstractmethod
    def paths(self) -> tuple[str, ...]:
        """Patterns of the paths that `read` may ask a host for, below its root: archives keep nothing else.

        `*` is any part of one name. A pattern that ends in a slash is a folder whose names are listed.
        """

    pace: Pace = EVERY_INTERVAL
    makes_rates: bool = False
    """Whether two readings make a rate: then a reading keeps the one before."""
    pairs_with_sockstat: bool = False
    """Whether a quotient joins its figures with sockstat's: then sockstat is read right after it."""

    needs_release: bool = False
    """Whether `off_reason` depends on the kernel's release: then the source waits until that is known."""

    def off_reason(self, kernel_release: str | None) -> str | None:  # noqa: ARG002 (for those that need it)
        """Why the source is not read on such a kernel unless somebody asks for it; None where it may be read."""
        return None

    def not_needed_reason(self, others: Mapping[str, Reading[Any]]) -> str | None:  # noqa: ARG002 (as above)
        """Why nobody needs its figures beside what other sources said, by name; None where they are needed.

        A source that was not read yet is not among the others.
        """
        return None

    @abstractmethod
    async def read(self, host: Host) -> Reading[Value]:
        """Reads the source once. Never raises for anything that a host or a file can do."""


class FileSource(Source[Value]):
    """A source that is one file with one parser."""

    path: str

    @property
    def paths(self) -> tuple[str, ...]:
        """The file alone."""
        return (self.path,)

    @abstractmethod
    def parse(self, text: str) -> tuple[Value | None, Damage | None]:
        """Makes a value of the file's text; what is damaged is left out and named. Never raises."""

    async def read(self, host: Host) -> Reading[Value]:
        """Reads and parses the file."""
        [file] = await host.read([self.path])
        failed: Reading[Value] | None = failed_reading(file)
        if failed is not None:
            return failed
        value, damage = self.parse(decode_text(file.data or b""))
        return make_reading(value, damage, self.path, file.took_us)


def make_reading(value: Value | None, damage: Damage | None, path: str, took_us: int) -> Reading[Value]:
    """A reading of a file that could be read, damaged or not."""
    state: ReadState = damage.state if damage else "ok"
    reason = f"{printable_path(path)}: {damage.what}" if damage else None
    return Reading(state, value, reason, None, took_us, None, None, None)


def failed_reading(file: FileRead) -> Reading[Value] | None:
    """A reading that says why a file could not be read, or None where it could."""
    if file.error is not None:
        state, reason = explain_error(file.path, file.error)
        return Reading(state, None, reason, None, file.took_us, None, None, None)
    if not (file.data or b"").strip(b"\0 \t\r\n"):
        reason = (
            f"{printable_path(file.path)} is empty: it was unreadable when this was saved, or the kernel gave nothing"
        )
        return Reading("empty", None, reason, None, file.took_us, None, None, None)
    return None


def explain_error(path: str, error: OSError) -> tuple[ReadState, str]:
    """What an error of the kernel means to a person: a state, and one line with what to do about it."""
    if error.errno in (errno.EACCES, errno.EPERM):
        return "refused", f"{printable_path(path)} is for root only: {AS_ROOT}"
    if isinstance(error, NotSavedError):
        return "missing", f"{printable_path(path)}: {printable(error.strerror or '')}"
    if error.errno in (errno.ENOENT, errno.ENOTDIR):
        return "missing", f"there is no {printable_path(path)} here"
    return "failed", f"{printable_path(path)}: {printable(error.strerror or str(error))}"


def printable_path(path: str) -> str:
    """A path below the host's root as a person writes it."""
    return f"/{printable(path)}"


def whole_lines(text: str) -> tuple[list[str], Damage | None]:
    """The lines of a file that ends where it should; one that ends within a line loses that line, and says so."""
    lines = text.split("\n")
    if lines.pop() == "":
        return lines, None
    return lines, Damage("cut", "the file ends in the middle of a line; that line is left out")


def worse_damage(first: Damage | None, second: Damage | None) -> Damage | None:
    """One damage for two: a cut outweighs strangeness, and the first of equals stands."""
    damages = [damage for damage in (first, second) if damage is not None]
    return min(damages, key=lambda damage: damage.state != "cut", default=None)


def skipped_lines(lines: Sequence[str]) -> Damage | None:
    """The damage of lines that were not understood; None if there are none."""
    if not lines:
        return None
    number = "1 line" if len(lines) == 1 else f"{len(lines)} lines"
    return Damage("strange", f"{number} not understood and left out, the first: {printable(lines[0].strip())[:60]!r}")


def parse_count(text: str) -> int:
    """A number as the kernel prints one.

    Raises:
        ValueError: for anything but decimal digits, so also for a sign, an underscore or a digit of another script.

    """
    if not (text.isascii() and text.isdigit() and len(text) <= 20):
        raise ValueError(f"not a count: {text!r}")
    return int(text)


def parse_counts(texts: Sequence[str]) -> tuple[int, ...]:
    """Several numbers as the kernel prints them; raises ValueError as `count` does."""
    return tuple(map(parse_count, texts))
