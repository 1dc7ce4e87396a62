"""Asks the kernel for every TCP socket (sock_diag over netlink), and sums the sockets by group as the answer arrives.

The package uses netlink, namespaces, descriptors and cgroups of this machine, but neither the ledger nor the screen.
The code of the package runs only if the user asks which processes hold the sockets.
"""

PREFIX = "sock_diag/"
SOCKETS_PATH = f"{PREFIX}sockets"
"""Path that stands for all sockets. To read the path, a host asks the kernel; a saved tree may have the answer as a
file."""
ROWS_PATH = f"{PREFIX}rows"
"""Beginning of each path that stands for the individual sockets of one group of sockets. To read such a path, a host
asks the kernel."""
FIRST_LINE = "tcptop-sockets 1"
"""First line of the text that lists all sockets. The line has the version of the text's format."""
FAST_OPEN_KIND = 2
"""Kind of a group in the text: 2 for full sockets in SYN_RECV (TCP Fast Open), 1 for mini-sockets, 0 for others."""
SOCKETS_ARE_LOCAL = "the kernel is asked for its sockets on the machine itself; run tcptop there"
"""The reason why another machine is not asked for its sockets: netlink cannot be used over ssh."""
