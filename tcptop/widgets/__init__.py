"""Widgets: one module for each pane, drawn from a Ledger and the view state.

Widgets read no file and compute no figure.
"""
