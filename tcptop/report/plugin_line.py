"""The line of a monitoring plugin: `TCPTOP STATE - text|performance data`.

The format is that of https://www.monitoring-plugins.org/doc/guidelines.html, "Plugin Output" and "Performance data".
"""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil, floor, inf

from tcptop.accounting.checks import (
    BYTES_PER_CONNECTION,
    GROWTH,
    IDLE,
    UNLIMITED,
    Check,
    CheckState,
    UncheckedLimit,
    worst_state,
)
from tcptop.explanation.limit_texts import listen_overflows_text, maximum_text, used_text
from tcptop.kernel.limits import LIMIT_BY_NAME
from tcptop.ledger import Ledger
from tcptop.text import units
from tcptop.text.ascii import report_to_ascii
from tcptop.text.printable import printable

EXIT_CODES: dict[CheckState, int] = {"OK": 0, "WARNING": 1, "CRITICAL": 2, "UNKNOWN": 3}
MAX_EXACT_SPAN_PERCENT = 1.0
"""The use of a limit is printed as one number if its bounds are at most this far apart, in per cent of the limit."""
MAX_TEXT_CHARACTERS = 4096
"""Maximum length of the output. Nagios cuts output after 8 KiB; programs that pass the output to Nagios may cut it
earlier."""


def plugin_line(checks: Sequence[Check], ledger: Ledger, unchecked: Sequence[UncheckedLimit] = ()) -> str:
    """The line for several checks; the most severe check comes first, and the line does not end in a newline.

    The line names the limits in `unchecked`, which do not change the state. If `checks` is empty, the line says
    `the use of no limit is known`, with the reason. Some files are used by no check, and do not change the state. If
    one of these files is cut or contradicts another file, the line ends in a remark.
    """
    none_because = ledger.sources["meminfo"].reason or ledger.sources["socket_limits"].reason
    none = f"the use of no limit is known{f' ({none_because})' if none_because else ''}"
    text = ", ".join(map(check_text, checks)) or none
    doubts = [ledger.sources[source].reason or "" for source in sorted(ledger.doubted)]
    unsaid = [doubt for doubt in doubts if doubt and all(check.note != doubt for check in checks)]
    text += "".join(f"; in doubt, and in no figure here: {doubt}" for doubt in unsaid[:1])
    named = {each.name for each in checks} | {each.name for each in unchecked}
    overflows = listen_overflows_text(ledger) if "listen_queues" in named else ""
    text += f"; {overflows}" if overflows and checks else ""
    names: dict[str, list[str]] = {}
    for limit in unchecked:
        names.setdefault(limit.reason, []).append(LIMIT_BY_NAME[limit.name].spelling)
    left_out = "; ".join(f"{', '.join(each)} ({reason})" for reason, each in names.items())
    text += f"; not checked: {left_out}" if left_out and checks else ""
    performance = " ".join(map(performance_data, checks))
    return f"{state_line(worst_state(checks), text)}{f'|{performance}' if performance else ''}"


def state_line(state: CheckState, text: str) -> str:
    """Formats a state and a text as a line in ASCII.

    Newlines and `|` are replaced, because these characters would end the text.
    """
    line = report_to_ascii(printable(" ".join(text.split()))).replace("|", "/")
    return f"TCPTOP {state} - {line[:MAX_TEXT_CHARACTERS]}"


def check_text(check: Check) -> str:
    """One check as text, `memory 43.1 %`, and in parentheses details if the state is not OK, and the remark."""
    text = _text_without_remark(check)
    if not check.remark:
        return text
    return f"{text[:-1]}; {check.remark})" if text.endswith(")") else f"{text} ({check.remark})"


def _text_without_remark(check: Check) -> str:
    limit = LIMIT_BY_NAME.get(check.name)
    name = check.name if limit is None else limit.spelling
    if check.value is None and check.bounds is not None:
        reached = _reached_text(check)
        why = "" if check.note in reached else check.note
        parts = "; ".join(filter(None, (_use_text(check), reached, why)))
        return f"{name} >= {_floored(check.bounds[0], 1):.1f} % ({parts})"
    if check.value is None and check.state in ("WARNING", "CRITICAL"):
        share = f"; its share is not known: {check.note}" if check.note else ""
        return f"{name} ({_reached_text(check)}{share})"
    if check.value is None:
        return f"{name}: {check.note}" if check.note == UNLIMITED else f"{name} not known ({check.note})"
    details = [] if check.state == "OK" else list(filter(None, (_use_text(check), _reached_text(check))))
    return f"{name} {_value_text(check)}" + (f" ({'; '.join(details)})" if details else "")


