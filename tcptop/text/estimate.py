"""Texts of figures whose error lies on both sides."""

from math import inf

from tcptop.ledger.amount import HIDDEN_ERROR_SHARE
from tcptop.text import units


def about(
    amount: float | None,
    bounds: tuple[float, float] | None,
    format_amount: units.BoundFormat,
) -> str:
    """A figure with a sign, if its bounds are further away than a small share of it.

    `≤` and the upper bound stand if the figure may be 0, else `≈` and the figure. Without a known upper bound, too, the
    figure has `≈`.
    """
    if amount is None or bounds is None:
        return units.UNKNOWN
    low, high = bounds
    if max(amount - low, high - amount) <= HIDDEN_ERROR_SHARE * amount:
        return format_amount(amount)
    return f"≤ {format_amount(high, True)}" if low <= 0 and high < inf else f"≈ {format_amount(amount)}"
