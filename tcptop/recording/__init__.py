"""Recordings: what the sources read of a kernel, kept with its times, so that it can be looked at again."""
