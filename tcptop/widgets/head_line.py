"""Head line: the machine, the state of the screen (live, paused, recorded), the accounting mode and the node."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from itertools import product
from time import localtime, strftime

from tcptop.explanation.limit_texts import alarm_age_s, alarm_variants
from tcptop.ledger import AccountingMode, Ledger
from tcptop.ledger.holders import QUIET_KINDS
from tcptop.ledger.limits import max_alarm_age_s
from tcptop.text import units
from tcptop.text.line import Line, Piece, Role, text_of
from tcptop.view import View
from tcptop.view.choices import Choices
from tcptop.view.player import Player
from tcptop.widgets.cell_width import join_ends, line_width
from tcptop.widgets.pane import Pane

COUNTED = re.compile(r", \+\d+ (?:other )?events?| \(\+\d+ alarms?\)$")
"""If a text names only some of the alarms, matches the number of the remaining alarms at its end: `(+2 alarms)`."""

MANY_SOCKETS = 10_000
"""If there are at least this many sockets and the line has room, the head line names the key `W`. The key shows who
holds the sockets."""
WHO_HINT: tuple[Piece, ...] = (("W", "accent"), (" who holds them · ", "text"))

KIND_OF_LIMIT: Mapping[str, str] = {"nofile": "nofile", "listen_queues": "queue_full"}
"""Maps a limit of one process or listener to the kind of the verdict that says the same."""
SHORT_NAME, SHORT_NAME_OF_RECORDING = 20, 12
"""Number of characters to which the machine's name is cut, where the line is too short for the whole name."""
NAMED_COLUMNS = 80
"""The smallest width at which the head line always has the machine's name."""
MIN_POSITIONS = 4
"""Number of texts for the shown sample, from the longest on, that are worth more than the machine's whole name."""
FIRST_LINE: Line = ((" tcptop  ", "accent"), ("reading /proc …", "text"))
"""The head line until the first sample is read. Reading takes seconds if all CPUs of the machine are busy."""

QUIET_ROLES = ("text", "strong", "accent", "dim")
"""Roles of the pieces of the line that are no alarms."""
MODE_NAMES: dict[AccountingMode, str] = {"full": "open sockets", "time_wait": "TIME_WAIT"}


class HeadLine(Pane):
    """Pane of the head line, the first line of the screen."""

    DEFAULT_CSS = """
    HeadLine { height: 1; background: $panel; }
    """

    def lines(self, ledger: Ledger, choices: Choices, columns: int, rows: int) -> Sequence[Line]:  # noqa: ARG002
        """The head line."""
        return [head_line(ledger, self._view, columns)]

    def redraw(self) -> None:
        """Draws the last ledger again; before the first ledger, says that the first sample is being read."""
        super().redraw()
        if self._ledger is None:
            self.set_lines([FIRST_LINE], self.size.height)


def head_line(ledger: Ledger, view: View, columns: int) -> Line:
    """The head line, with the mark if one is set, and if it pushes out no alarm and nothing of the screen's state."""
    line = _head_line(ledger, view, columns)
    if view.mark is None:
        return line
    kept = [piece for piece in line[:-2] if piece[1] not in QUIET_ROLES] + [line[-2]]
    for text in _mark_texts(ledger.seconds_since(view.mark)):
        piece: Piece = (f"{text} · ", "accent")
        marked = _head_line(ledger, view, columns, (piece,))
        if piece in marked and all(each in marked for each in kept):
            return marked
    return line


def _mark_texts(since_s: float | None) -> Iterator[str]:
    """Texts that a mark is set, from the longest to the shortest."""
    if since_s is not None:
        since = units.seconds(round(since_s))
        yield f"mark: changes of the last {since}, k ends it"
        yield f"mark {since} ago, k ends it"
    else:
        yield "mark: changes since then, k ends it"
    yield "mark, k ends it"
    yield "k: mark"


