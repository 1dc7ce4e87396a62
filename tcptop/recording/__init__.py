"""Recordings: the bytes that sources read, stored with the times of the reads.

This package computes no figures and depends on neither the screen nor the event loop.
"""
