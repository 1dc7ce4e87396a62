"""Widgets: one pane a module. A widget draws a ledger; it reads no file and computes no figure."""
