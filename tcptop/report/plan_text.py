"""A plan as plain text: the verdict, the sysctls to change, the limits, the memory needed, and remarks."""

from __future__ import annotations

from tcptop.explanation.plan_comparison import comparison_lines
from tcptop.explanation.plan_look import first_look_lines, look_lines
from tcptop.explanation.plan_page import sum_lines, sysctl_lines
from tcptop.explanation.plan_remarks import remark_lines
from tcptop.explanation.plan_tables import limit_lines, node_lines, part_lines
from tcptop.explanation.plan_verdict import (
    idle_lines,
    not_counted_lines,
    nr_open_lines,
    port_lines,
    pressure_lines,
    verdict_text,
)
from tcptop.explanation.plan_words import title_text
from tcptop.ledger import Ledger
from tcptop.ledger.plan import Plan
from tcptop.text.ascii import report_to_ascii
from tcptop.text.line import paragraph, text_of

COLUMNS = 80


def plan_as_text(ledger: Ledger, plan: Plan) -> str:
    """The plan as ASCII text, at most 80 columns wide, with a newline at the end."""
    sections = [
        [
            *paragraph(verdict_text(ledger, plan), COLUMNS - 1, "text"),
            *first_look_lines(ledger, plan, COLUMNS, sign=report_to_ascii),
            *idle_lines(ledger, plan, COLUMNS, sign=report_to_ascii),
            *port_lines(plan, COLUMNS),
            *nr_open_lines(plan, COLUMNS),
            *pressure_lines(plan, COLUMNS),
            *not_counted_lines(plan, COLUMNS),
            *look_lines(ledger, plan, COLUMNS, report_to_ascii),
            *comparison_lines(ledger, plan, COLUMNS, report_to_ascii),
        ],
        paragraph(title_text(ledger, plan.request), COLUMNS - 1, "text"),
        sysctl_lines(plan, COLUMNS),
        limit_lines(ledger, plan, COLUMNS, report_to_ascii),
        sum_lines(plan, COLUMNS, report_to_ascii),
        part_lines(plan, COLUMNS, report_to_ascii),
        node_lines(plan, COLUMNS, report_to_ascii),
        remark_lines(ledger, plan, COLUMNS, sign=report_to_ascii),
    ]
    texts = ["".join(f"{text_of(line).rstrip()}\n" for line in section) for section in sections if section]
    return report_to_ascii("\n".join(texts))
