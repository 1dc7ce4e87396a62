"""Ranges of the monitoring plugins' guidelines: `10`, `10:`, `~:10`, `10:20`, `@10:20`.

https://www.monitoring-plugins.org/doc/guidelines.html, "Threshold and Ranges".
"""

from __future__ import annotations

import re
from math import inf
from typing import NamedTuple

NUMBER = r"-?[0-9]{1,18}(?:\.[0-9]{1,9})?"
RANGE = re.compile(rf"(?P<at>@)?(?:(?P<start>~|{NUMBER}):)?(?P<end>{NUMBER})?")


class Range(NamedTuple):
    """A range of values.

    A value outside the range raises an alert. If the text of the range begins with `@`, a value inside the range raises
    an alert instead.
    """

    text: str
    """The text from which the range was parsed, in the format of the monitoring-plugin guidelines."""
    start: float
    end: float
    alerts_inside: bool

    def alerts(self, low: float, high: float) -> bool | None:
        """True if all values from `low` to `high` raise an alert, False if none do; None if some do and some do not."""
        is_inside = self.start <= low and high <= self.end
        is_outside = high < self.start or low > self.end
        if not is_inside and not is_outside:
            return None
        return is_inside == self.alerts_inside


def parse_range(text: str) -> Range:
    """Parses a range. If the text gives only the end of the range, the start is 0.

    Raises:
        ValueError: the text is not a range; the message names the accepted forms.

    """
    match = RANGE.fullmatch(text)
    if match is not None and (match["start"] is not None or match["end"] is not None):
        start = 0.0 if match["start"] is None else -inf if match["start"] == "~" else float(match["start"])
        end = inf if match["end"] is None else float(match["end"])
        if start <= end:
            return Range(text, start, end, match["at"] is not None)
    raise ValueError(f"a range such as 10, 10:, ~:10, 10:20 or @10:20, not {text!r:.60}")
