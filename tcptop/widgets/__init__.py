"""Widgets: one pane a module, drawn from a Ledger and the view state. They read no file and compute no figure."""
