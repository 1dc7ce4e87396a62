"""Reports: formats a Ledger or a Difference as text or JSON. Reports read no host and need no screen."""
