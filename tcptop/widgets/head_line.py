"""The first line: which machine, how the screen lives, and what is chosen."""

from __future__ import annotations

from collections.abc import Sequence
from time import localtime, strftime

from tcptop import units
from tcptop.ledger import AccountingMode, Ledger
from tcptop.text_line import Line, Piece
from tcptop.widgets.choices import Choices
from tcptop.widgets.line import between, width
from tcptop.widgets.pane import Pane

MODE_NAMES: dict[AccountingMode, str] = {"full": "full", "time_wait": "TIME_WAIT"}


class HeadLine(Pane):
    """One line without a box."""

    DEFAULT_CSS = """
    HeadLine { height: 1; background: $panel; }
    """

    def titles(self, ledger: Ledger, choices: Choices) -> tuple[str, str]:  # noqa: ARG002
        """A line has no edges."""
        return "", ""

    def lines(self, ledger: Ledger, choices: Choices, columns: int, rows: int) -> Sequence[Line]:  # noqa: ARG002
        """The line."""
        return [head(ledger, choices, columns)]


def head(ledger: Ledger, choices: Choices, columns: int) -> Line:
    """The machine at the left, the choices at the right; facts of the machine give way one by one."""
    host = ledger.host
    right: list[Piece] = [(_pulse(ledger, choices), "warning" if choices.paused else "text")]
    node = "all nodes" if choices.node is None else f"node {choices.node}"
    right.append((f" · {MODE_NAMES[choices.mode]} · {node}", "text"))
    clock: list[Piece] = []
    if ledger.taken_at_unix_s is not None:
        clock.append((strftime(" · %H:%M:%S", localtime(ledger.taken_at_unix_s)), "text"))
    facts = [f"Linux {host.kernel}" if host.kernel else "Linux"]
    if ledger.nodes:
        facts.append(f"{len(ledger.nodes)} node{'' if len(ledger.nodes) == 1 else 's'}")
    if host.cpus is not None:
        facts.append(f"{host.cpus} CPUs")
    name = host.name or (host.place.rpartition("/")[2] if host.place else "")
    left: list[Piece] = [(" tcptop  ", "accent"), (name, "strong"), *((f" · {fact}", "text") for fact in facts)]
    while len(left) > 2 and not _fit(left, [*right, *clock], columns):
        left.pop()
    if not _fit(left, [*right, *clock], columns):
        left[0] = (" ", "text")  # which machine it is matters more than which program
    if _fit(left, [*right, *clock], columns):
        right += clock  # and more than what time it is
    return between(left, [*right, (" ", "text")], columns)


def _fit(left: Sequence[Piece], right: Sequence[Piece], columns: int) -> bool:
    return width(tuple(left)) + width(tuple(right)) + len("   ") <= columns


def _pulse(ledger: Ledger, choices: Choices) -> str:
    if not ledger.live:
        return "saved"
    return "paused" if choices.paused else f"live {units.seconds(choices.interval_s)}"
