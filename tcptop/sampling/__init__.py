"""Sampling: decides when each source is read, with or without an event loop.

The package imports neither the accounting nor the screen.
"""
