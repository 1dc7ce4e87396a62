"""A plan as plain text: the memory needed, the limits, the sysctls, remarks, and the verdict in the last line."""

from __future__ import annotations

from tcptop.explanation.plan_page import (
    limit_lines,
    node_lines,
    part_lines,
    remark_lines,
    sysctl_lines,
    title_text,
    verdict_text,
)
from tcptop.ledger import Ledger, Plan
from tcptop.text.ascii import report_to_ascii
from tcptop.text.line import paragraph, text_of

COLUMNS = 80


def plan_as_text(ledger: Ledger, plan: Plan) -> str:
    """The plan as ASCII text, at most 80 columns wide, with a newline at the end."""
    sections = [
        paragraph(title_text(ledger, plan.request), COLUMNS - 1, "text"),
        *(section(plan, COLUMNS) for section in (part_lines, node_lines, limit_lines, sysctl_lines, remark_lines)),
        paragraph(verdict_text(plan), COLUMNS - 1, "text"),
    ]
    texts = ["".join(f"{text_of(line).rstrip()}\n" for line in section) for section in sections if section]
    return report_to_ascii("\n".join(texts))
