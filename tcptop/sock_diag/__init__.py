"""Asks the kernel for every TCP socket (sock_diag over netlink), and sums the sockets by group as the answer arrives.

The package uses netlink, namespaces, descriptors and cgroups of this machine, but neither the ledger nor the screen.
Its code runs only if the user asks who holds the sockets.
"""

PREFIX = "sock_diag/"
SOCKETS_PATH = f"{PREFIX}sockets"
"""The path that a host reads as a look at all sockets; a saved tree may have the text of a look at this path."""
ROWS_PATH = f"{PREFIX}rows"
"""Beginning of the path that a host reads as the single sockets of one group."""
FIRST_LINE = "tcptop-sockets 1"
"""First line of the text of a look at the sockets, with the version of the format."""
SOCKETS_ARE_LOCAL = "the kernel is asked for its sockets on the machine itself; run tcptop there"
"""The reason why another machine is not asked for its sockets: netlink cannot be used over ssh."""
