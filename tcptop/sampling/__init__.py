"""Sampling: decides when each source is read, with or without an event loop. Depends on no accounting and no screen."""
