"""Widgets: one module for each pane. A widget draws a Ledger according to the view state.

Widgets read no file and compute no figure.
"""
