"""Each module here reads and parses one or a few kernel files, and sets how often these files are read.

The modules compute no figures.
"""
