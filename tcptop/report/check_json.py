"""The checks of `tcptop check` as one JSON object on one line."""

from __future__ import annotations

import json
from collections.abc import Sequence
from math import inf

from tcptop import __version__
from tcptop.accounting.checks import Check, UncheckedLimit, worst_state
from tcptop.ledger import Ledger
from tcptop.report.as_json import SCHEMA, Json, utc_text
from tcptop.report.plugin_line import EXIT_CODES, check_text, number_text, plugin_line


def checks_as_json(ledger: Ledger, checks: Sequence[Check], unchecked: Sequence[UncheckedLimit] = ()) -> str:
    """The checks as JSON, in ASCII."""
    return json.dumps(checks_as_object(ledger, checks, unchecked))


def checks_as_object(ledger: Ledger, checks: Sequence[Check], unchecked: Sequence[UncheckedLimit] = ()) -> Json:
    """The checks as a dictionary that `json.dumps` can write."""
    state = worst_state(checks)
    return {
        "schema": SCHEMA,
        "version": __version__,
        "taken_at": utc_text(ledger.taken_at_unix_s),
        "live": ledger.live,
        "state": state,
        "exit_code": EXIT_CODES[state],
        "line": plugin_line(checks, ledger, unchecked),
        "checks": [_check(check) for check in checks],
        "not_checked": [limit.name for limit in unchecked],
    }


def _edge(check: Check, index: int) -> float | None:
    """A bound on the value of a check; None if the bound is unknown or infinite."""
    edge = inf if check.bounds is None else check.bounds[index]
    return None if edge == inf else float(number_text(edge, up=index == 1))


def _check(check: Check) -> Json:
    return {
        "name": check.name,
        "state": check.state,
        "value": None if check.value is None else float(number_text(check.value)),
        "low": _edge(check, 0),
        "high": _edge(check, 1),
        "unit": check.unit or "sockets/s",
        "warn": check.warn,
        "critical": check.critical,
        "text": check_text(check),
    }
