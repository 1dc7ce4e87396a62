"""Reports: formats a Ledger or a Difference as text or JSON. Reads no host and needs no screen."""
