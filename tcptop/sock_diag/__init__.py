"""Asks the kernel for every TCP socket (sock_diag over netlink), and adds the sockets up while the answer passes.

Knows netlink, namespaces, descriptors and cgroups of this machine. Knows no ledger and no screen. Nothing here runs
unless the user asks who holds the sockets.
"""

PREFIX = "sock_diag/"
SOCKETS_PATH = f"{PREFIX}sockets"
"""The path with which a host is asked for a look at all sockets; a saved tree may have the text of a look there."""
ROWS_PATH = f"{PREFIX}rows"
"""Beginning of the path with which a host is asked for single sockets of one group."""
FIRST_LINE = "tcptop-sockets 1"
"""First line of the text of a look, with the version of its format."""
SOCKETS_ARE_LOCAL = "the kernel is asked for its sockets on the machine itself; run tcptop there"
"""Why another machine is not asked for its sockets: netlink does not pass through ssh."""
