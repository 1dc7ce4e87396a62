"""Sampling: decides when each source is read, with or without an event loop. Depends on no figure and no screen."""
