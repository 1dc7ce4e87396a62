"""Asks the kernel for every TCP socket (sock_diag over netlink), and sums the sockets by group as the answer arrives.

The package uses netlink, namespaces, descriptors and cgroups of this machine, but neither the ledger nor the screen.
The code of the package runs only if the user asks who holds the sockets.
"""

PREFIX = "sock_diag/"
SOCKETS_PATH = f"{PREFIX}sockets"
"""A host that reads this path asks the kernel for all sockets; a saved tree may have the answer as a file."""
ROWS_PATH = f"{PREFIX}rows"
"""A host that reads a path with this beginning asks the kernel for the single sockets of one group."""
FIRST_LINE = "tcptop-sockets 1"
"""First line of the text of a look at the sockets, with the version of the format."""
SOCKETS_ARE_LOCAL = "the kernel is asked for its sockets on the machine itself; run tcptop there"
"""The reason why another machine is not asked for its sockets: netlink cannot be used over ssh."""
