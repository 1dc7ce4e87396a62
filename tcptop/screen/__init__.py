"""The Textual app: hands the Ledger of each sample to the widgets, and handles keys. It computes no figure."""
