"""Comparison: two Ledgers in, a frozen Difference out. Pure; it opens nothing and formats nothing."""