def _value_text(check: Check) -> str:
    value = check.value or 0.0
    if check.unit == "%":
        bound, span = _percent_bound(check), _percent_span(check)
        if span is not None and bound is None:
            return f"{_floored(span[0], 1):.1f} to {_raised(span[1], 1):.1f} %"
        if bound is not None and bound > 0 == _raised(bound, 1):
            return "< 0.1 %"
        return f"{_floored(value, 1):.1f} %" if bound is None else f"<= {_raised(bound, 1):.1f} %"
    if check.name == BYTES_PER_CONNECTION:
        return f"{report_to_ascii(units.bounded(check.bounds, units.exact_bytes))} B"
    if check.name == IDLE:
        return report_to_ascii(_range_of_size(check.bounds or (value, value)))
    return f"{value:+.1f} sockets/s" if check.name == GROWTH else f"{value:g}"


def _range_of_size(bounds: tuple[float, float]) -> str:
    """Bounds on an amount of memory, as text: `829 to 1 920 KiB`; `≥ 829.6 KiB` without an upper bound."""
    low, high = bounds
    if high == inf:
        return f"≥ {units.size(low, False)}"
    return units.size(low) if units.size(low) == units.size(high) else units.size_range(low, high)


def _percent_bound(check: Check) -> float | None:
    """Upper bound on the use of a limit, in per cent of the limit, if only an upper bound is known; otherwise None."""
    ratio = check.limit.at_most_ratio if check.limit is not None else None
    return None if ratio is None else 100 * ratio


def _percent_span(check: Check) -> tuple[float, float] | None:
    """Bounds on the use of a limit, in per cent of the limit, if they are more than MAX_EXACT_SPAN_PERCENT apart."""
    low, high = check.bounds or (0.0, 0.0)
    return (low, high) if high - low > MAX_EXACT_SPAN_PERCENT else None


def _use_text(check: Check) -> str:
    limit = check.limit
    if limit is None or limit.used is None or limit.maximum is None:
        return ""
    unit = "" if limit.unit == "bytes" else f" {limit.unit}"
    used = report_to_ascii(used_text(limit))
    left_out = f" {limit.left_out_text}" if limit.left_out_text else ""
    owner = f" in {limit.owner}" if limit.owner else ""
    return f"{used} of {maximum_text(limit).replace('≤', '<=')}{unit}{owner}{left_out}"


def _reached_text(check: Check) -> str:
    """The reason why the state of a check is not OK: the violated range, an event, or why the state is unknown."""
    if check.state == "UNKNOWN":
        return check.note
    return "; ".join(filter(None, (_range_text(check) if check.is_beyond_range else "", check.alarm)))


def _range_text(check: Check) -> str:
    """The range or the threshold that the value of a check violates."""
    is_critical = check.state == "CRITICAL"
    word, reached = ("critical", check.critical) if is_critical else ("warning", check.warn)
    threshold = check.limit.threshold if check.limit is not None else None
    if threshold is not None and reached == units.plain_number(threshold.critical if is_critical else threshold.warn):
        return f"{word} from {reached} %"
    return f"{word} range {reached}"


def performance_data(check: Check) -> str:
    """Performance data of a check, `'label'=value[unit];warn;critical;min;max`; an unknown value is written as `U`.

    If the use of a limit may be 0, the value is the upper bound on the use, rounded up.
    """
    bound = _percent_bound(check)
    limits = [check.warn or "", check.critical or "", "" if check.name == GROWTH else "0"]
    if check.unit == "%" and (check.value is None or (check.value if bound is None else bound) <= 100):
        limits.append("100")
    number = check.value if bound is None else _raised(bound, 2)
    value = "U" if number is None else f"{number_text(number)}{check.unit}"
    return ";".join([f"'{check.name}'={value}", *limits]).rstrip(";")


def number_text(value: float, up: bool = False) -> str:
    """A number rounded down to two decimal places, so that a value below a threshold never looks like the threshold.

    `up` is True for an upper bound, which is rounded up.
    """
    return f"{_raised(value, 2) if up else _floored(value, 2):.2f}".rstrip("0").rstrip(".")


def _raised(value: float, digits: int) -> float:
    step = float(10**digits)
    return ceil(value * step - units.ROUNDING_ERROR) / step


def _floored(value: float, digits: int) -> float:
    # A billionth is added, because in floating point 0.29 * 100 is slightly less than 29.
    step = float(10**digits)
    return floor(value * step + units.ROUNDING_ERROR) / step
