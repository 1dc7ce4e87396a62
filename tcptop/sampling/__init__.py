"""Sampling: which source is read when, on an event loop or without one. It knows no figure and no screen."""
