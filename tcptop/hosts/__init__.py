"""Hosts read the bytes of this machine, a folder, an archive or a sosreport. Hosts parse no kernel file."""
