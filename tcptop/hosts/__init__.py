"""Hosts: the origin of bytes (this machine, a folder, an archive, a sosreport). They parse no kernel file."""
