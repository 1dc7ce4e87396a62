"""Recordings: the bytes that sources read, kept with their times. They know no figure, no screen and no event loop."""
