"""Comparison: pure functions from two Ledgers to a LedgerDifference, without input, output or formatting."""