def _head_line(ledger: Ledger, view: View, columns: int, mark: Sequence[Piece] = ()) -> Line:
    """The head line: the machine on the left; alarms, the accounting of TIME_WAIT, a node, and the state on the right.

    If there are many sockets, the line names the key `W`, which shows who holds the sockets. If the line is too long,
    the details of the machine are left out first. The names of the alarms are shortened last.
    """
    host, choices = ledger.host, view.choices
    # The line does not name the usual case: the accounting of open sockets, on all nodes.
    # Beside the limit of TIME_WAIT, the key says that the second TIME_WAIT is what is counted.
    key = "m: " if any(limit.concerns == "TIME_WAIT" for limit in ledger.limits[choices.mode].alarms) else ""
    of_mode = () if choices.mode == "full" else ((f"{key}{MODE_NAMES[choices.mode]} · ", "accent"),)
    shown: list[Piece] = [*mark, *of_mode]
    verdicts = _verdicts_text(ledger, choices.mode)
    if verdicts:
        shown.append((f"{verdicts}  ", "warning"))
    if choices.node is not None:
        shown.append((f"node {choices.node} · ", "text"))
    facts = [f"Linux {host.kernel}" if host.kernel else "Linux"]
    if ledger.nodes:
        facts.append(units.counted(len(ledger.nodes), "node"))
    if host.cpus is not None:
        facts.append(units.counted(host.cpus, "CPU"))
    name = host.name or (host.place.rpartition("/")[2] if host.place else "")
    name_pieces: list[Piece] = [(" tcptop  ", "accent"), (name, "strong")]
    fact_pieces: list[Piece] = [(f" · {fact}", "text") for fact in facts]
    lefts = [[*name_pieces, *fact_pieces[:count]] for count in range(len(facts), -1, -1)]
    lefts.append([(" ", "text"), (name, "strong")])  # the program's name is dropped before the machine's name
    most = SHORT_NAME if view.player is None else SHORT_NAME_OF_RECORDING
    short_name = name if len(name) <= most else f"{name[: most - 1]}…"
    short: list[Piece] = [(" ", "text"), (short_name, "strong")]
    role: Role = "warning" if choices.paused and view.player is None else "text"
    rights: list[list[Piece]] = [[*shown, (text, role)] for text in _state_texts(ledger, view)]
    hinted = [[*WHO_HINT, *rights[0]]] if _has_who_hint(ledger, view, bool(verdicts)) else []
    variants = [(left, right) for right in (*hinted, rights[0]) for left in lefts]
    # Of a recording, the time and the number of the sample are worth more than the whole name of the machine.
    variants += [(short, rights[0])] if view.player is not None else []
    variants += [(left, right) for right in rights for left in (lefts[-1], short)]
    alarms, events = ledger.limits[choices.mode].alarms, [event for event in ledger.events if event.is_alarm]
    if alarms or events:
        ends = [*hinted, *rights, *([(text, role)] for text in _state_texts(ledger, view))]
        percent, *others = alarm_variants(alarms, events)
        gap: Piece = ("  ", "text")
        variants = [(left, [*percent, gap, *end]) for left in lefts[:-1] for end in ends[:1]]
        starts: list[list[Piece]] = [name_pieces, lefts[-1], short]
        if view.player is not None:
            variants += [(left, [*percent, gap, *end]) for end in rights[:MIN_POSITIONS] for left in starts]
            complete = [alarm for alarm in others if not COUNTED.search(text_of(alarm))]
            variants += [
                (left, [*alarm, gap, *end]) for alarm in complete for end in rights[:MIN_POSITIONS] for left in starts
            ]
        # The verdicts are worth more than the program's name.
        variants += [(left, [*percent, gap, *rights[0]]) for left in starts if verdicts]
        variants += [(left, [*percent, gap, *end]) for left in starts for end in ends]
        # All alarms in short words are more useful than the machine's name, where the line has no room for both.
        nameless: list[list[Piece]] = [] if columns >= NAMED_COLUMNS and view.player is None else [[]]
        complete = [alarm for alarm in others if not COUNTED.search(text_of(alarm))]
        variants += [(left, [*alarm, gap, *end]) for left in starts for alarm in complete for end in ends]
        variants += [(left, [*alarm, gap, *end]) for left in nameless for alarm in complete for end in ends]
        for alarm in others:
            variants += [(left, [*alarm, gap, *end]) for left in (*starts, *nameless) for end in ends]
            variants += [(left, [*alarm]) for left in (*starts, *nameless)]
    fitting = (each for each in variants if line_width((*each[0], *each[1])) + len("   ") <= columns)
    left, right = next(fitting, variants[-1])
    return join_ends(left, [*right, (" ", "text")], columns)


