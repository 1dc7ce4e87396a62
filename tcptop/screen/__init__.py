"""The Textual app: passes the Ledger of each sample to the widgets, and handles keys, but computes no figure."""
