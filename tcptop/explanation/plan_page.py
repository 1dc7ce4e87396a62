"""The plan page: what further connections take, how full each limit would be, and what the kernel does at a limit.

The screen shows the whole page; `tcptop plan` prints the same sections in another order.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from tcptop.explanation.plan_comparison import comparison_lines
from tcptop.explanation.plan_look import first_look_lines, limits_to_raise, look_lines
from tcptop.explanation.plan_remarks import remark_lines
from tcptop.explanation.plan_tables import bar_lines, node_lines, part_lines
from tcptop.explanation.plan_verdict import (
    idle_lines,
    maybe_before,
    not_counted_lines,
    nr_open_lines,
    port_lines,
    pressure_lines,
    verdict_text,
)
from tcptop.explanation.plan_words import SIDE_WORDS, Signs, assumption_text, plan_bytes, total_text, verdict_limit
from tcptop.kernel.limits import limit_label
from tcptop.ledger import Ledger
from tcptop.ledger.plan import ADVISED_PERCENT, Plan, PlanSysctl
from tcptop.text import units
from tcptop.text.line import EMPTY_LINE, Line, Role, paragraph

LAST_VALID = "(last valid) "
PagePart = Literal["all", "figures", "details"]
DETAILS = 2
"""Number of sections at the end of the page that are details: the nodes and the remarks."""


def plan_page(
    ledger: Ledger, plan: Plan, columns: int, is_last_valid: bool = False, part: PagePart = "all"
) -> list[Line]:
    """The page: the verdict, the sysctls, a bar for each limit, the sums, and the details, as in `tcptop plan`.

    `part` is `figures` for the page without nodes and remarks, and `details` for nodes and remarks alone.

    If `is_last_valid` is true, the form now contains invalid text, and `plan` is the last valid plan. The page is then
    dim, and its verdict is marked.
    """
    sections = [
        [
            *_marked_verdict(ledger, plan, columns, is_last_valid),
            *first_look_lines(ledger, plan, columns, is_form=True),
            *idle_lines(ledger, plan, columns, is_form=True),
            *port_lines(plan, columns),
            *nr_open_lines(plan, columns),
            *pressure_lines(plan, columns),
            *not_counted_lines(plan, columns),
            *look_lines(ledger, plan, columns),
            *comparison_lines(ledger, plan, columns, is_form=True),
        ],
        sysctl_lines(plan, columns),
        [*bar_lines(ledger, plan, columns), *_action_lines(ledger, plan, columns)],
        sum_lines(plan, columns),
        part_lines(plan, columns),
        node_lines(plan, columns),
        remark_lines(ledger, plan, columns, is_form=True),
    ]
    if not plan.sysctls:
        sections[0] += sections.pop(2)
    if part != "all":
        sections = sections[:-DETAILS] if part == "figures" else sections[-DETAILS:]
    lines = [line for section in sections if section for line in (*section, EMPTY_LINE)][:-1]
    return [tuple((text, "dim") for text, _ in line) for line in lines] if is_last_valid else lines


def _marked_verdict(ledger: Ledger, plan: Plan, columns: int, is_last_valid: bool) -> list[Line]:
    """The verdict; the word `fits` is a warning if a look found a limit that needs to be raised for the plan."""
    role: Role = "strong" if plan.verdict == "fits" else "warning"
    marker = (LAST_VALID, role) if is_last_valid else None if plan.verdict == "fits" else ("! ", role)
    lines = paragraph(verdict_text(ledger, plan), columns - 1, role, marker)
    if plan.verdict != "fits" or not limits_to_raise(ledger, plan):
        return lines
    *before, (text, _) = lines[0]
    end = text.find("fits") + len("fits")
    return [(*before, (text[:end], "warning"), (text[end:], role)), *lines[1:]]


def sum_lines(plan: Plan, columns: int, sign: Signs = str) -> list[Line]:
    """The bytes of one connection and of all connections."""
    each = plan.bytes_per_connection
    one = units.UNKNOWN if each is None else plan_bytes(plan, each)
    assumed = f"{SIDE_WORDS[plan.request.side]}, {assumption_text(plan)}"
    text = f"{one} per connection, {total_text(plan)} in all: {assumed}."
    return paragraph(sign(text), columns - 1, "text")


def _action_lines(ledger: Ledger, plan: Plan, columns: int) -> list[Line]:
    """Sentences on the kernel's action at the first limit of the verdict, and at limits that may be reached earlier."""
    first = verdict_limit(plan)
    actions = {limit.name: limit.then for limit in ledger.limits["full"].rows}
    if first is None:
        return []
    return [
        line
        for limit in (first, *(limit for limit, _ in maybe_before(plan, first)))
        if actions.get(limit.name)
        for line in paragraph(f"When {limit_label(limit.name)} is full: {actions[limit.name]}.", columns - 1, "text")
    ]


def sysctl_lines(plan: Plan, columns: int) -> list[Line]:
    """The sysctls that need a higher value for the plan, in the format of sysctl.conf(5), with the present values.

    If there are limits that no sysctl can raise enough, the first line names these limits. The line before the values
    says how the advised values are computed.
    """
    if not plan.sysctls:
        return []
    rule = f" Sysctls to change (need ÷ {ADVISED_PERCENT / 100:g}, at most what memory and the kernel allow):"
    texts = [f" {each.name} = {_values(each.advised)} (now {_sysctl_notes(each)})" for each in plan.sysctls]
    changed = {each.limit for each in plan.sysctls}
    still = [
        limit_label(limit.name) for limit in plan.limits if limit.verdict == "exceeded" and limit.name not in changed
    ]
    first = [f" Sysctls are not enough: {', '.join(still)} would still be exceeded."] if still else []
    return [line for text in (*first, rule, *texts) for line in paragraph(text, columns - 1, "text")]


def _sysctl_notes(sysctl: PlanSysctl) -> str:
    """The present values of a sysctl, how the three advised values of tcp_mem are computed, and the sysctl's note."""
    rule = ""
    if sysctl.limit == "tcp_mem" and "capped" not in sysctl.note:
        _, second, third = sysctl.advised
        rule = f"second value = need ÷ {ADVISED_PERCENT / 100:g}, so no pressure; third "
        rule += "= 1.5 times that" if third == second * 3 // 2 else "as now"
    return "; ".join(filter(None, (_values(sysctl.now), rule, sysctl.note)))


def _values(values: Sequence[int]) -> str:
    return " ".join(map(str, values))
