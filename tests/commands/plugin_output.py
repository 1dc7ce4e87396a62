"""Parser of a plugin's output, written only from the grammar in the monitoring plugins' guidelines.

https://www.monitoring-plugins.org/doc/guidelines.html: text, a bar, and `'label'=value[UOM];[warn];[crit];[min];[max]`.
"""

from __future__ import annotations

import re
from typing import NamedTuple

VALUE = r"-?[0-9]+(?:\.[0-9]+)?"
"""Class [-0-9.], which the guidelines name for a value, a minimum and a maximum."""
EDGE = rf"(?:~|{VALUE})"
RANGE = rf"@?(?:{EDGE}:)?(?:{VALUE})?"
LABEL = r"'(?P<label>[^'=]+)'"
DATUM = re.compile(
    rf"{LABEL}=(?P<value>{VALUE}|U)(?P<unit>s|us|ms|%|B|KB|MB|TB|c)?"
    rf"(?:;(?P<warn>{RANGE}))?(?:;(?P<critical>{RANGE}))?(?:;(?P<min>{VALUE})?)?(?:;(?P<max>{VALUE})?)?"
)
STATES = ("OK", "WARNING", "CRITICAL", "UNKNOWN")


class Datum(NamedTuple):
    """One item of performance data."""

    value: float | None
    unit: str
    warn: str
    critical: str
    minimum: float | None
    maximum: float | None


class Output(NamedTuple):
    """A parsed line."""

    state: str
    text: str
    data: dict[str, Datum]

    @property
    def exit_code(self) -> int:
        """The exit code that belongs to the state."""
        return STATES.index(self.state)


def parse_output(printed: str) -> Output:
    """Parses the whole of standard output; fails if it is not exactly one line of the grammar."""
    assert printed.endswith("\n"), printed
    assert printed.count("\n") == 1, printed
    assert printed.isascii(), printed
    line = printed[:-1]
    assert line.isprintable(), line
    text, bar, performance = line.partition("|")
    assert "|" not in performance, line
    match = re.fullmatch(rf"TCPTOP ({'|'.join(STATES)}) - (.+)", text)
    assert match is not None, line
    data: dict[str, Datum] = {}
    for item in performance.split(" ") if bar else []:
        found = DATUM.fullmatch(item)
        assert found is not None, item
        assert found["label"] not in data, item
        low, high = (None if found[name] is None else float(found[name]) for name in ("min", "max"))
        value = None if found["value"] == "U" else float(found["value"])
        assert value is None or low is None or value >= low, item
        assert value is None or high is None or value <= high, item
        data[found["label"]] = Datum(
            value, found["unit"] or "", found["warn"] or "", found["critical"] or "", low, high
        )
    return Output(match[1], match[2], data)
