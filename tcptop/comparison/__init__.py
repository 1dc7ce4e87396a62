"""Comparison: pure functions that compute a LedgerDifference from two Ledgers, without input, output or formatting."""
