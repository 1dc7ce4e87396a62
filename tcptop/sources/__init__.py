"""Each module here reads and parses one or a few kernel files, and sets how often these files are read.

A module of this package computes no figures.
"""
