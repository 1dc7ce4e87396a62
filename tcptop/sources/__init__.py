"""Each module here reads and parses one kernel file, or a few of them, and sets how often they are read.

These modules compute no figures.
"""
