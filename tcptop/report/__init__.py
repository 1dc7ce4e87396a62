"""Reports: a Ledger or a Difference as text and as JSON. They read no host and need no screen."""