def _has_who_hint(ledger: Ledger, view: View, has_verdicts: bool) -> bool:
    """True if the line should name the key `W`.

    The key is named if there are many sockets, if a running kernel can be asked who holds them, and if no verdict is
    shown.
    """
    can_ask = view.player is None and ledger.live
    return can_ask and not has_verdicts and (ledger.sockets.allocated or 0) >= MANY_SOCKETS


def _verdicts_text(ledger: Ledger, mode: AccountingMode) -> str:
    """The number of verdicts on the sockets, as text, with the age of a look that is no longer fresh.

    The limit of mini-sockets, which stops no socket, is no alarm. A verdict on the process or the accept queue whose
    limit stands beside it as an alarm is not counted again. The text is empty if there is no verdict, or if the look is
    so old that it raises no alarm.
    """
    holders = ledger.holders
    if holders is None or (holders.age_s or 0) > max_alarm_age_s(holders.took_us):
        return ""
    kinds = [verdict.kind for verdict in holders.verdicts if verdict.kind not in QUIET_KINDS]
    named = {KIND_OF_LIMIT.get(limit.name, "") for limit in ledger.limits[mode].alarms}.intersection(kinds)
    number = len(kinds) - len(named)
    tens_s = int(holders.age_s or 0) // 10 * 10
    # The alarm of a limit from the same look has that age, too.
    is_said = bool(alarm_age_s(ledger.limits[mode].alarms))
    age = f", {tens_s} s ago" if tens_s and not is_said else ""
    words = f"{number} more" if named else units.counted(number, "verdict")
    return f"! W {words}{age}" if number else ""


def _state_texts(ledger: Ledger, view: View) -> list[str]:
    """Texts for the state of the screen, from the longest to the shortest."""
    if view.player is not None:
        return _sample_texts(ledger, view, view.player)
    if not ledger.live:
        clock = None if ledger.taken_at_unix_s is None else localtime(ledger.taken_at_unix_s)
        return ["saved"] if clock is None else [strftime("saved %Y-%m-%d %H:%M:%S", clock), "saved"]
    state_text = "paused" if view.choices.paused else f"live {units.seconds(view.choices.interval_s)}"
    if view.recording_path is None:
        return [state_text]
    name = view.recording_path.rpartition("/")[2]
    recording = f"{state_text} · recording"
    return [f"{recording} {view.recording_path}", f"{recording} {name}", recording]


def _sample_texts(ledger: Ledger, view: View, player: Player) -> list[str]:
    """Texts for the shown sample of a recording, from the longest to the shortest."""
    number, last = units.grouped(player.index + 1), units.grouped(player.last_index + 1)
    if view.looking_back:
        positions = [f" · {number} of {last}", f" · {number}", ""]
    elif player.playing:
        speed = f"playing {player.speed}×"
        positions = [f" · {number} of {last} · {speed}", f" · {number} · {speed}", f" · {speed}"]
    else:
        at, speed = f"paused at {number}", "" if player.speed == 1 else f" {player.speed}×"
        positions = [
            f" · {at} of {last}, SPACE plays{speed}",
            f" · {at} of {last}{speed}",
            f" · {at}{speed}",
            f" · paused{speed}",
        ]
    time_s = None if ledger.taken_at_unix_s is None else localtime(ledger.taken_at_unix_s)
    if time_s is None:
        return [f"recorded{position}" for position in positions]
    date, clock = strftime("%Y-%m-%d ", time_s), strftime("%H:%M:%S", time_s)
    return [
        f"recorded · {date}{clock}{positions[0]}",
        f"recorded · {clock}{positions[0]}",
        *(f"{start}{clock}{position}" for position, start in product(positions[1:], ("recorded · ", ""))),
    ]
