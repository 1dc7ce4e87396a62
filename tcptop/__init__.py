"""tcptop shows how much memory one TCP connection costs the Linux kernel, and where that memory sits."""

__version__ = "0.2.0"
