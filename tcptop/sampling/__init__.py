"""Sampling: decides when each source is read, with or without an event loop. Imports no accounting and no screen."""
