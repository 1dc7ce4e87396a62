"""Hosts: where the bytes of a kernel's files come from. A host parses nothing."""
