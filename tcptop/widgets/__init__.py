"""Widgets, one module for each: draw a Ledger and the view state. Widgets read no file and compute no figure."""
