"""Recordings: the bytes that sources read, stored with the times of the reads.

This package computes no figures and knows nothing of the screen or the event loop.
"""
