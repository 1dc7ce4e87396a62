"""An amount that is known within bounds."""

from typing import NamedTuple

HIDDEN_ERROR_SHARE = 0.01
"""Largest error of a figure, as a share of the figure, that texts do not show."""


class Amount(NamedTuple):
    """An amount that is known within bounds.

    If `low` equals `high`, the amount is known exactly. If `low` is 0 and `high` is above 0, only the upper bound is
    known.
    """

    low: float
    high: float
    """Upper bound; infinite if only `low` is known, because parts of the amount are missing."""

    def times(self, other: "Amount") -> "Amount":
        """The product of two amounts. The bounds of both amounts may be positive or negative."""
        ends = [one * two for one in self for two in other]
        return Amount(min(ends), max(ends))

    def minus(self, other: "Amount") -> "Amount":
        """The difference."""
        return Amount(self.low - other.high, self.high - other.low)
